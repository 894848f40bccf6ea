"""What logs a run's epochs goes with it through the restarts of its workers (its faults: tests/faults)."""

from __future__ import annotations

from pathlib import Path

import ray.cloudpickle

from dfray.tracking.curve import LogEpoch
from dfray.tracking.run import Run


def test_what_has_logged_an_epoch_can_still_be_sent_to_new_workers(tmp_path: Path):
    """Ray Train sends its callbacks along whenever it starts workers, after a lost one too."""
    run = Run(f"sqlite:///{tmp_path}/mlflow.db", "none")
    log = LogEpoch(run)
    log({"epoch": 0, "ended_at_s": 0.0})
    sent = ray.cloudpickle.loads(ray.cloudpickle.dumps(log))
    assert (sent.tracked.tracking_uri, sent.tracked.run_id) == (run.tracking_uri, run.run_id)
