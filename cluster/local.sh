#!/usr/bin/env bash
# A Ray cluster of several nodes on this machine: separate raylets, as on separate machines.
#
#   cluster/local.sh up [NODES]   start a head and NODES - 1 workers (default 2); prints the addresses
#   cluster/local.sh env          what drivers and clients need: eval "$(cluster/local.sh env)"
#   cluster/local.sh add [ROLE]   start one more node (default role: gpu); prints its name
#   cluster/local.sh kill NAME    end a node with SIGKILL, as a fault would
#   cluster/local.sh status       what Ray says of it
#   cluster/local.sh down         end exactly the nodes that were started here
#
# Nodes are named head, worker-1, worker-2, ... and carry labels: role=gpu on the last that `up` starts, and
# role=cpu on the others. CPUS sets the logical CPUs that each node declares (default 4), OBJECT_STORE_MB
# its shared memory (default 512), PORT the head's port (default: a free one), DFRAY_CLUSTER_DIR where its
# state lies. Clients need a token: RAY_AUTH_TOKEN if it is set, else a new one; it is kept in the state.
# Ray listens on this machine's own address, whatever it is told.
set -euo pipefail
shopt -s nullglob

here="$(cd "$(dirname "$0")/.." && pwd)"
ray="${RAY:-$here/.venv/bin/ray}"
python="$(dirname "$ray")/python"
state="${DFRAY_CLUSTER_DIR:-$here/runs/.cluster}"
given_token="${RAY_AUTH_TOKEN:-}"
given_token_path="${RAY_AUTH_TOKEN_PATH:-}"
unset RAY_AUTH_TOKEN # it would go before the file, and be seen in every process
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$state/token"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # Ray would take a thread for each logical CPU
# Else Ray warns of every few processes more than the machine has cores.
export RAY_worker_maximum_startup_concurrency="${RAY_worker_maximum_startup_concurrency:-${CPUS:-4}}"
# A node that is killed is taken for lost after five unanswered questions: in 2.5 s instead of 15.
export RAY_health_check_period_ms="${RAY_health_check_period_ms:-500}"

free_ports() { # how many; below those that systems hand out to clients, which may be taken meanwhile
  "$python" - "$1" <<'PY'
import random, socket, sys

def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True

candidates = random.sample(range(20000, 32000), 1000)
free = (port for port in candidates if is_free(port))
print(*(next(free) for _ in range(int(sys.argv[1]))))
PY
}

start() { # name, role, then arguments of `ray start`; on a busy machine Ray may give up after 30 s
  local _
  for _ in 1 2 3; do
    launch "$@"
    wait_until_up "$1" && return
    end_node KILL "$1"
  done
  echo "Node $1 did not come up; its log:" >&2
  tail -n 20 "$state/$1.log" >&2
  return 1
}

launch() { # as `start`
  local name="$1" role="$2" agent
  shift 2
  agent="$(free_ports 1)"
  # A node is a session of processes: Ray's workers have groups of their own. It has a temporary folder of its
  # own, since each unpacks a job's package anew, and would remove the one that another node's workers run in.
  setsid "$ray" start --block --disable-usage-stats --node-ip-address=127.0.0.1 \
    --node-name="$name" --labels="role=$role" --num-cpus="${CPUS:-4}" --temp-dir="$(cat "$state/temp")/$name" \
    --object-store-memory="$((${OBJECT_STORE_MB:-512} << 20))" \
    --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port="$agent" \
    "$@" >"$state/$name.log" 2>&1 </dev/null &
  echo $! >"$state/$name.pid"
  disown
}

is_running() { # name; zombies do not count
  ps -eo sess=,stat= | awk -v session="$(cat "$state/$1.pid")" \
    '$1 == session && $2 !~ /^Z/ { found = 1 } END { exit !found }'
}

