#!/usr/bin/env bash
# A Ray cluster of several nodes on this machine: separate raylets, as on separate machines.
#
#   cluster/local.sh up [NODES]   start a head and NODES - 1 workers (default 2); prints the address
#   cluster/local.sh status       what Ray says of it
#   cluster/local.sh down         end exactly the nodes that `up` started
#
# CPUS sets the logical CPUs that each node declares (default 4), PORT the head's port (default: a free
# one), DFRAY_CLUSTER_DIR where its state lies.
# Nodes carry labels: role=cpu, and role=train on the last one. Ray listens on this machine's own address,
# whatever it is told: set RAY_AUTH_TOKEN, here and for the drivers, where others can reach the machine.
set -euo pipefail
shopt -s nullglob

here="$(cd "$(dirname "$0")/.." && pwd)"
ray="${RAY:-$here/.venv/bin/ray}"
state="${DFRAY_CLUSTER_DIR:-$here/runs/.cluster}"
cpus="${CPUS:-4}"
authenticated="${RAY_AUTH_TOKEN:+token}"
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-${authenticated:-disabled}}"
export RAY_TRAIN_HEALTH_CHECK_INTERVAL_S=1

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_node() { # name, then arguments of `ray start`
  local name="$1"
  shift
  # --block keeps one process a node, whose end ends the node: that is what `down` needs.
  setsid "$ray" start --block --disable-usage-stats --node-ip-address=127.0.0.1 \
    --num-cpus="$cpus" "$@" >"$state/$name.log" 2>&1 </dev/null &
  echo $! >"$state/$name.pid"
}

is_running() { # name; zombies do not count
  ps -eo pgid=,stat= | awk -v group="$(cat "$state/$1.pid")" \
    '$1 == group && $2 !~ /^Z/ { found = 1 } END { exit !found }'
}

running() {
  local file
  for file in "$state"/*.pid; do
    is_running "$(basename "$file" .pid)" && return 0
  done
  return 1
}

alive_nodes() {
  "$here/.venv/bin/python" - "$(cat "$state/address")" <<'PY' 2>/dev/null || echo 0
import sys, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))
PY
}

up() {
  local nodes="${1:-2}"
  if running; then
    echo "A cluster is up already (state in $state); end it with: $0 down" >&2
    exit 2
  fi
  mkdir -p "$state"
  local port="${PORT:-$(free_port)}"
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "Port $port is in use; name another in PORT, or leave it out for a free one." >&2
    exit 2
  fi
  echo "127.0.0.1:$port" >"$state/address"
  start_node head --head --port="$port" --dashboard-host=127.0.0.1 \
    --dashboard-port="$(free_port)" --labels=role=cpu
  for _ in $(seq 120); do # a worker that comes before the head gives up
    grep -q "Ray runtime started" "$state/head.log" && break
    is_running head || break
    sleep 0.5
  done
  for ((i = 1; i < nodes; i++)); do
    local role=cpu
    ((i == nodes - 1)) && role=train
    start_node "worker-$i" --address="127.0.0.1:$port" --labels="role=$role"
  done
  for _ in $(seq 60); do
    is_running head || break
    [[ "$(alive_nodes)" == "$nodes" ]] && break
    sleep 1
  done
  if [[ "$(alive_nodes)" != "$nodes" ]]; then
    echo "The cluster did not come up; its logs:" >&2
    tail -n 20 "$state"/*.log >&2
    down
    exit 1
  fi
  cat "$state/address"
}

down() {
  local file
  for file in "$state"/*.pid; do
    kill -TERM -- "-$(cat "$file")" 2>/dev/null || true
  done
  for _ in $(seq 40); do
    running || break
    sleep 0.25
  done
  for file in "$state"/*.pid; do
    kill -KILL -- "-$(cat "$file")" 2>/dev/null || true
    rm -f "$file"
  done
  rm -f "$state/address"
}

status() {
  if ! running; then
    echo "No cluster is up; start one with: $0 up" >&2
    exit 2
  fi
  "$ray" status --address "$(cat "$state/address")"
}

case "${1:-}" in
  up) up "${2:-2}" ;;
  down) down ;;
  status) status ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
