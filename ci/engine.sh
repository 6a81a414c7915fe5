#!/usr/bin/env bash
# To be sourced. Starts a container engine of the tests' own, with everything beneath $scratch, unless one answers
# already; sets DOCKER_HOST. stop_engine ends it by its pid. Without root or dockerd it starts none and says so.

engine_pid=

start_engine() {
  if "$assay" doctor --only docker --format json | grep -q '"state": *"ok"'; then
    return
  fi
  if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null 2>&1; then
    echo "Skipped: no container engine, and none can be started here (root and dockerd)"
    return
  fi
  local folder=$scratch/engine
  mkdir -p "$folder"
  dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --host "unix://$folder/socket" >"$folder/log" 2>&1 &
  engine_pid=$!
  export DOCKER_HOST=unix://$folder/socket
  for _ in $(seq 300); do
    if "$assay" doctor --only docker --format json | grep -q '"state": *"ok"'; then
      return
    fi
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 5 "$folder/log" >&2
  stop_engine
  unset DOCKER_HOST
  echo "Skipped: no container engine, for dockerd does not start here"
}

stop_engine() {
  if [ -n "$engine_pid" ]; then
    kill "$engine_pid" 2>/dev/null || true
    for _ in $(seq 150); do
      kill -0 "$engine_pid" 2>/dev/null || break
      sleep 0.2
    done
    kill -9 "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
    engine_pid=
  fi
}

has_engine() {
  "$assay" doctor --only docker --format json | grep -q '"state": *"ok"'
}
