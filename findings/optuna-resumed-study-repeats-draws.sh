#!/usr/bin/env bash
# Optuna: a study that is loaded again with the same seed proposes its first trials once more.
#
# Expected: a stored study continues its random sequence, so trial 5 of a resumed search is a new point.
# Seen:     the sampler's state is not stored; TPESampler(seed=0) of the new process starts its sequence again, and
#           trials 5 to 9 equal trials 0 to 4 to the last digit. Half of the budget is spent on known results.
# Do:       derive the seed from the number of stored trials, or store the sampler itself (pickle).
# Versions: Optuna 5.0.0, SQLite. Takes about a minute.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "optuna==5.0.0"

for process in first second; do
  "$work/env/bin/python" - "sqlite:///$work/study.db" <<'PY'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(
    study_name="search",
    storage=sys.argv[1],
    sampler=optuna.samplers.TPESampler(seed=0),
    load_if_exists=True,
)
resumed = len(study.trials)
study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=5)
points = [round(trial.params["lr"], 6) for trial in study.trials]
print("resumed:" if resumed else "started:", points)
if resumed:
    assert points[5:] == points[:5], "the behaviour has changed"
    new = optuna.load_study(
        study_name="search",
        storage=sys.argv[1],
        sampler=optuna.samplers.TPESampler(seed=len(study.trials)),
    ).ask()
    assert round(new.suggest_float("lr", 0, 1), 6) not in points, "the remedy has changed"
PY
done
