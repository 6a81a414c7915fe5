#!/usr/bin/env bash
# Runs footprint and conformance on a real K3s where one is found, under the budget that K3s documents for a server, and fails on
# every finding that ci/k3s-known.txt does not name. Usage: k3s.sh <assay> <scratch folder>
set -euo pipefail
assay=$1 scratch=$2
known=$(dirname "$0")/k3s-known.txt

if ! "$assay" suite all --target native --distribution k3s --offline --dry-run >/dev/null 2>&1; then
  echo "Skipped: no K3s binary here (K3S_BINARY, the cache, or k3s on PATH)"
  exit 0
fi
# The datastore's figures are no pass and no failure here, and take their time.
"$assay" suite footprint --target native --distribution k3s --offline --budget server --out "$scratch/k3s"
code=0
"$assay" suite conformance --target native --distribution k3s --offline --budget server --out "$scratch/k3s" || code=$?
[ "$code" = 0 ] || [ "$code" = 4 ] || { echo "K3s: exit code $code" >&2; exit 1; }
events=$scratch/k3s/latest/events.jsonl
passed=$(grep -c '"event":"check".*"outcome":"passed"' "$events" || true)
[ "$passed" -ge 100 ] || { echo "only $passed checks passed on K3s" >&2; exit 1; }

version=$("$assay" suite all --target native --distribution k3s --offline --dry-run | sed -n 's/.*: k3s \(v[0-9.]*\).*/\1/p' | head -n 1)
failed=$(grep '"event":"check".*"outcome":"failed"' "$events" || true)
while IFS= read -r line; do
  [ -n "$line" ] || continue
  cell=$(sed 's/.*"cell":"\([^"]*\)".*/\1/' <<<"$line")
  id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' <<<"$line")
  awk -v version="$version" -v cell="$cell" -v id="$id" \
    '!/^#/ && index(version, $1) == 1 && index(cell, "-" $2 "-") && $3 == id { found = 1 } END { exit !found }' "$known" \
    || { echo "K3s $version failed $id in $cell, which is not known of it" >&2; exit 1; }
done <<<"$failed"
echo "K3s $version: $passed checks passed; every failure is a known one"
