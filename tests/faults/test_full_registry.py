"""A registration on a disk that fills up is told, and done once there is room."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError
from dfray.registry.versions import Versions
from dfray.serving.package import register
from dfray.tracking.run import start_run
from tests.helpers.tiny import FIGURES, RECIPE


def test_a_full_disk_is_told_by_a_registration_and_the_next_one_is_whole(
    small_disk: Path, bundle_dir: Path
) -> None:
    uri = f"sqlite:///{small_disk}/mlflow.db"
    with start_run(RECIPE, uri, manifest_fingerprint="m") as run:
        add = partial(
            register,
            bundle_dir,
            section=RegistrySection(model_name="full"),
            tracking_uri=uri,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )
    (small_disk / "filler").write_bytes(bytes(3 * 2**20))
    with pytest.raises(RegistryError, match="A disk is full, .*then run again") as caught:
        add()
    assert "Check registry.tracking_uri" not in str(caught.value)
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    assert add() == "1"
    with Versions("full", uri).downloaded("1"):
        pass  # raises if a file was lost
