#!/usr/bin/env bash
# Runs footprint and conformance on the upstream servers of Kubernetes where their folder is found, and fails on every finding. Then
# once without the controller manager, where the check of a controller must fail: one, for it waits its whole deadline.
# Usage: kubernetes.sh <assay> <scratch folder>
set -euo pipefail
assay=$1 scratch=$2

if ! "$assay" doctor --only kubernetes --format json | grep -q '"state": *"ok"'; then
  echo "Skipped: no servers of Kubernetes here (KUBEBUILDER_ASSETS)"
  exit 0
fi
run() { "$assay" suite "$@" --target native --distribution kubernetes --budget server; }

run footprint --out "$scratch/kubernetes"
run conformance --out "$scratch/kubernetes"
events=$scratch/kubernetes/latest/events.jsonl
passed=$(grep -c '"event":"check".*"outcome":"passed"' "$events" || true)
[ "$passed" -ge 100 ] || { echo "only $passed checks passed on Kubernetes" >&2; exit 1; }

code=0
run conformance --shape api-server --filter root-ca --out "$scratch/api-server" || code=$?
[ "$code" = 4 ] || { echo "without controllers: exit code $code, not 4" >&2; exit 1; }
echo "Kubernetes: $passed checks passed; without controllers the check of one failed, as it must"
