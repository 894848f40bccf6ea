#!/usr/bin/env bash
# Ray Train: Result.metrics is empty unless the metrics were reported with a checkpoint.
#
# Expected: trainer.fit().metrics holds the metrics of the last train.report(), as it did with Ray Train V1.
# Seen:     it holds those of the last report that came with a checkpoint. A run that saves after epoch 1 of 3 returns
#           the metrics of epoch 1, and a run that saves nothing returns None.
# Do:       report a checkpoint with every epoch whose metrics are needed, or collect them on a path of your own.
# Versions: Ray 2.60.0. Takes two minutes; starts Ray on two logical CPUs and stops it.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "ray[default,train]==2.60.0"
export RAY_TRAIN_V2_ENABLED=1 RAY_AUTH_MODE=disabled RAY_raylet_start_wait_time_s=300

"$work/env/bin/python" - "$work" 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import sys
import tempfile

import ray
from ray import train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


def three_epochs(config):
    for epoch in range(3):
        checkpoint = None
        if epoch in config["saved"]:
            checkpoint = train.Checkpoint.from_directory(tempfile.mkdtemp())
        train.report({"epoch": epoch}, checkpoint=checkpoint)


def fit(name, saved):
    trainer = DataParallelTrainer(
        three_epochs,
        train_loop_config={"saved": saved},
        scaling_config=train.ScalingConfig(num_workers=1),
        run_config=train.RunConfig(name=name, storage_path=sys.argv[1]),
    )
    return trainer.fit().metrics


ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR")
nothing_saved, first_saved = fit("nothing", []), fit("first", [0])
ray.shutdown()
print("three epochs reported, no checkpoint:", nothing_saved)
print("three epochs reported, a checkpoint with the first:", first_saved)
assert nothing_saved is None, "the behaviour has changed"
assert first_saved["epoch"] == 0, "the behaviour has changed"
PY
