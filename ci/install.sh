#!/usr/bin/env bash
# Installs what the tests need on a Debian machine: a C compiler, etcd, a container engine, an ARM64 emulator and what
# makes its disks. Elsewhere it only looks.
# Nothing is installed that is already there.
set -euo pipefail

need=()
command -v cc >/dev/null 2>&1 || need+=(gcc libc6-dev)
# Debian's packages start no service where there is no systemd, and CI has none.
command -v etcd >/dev/null 2>&1 || need+=(etcd-server)
command -v dockerd >/dev/null 2>&1 || need+=(docker.io)
command -v qemu-system-aarch64 >/dev/null 2>&1 || need+=(qemu-system-arm)
command -v mkfs.ext4 >/dev/null 2>&1 || need+=(e2fsprogs)

if [ "${#need[@]}" -gt 0 ]; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${need[@]}"
  else
    echo "missing: ${need[*]}; tests that need them will say that they were skipped" >&2
  fi
fi