running() {
  local file
  for file in "$state"/*.pid; do
    is_running "$(basename "$file" .pid)" && return 0
  done
  return 1
}

require_running() {
  if ! running; then
    echo "No cluster is up; start one with: $0 up" >&2
    exit 2
  fi
}

wait_until_up() { # name; a node says this once the head knows it
  local _
  for _ in $(seq 240); do
    grep -qs "Ray runtime started" "$state/$1.log" && return # quiet while the log is not there yet
    is_running "$1" || return 1
    sleep 0.25
  done
  return 1
}

up() {
  local nodes="$1" port free dashboard client i role started=()
  if running; then
    echo "A cluster is up already (state in $state); end it with: $0 down" >&2
    exit 2
  fi
  if ! [[ "$nodes" =~ ^[1-9][0-9]*$ ]]; then
    echo "NODES is $nodes; it must be 1 or more." >&2
    exit 2
  fi
  mkdir -p "$state"
  chmod 700 "$state" # logs of the nodes, and the token
  trap down EXIT # what fails or is interrupted leaves nothing
  read -r free dashboard client < <(free_ports 3)
  port="${PORT:-$free}"
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "Port $port is in use; name another in PORT, or leave it out for a free one." >&2
    exit 2
  fi
  rm -f "$state"/*.log "$state/token"
  (umask 077 && echo "${given_token:-$("$python" -c 'import secrets; print(secrets.token_hex(32))')}" \
    >"$state/token")
  # A folder of its own, whose path is short enough for sockets: in the one that all of a machine's clusters
  # share, each writes its address over the others', and a job is run on whichever came up last. mktemp closes
  # it to others: Ray opens its own folders inside to all, and its logs hold what jobs were given.
  mktemp -d /tmp/dfray-ray-XXXXXX >"$state/temp"
  echo "127.0.0.1:$port" >"$state/address"
  echo "http://127.0.0.1:$dashboard" >"$state/jobs"
  # Workers that come before the head give up.
  start head cpu --head --port="$port" --dashboard-host=127.0.0.1 \
    --dashboard-port="$dashboard" --ray-client-server-port="$client" || exit 1
  for ((i = 1; i < nodes; i++)); do
    role=cpu
    ((i == nodes - 1)) && role=gpu
    start "worker-$i" "$role" --address="127.0.0.1:$port" &
    started+=($!)
  done
  for i in "${started[@]}"; do wait "$i" || exit 1; done
  trap - EXIT
  echo "cluster  $(cat "$state/address")"
  echo "jobs     $(cat "$state/jobs")"
  echo "token    eval \"\$($0 env)\""
}

env_() {
  require_running
  printf 'export %s=%q\n' RAY_AUTH_MODE token RAY_AUTH_TOKEN_PATH "$state/token" \
    RAY_ADDRESS "$(cat "$state/address")" RAY_API_SERVER_ADDRESS "$(cat "$state/jobs")"
}

add() {
  local role="$1" i=1
  require_running
  while [[ -e "$state/worker-$i.log" ]]; do ((i++)); done
  start "worker-$i" "$role" --address="$(cat "$state/address")" || exit 1
  echo "worker-$i"
}

end_node() { # signal, name
  pkill "-$1" --session "$(cat "$state/$2.pid")" || true
}

kill_() {
  if [[ ! -e "$state/$1.pid" ]]; then
    echo "There is no node $1 in $state." >&2
    exit 2
  fi
  end_node KILL "$1"
  rm -f "$state/$1.pid"
}

down() {
  local file
  for file in "$state"/*.pid; do end_node TERM "$(basename "$file" .pid)"; done
  for _ in $(seq 40); do
    running || break
    sleep 0.25
  done
  for file in "$state"/*.pid; do
    end_node KILL "$(basename "$file" .pid)"
    rm -f "$file"
  done
  if [[ -e "$state/temp" ]]; then rm -rf "$(cat "$state/temp")"; fi
  rm -f "$state/address" "$state/jobs" "$state/token" "$state/temp"
}

tell_unset() { # a shell that took over `env` names a token that is gone
  if [[ "$given_token_path" == "$state/token" ]]; then
    echo "This shell still points to the cluster. Run: unset RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH RAY_ADDRESS RAY_API_SERVER_ADDRESS"
  fi
}

status() {
  require_running
  "$ray" status --address "$(cat "$state/address")"
}

case "${1:-}" in
  up) up "${2:-2}" ;;
  env) env_ ;;
  add) add "${2:-gpu}" ;;
  kill) kill_ "${2:?the name of a node, such as worker-1}" ;;
  status) status ;;
  down)
    down
    tell_unset
    ;;
  *)
    sed -n '2,16s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
