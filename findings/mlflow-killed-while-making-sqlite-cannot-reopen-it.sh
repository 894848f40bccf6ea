#!/usr/bin/env bash
# MLflow: an SQLite store whose first opening was killed can never be opened again.
#
# Expected: the next process goes on with the tables, or makes them anew: SQLite's statements are transactions.
# Seen:     the migrations commit between the steps of one change of a table. A SIGKILL there leaves a table
#           _alembic_tmp_<name>, and every later opening ends with an OperationalError: "table _alembic_tmp_<name> already
#           exists", or "duplicate column name", by the step.
# Do:       make the database in a temporary folder and link it into its place when it is whole.
# Versions: MLflow 3.17.2, SQLite. Takes two minutes.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "mlflow==3.17.2"
export MLFLOW_DISABLE_TELEMETRY=true

cd "$work"
cat > open.py <<'PY'
from mlflow import MlflowClient

print(len(MlflowClient("sqlite:///mlflow.db").search_experiments()), "experiment(s)")
PY
"$work/env/bin/python" - <<'PY'
import sqlite3
import subprocess
import sys
from pathlib import Path

amid = "SELECT name FROM sqlite_master WHERE name LIKE '\\_alembic\\_tmp%' ESCAPE '\\'"
first = subprocess.Popen([sys.executable, "open.py"], stderr=subprocess.DEVNULL)
killed_at = None
while first.poll() is None and killed_at is None:
    if not Path("mlflow.db").exists():
        continue
    database = sqlite3.connect("mlflow.db", timeout=0)
    try:
        killed_at = database.execute(amid).fetchone()
    except sqlite3.Error:
        pass
    finally:
        database.close()
first.kill()
first.wait()
assert killed_at, "the behaviour has changed: no step of a migration is visible from outside"
again = subprocess.run([sys.executable, "open.py"], capture_output=True, text=True)
told = [line for line in again.stderr.splitlines() if "sqlite3.OperationalError" in line]
print("killed amid:", killed_at[0])
print("opened again:", again.returncode, told[-1] if told else again.stderr[-300:])
assert again.returncode and told, "the behaviour has changed"
PY
