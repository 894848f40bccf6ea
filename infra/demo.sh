#!/usr/bin/env bash
# The whole road of a recipe (default: demo) as on a real cluster: two Ray nodes with tokens, everything on
# s3://, MLflow's server on PostgreSQL. Ends what it started, also when it fails.
#
#   infra/demo.sh [RECIPE] [key=value ...]
set -euo pipefail

here="$(cd "$(dirname "$0")/.." && pwd)"
cd "$here"
export DFRAY_CLUSTER_DIR="${DFRAY_CLUSTER_DIR:-$here/runs/.cluster}"
export DFRAY_INFRA_DIR="${DFRAY_INFRA_DIR:-$here/runs/.infra}"

end() {
  cluster/local.sh down
  infra/local.sh down
}
trap end EXIT

infra/local.sh up >/dev/null
eval "$(infra/local.sh env)" # Ray's nodes hand it on to every worker
cluster/local.sh up 2 >/dev/null
eval "$(cluster/local.sh env)"
"${PYTHON:-.venv/bin/python}" -m dfray.cli run "${1:-demo}" "${@:2}" \
  cluster.address="$RAY_ADDRESS" work_dir="$DFRAY_BUCKET/runs"
