#!/usr/bin/env bash
# The whole pipeline of a recipe (default: demo) as on a real cluster: two Ray nodes with tokens, extraction on
# one and training on both, everything on s3://, MLflow's server on PostgreSQL. Ends what it started, also
# when it fails, and forgets what was kept; what was up before it is not touched, and refused.
#
#   infra/demo.sh [RECIPE] [key=value ...]
set -euo pipefail

here="$(cd "$(dirname "$0")/.." && pwd)"
cd "$here"
python="${PYTHON:-.venv/bin/python}"
export RAY="${RAY:-$(dirname "$python")/ray}"

infra/local.sh up >/dev/null
trap 'infra/local.sh down' EXIT
eval "$(infra/local.sh env)" # Ray's nodes hand it on to every worker
cluster/local.sh up 2 >/dev/null
trap 'cluster/local.sh down; infra/local.sh down' EXIT
eval "$(cluster/local.sh env)"
"$python" -m dfray.cli run "${1:-demo}" "${@:2}" \
  cluster.address="$RAY_ADDRESS" cluster.extract_on.role=cpu work_dir="$DFRAY_BUCKET/runs"
echo "What it kept ends with its servers, now. infra/local.sh up and cluster/local.sh up 2 start some that stay."
