#!/usr/bin/env bash
# Tests of losses, models, decoding and the registry on the lowest or highest versions that pyproject.toml allows.
#
#   tests/resolution.sh lowest-direct     # every dependency of pyproject.toml at its lower bound
#   tests/resolution.sh highest           # everything at the newest version within the bounds
#
# Needs uv, and 7 GB in the temporary folder for the time of the run. Warnings are no errors here: old releases warn
# of what newer ones have mended.
set -euo pipefail
cd "$(dirname "$0")/.."
resolution="${1:?lowest-direct or highest}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python="$work/env/bin/python"

uv pip compile --quiet --no-header --python-version 3.11 --resolution "$resolution" pyproject.toml \
  -o "$work/versions.txt"
uv venv --quiet --python 3.11 "$work/env"
uv pip install --quiet --python "$python" -r "$work/versions.txt" \
  hatchling editables hypothesis "moto[s3,server]" pytest pytest-timeout
uv pip install --quiet --python "$python" --no-deps --no-build-isolation --editable .
grep -E '^(ray|torch|torchvision|timm|mlflow|av|mediapipe|pyarrow|numpy|pandas)==' "$work/versions.txt"
"$python" -m dfray.cli models fetch
"$python" -m pytest -q -m "not slow" -o filterwarnings=default -p no:cacheprovider \
  tests/losses tests/models tests/registry tests/faces/test_decode.py tests/training/test_elastic.py
