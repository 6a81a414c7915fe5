#!/usr/bin/env bash
# Installs what the tests need on a Debian machine: a C compiler and etcd. Elsewhere it only looks.
# Nothing is installed that is already there.
set -euo pipefail

need=()
command -v cc >/dev/null 2>&1 || need+=(gcc libc6-dev)
# Debian's etcd-server starts no service where there is no systemd, and CI has none.
command -v etcd >/dev/null 2>&1 || need+=(etcd-server)

if [ "${#need[@]}" -gt 0 ]; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${need[@]}"
  else
    echo "missing: ${need[*]}; tests that need them will say that they were skipped" >&2
  fi
fi
