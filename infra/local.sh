#!/usr/bin/env bash
# What a cluster leans on, on this machine: MLflow's server on PostgreSQL, its files on an S3 endpoint.
#
#   infra/local.sh up       start the three, on free ports of loopback; prints what `env` prints
#   infra/local.sh env      exports for clients and Ray's nodes: eval "$(infra/local.sh env)"
#   infra/local.sh status   which of them run
#   infra/local.sh down     end exactly what `up` started, and forget what it kept
#
# S3 is moto's server, which keeps objects only while it runs; so the database goes with it.
# DFRAY_INFRA_DIR sets where state and logs lie.
set -euo pipefail
shopt -s nullglob

here="$(cd "$(dirname "$0")/.." && pwd)"
python="${PYTHON:-$here/.venv/bin/python}"
state="${DFRAY_INFRA_DIR:-$here/runs/.infra}"
bucket=dfray
export PATH="$PATH:/usr/sbin:/sbin" # useradd: PostgreSQL refuses to run as root, and is given a user

free_port() {
  "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() { # name, command; a group of its own, whose leader writes its id down itself: setsid may fork
  local name="$1"
  shift
  # shellcheck disable=SC2016
  setsid bash -c 'echo $$ >"$0"; exec "$@"' "$state/$name.pid" "$@" \
    >"$state/$name.log" 2>&1 </dev/null &
  until [[ -s "$state/$name.pid" ]]; do sleep 0.05; done
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

wait_for() { # name, command that succeeds once it answers
  local name="$1"
  shift
  for _ in $(seq 480); do
    "$@" 2>/dev/null && return
    is_running "$name" || break
    sleep 0.25
  done
  echo "$name did not come up; its log:" >&2
  tail -n 20 "$state/$name.log" >&2
  exit 1
}

answers() { # URL
  "$python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=2)' "$1"
}

up() {
  if running; then
    echo "It is up already (state in $state); end it with: $0 down" >&2
    exit 2
  fi
  mkdir -p "$state"
  trap down EXIT # what fails or is interrupted leaves nothing
  local s3="http://127.0.0.1:$(free_port)" mlflow="http://127.0.0.1:$(free_port)"
  (umask 077 && touch "$state/env")
  cat >"$state/env" <<ENV
export AWS_ENDPOINT_URL=$s3
export AWS_ACCESS_KEY_ID=local
export AWS_SECRET_ACCESS_KEY=local
export AWS_DEFAULT_REGION=us-east-1
export MLFLOW_TRACKING_URI=$mlflow
export DFRAY_BUCKET=s3://$bucket
ENV
  # shellcheck source=/dev/null
  source "$state/env"
  start postgres "$python" "$here/infra/postgres.py" "$state/database" "$state/database.uri"
  start s3 "$python" -m moto.server -H 127.0.0.1 -p "${s3##*:}"
  wait_for postgres test -s "$state/database.uri"
  wait_for s3 answers "$s3/moto-api/"
  "$python" "$here/infra/bucket.py" "s3://$bucket"
  # Its background jobs judge traces of language models: seven processes that nobody here asks for.
  MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false start mlflow "$python" -m mlflow server --host 127.0.0.1 --port "${mlflow##*:}" --workers 1 \
    --backend-store-uri "$(cat "$state/database.uri")" --artifacts-destination "s3://$bucket/mlflow"
  wait_for mlflow answers "$mlflow/health"
  trap - EXIT
  cat "$state/env"
}

down() {
  local file name
  for name in mlflow s3 postgres; do # the database last: MLflow's server writes to it
    file="$state/$name.pid"
    [[ -f "$file" ]] || continue
    kill -TERM -- "-$(cat "$file")" 2>/dev/null || true
    for _ in $(seq 40); do
      is_running "$name" || break
      sleep 0.25
    done
    kill -KILL -- "-$(cat "$file")" 2>/dev/null || true
    rm -f "$file"
  done
  rm -rf "$state/database" "$state/database.uri" "$state/env"
}

need_up() {
  running && return
  echo "Nothing is up; start it with: $0 up" >&2
  exit 2
}

status() {
  local name
  for name in postgres s3 mlflow; do
    [[ -f "$state/$name.pid" ]] && is_running "$name" && echo "$name runs" || echo "$name is down"
  done
}

case "${1:-}" in
  up) up ;;
  env) need_up && cat "$state/env" ;;
  status) need_up && status ;;
  down) down ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
