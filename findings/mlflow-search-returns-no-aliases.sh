#!/usr/bin/env bash
# MLflow: model versions that a search returns have no aliases, even those that are pointed at by one.
#
# Expected: search_model_versions() returns ModelVersion objects with their aliases, as get_model_version() does. So
#           next(v for v in versions if "champion" in v.aliases) finds the champion.
# Seen:     .aliases is an empty list on every result of a search; nothing distinguishes "no alias" from "not read".
# Do:       read them from get_registered_model(name).aliases (alias -> version number).
# Versions: MLflow 3.17.2, SQLite. Takes two minutes.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "mlflow==3.17.2"
export MLFLOW_DISABLE_TELEMETRY=true

cd "$work"
"$work/env/bin/python" - 2>"$work/log" <<'PY' || { tail -5 "$work/log"; exit 1; }
from mlflow import MlflowClient

client = MlflowClient("sqlite:///mlflow.db")
client.create_registered_model("detector")
for _ in range(2):
    client.create_model_version("detector", source="file:///any")
client.set_registered_model_alias("detector", "champion", "1")

searched = {v.version: list(v.aliases) for v in client.search_model_versions("name='detector'")}
single = list(client.get_model_version("detector", "1").aliases)
model = dict(client.get_registered_model("detector").aliases)
print("search_model_versions:", searched)
print("get_model_version:", single)
print("get_registered_model:", model)
assert not any(searched.values()), "the behaviour has changed"
assert single == ["champion"], "the behaviour has changed"
assert {alias: str(version) for alias, version in model.items()} == {"champion": "1"}
PY
