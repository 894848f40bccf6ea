"""A local Ray of which a process dies ends the command with one line, soon."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from dfray.errors import LocalRayError, UserError
from dfray.local_ray import watched
from dfray.termination import interrupt_on_signals
from tests.helpers.commands import DFRAY, plain_environment
from tests.helpers.corpus import write_crowds
from tests.helpers.processes import title, wait_for
from tests.helpers.toy import TOY

TOLD_WITHIN_S = 20.0


@pytest.fixture
def process() -> subprocess.Popen[bytes]:
    """What stands for the raylet."""
    return subprocess.Popen(["sleep", "60"])


@pytest.mark.usefixtures("signals_restored")
def test_work_on_a_ray_whose_process_dies_is_interrupted_and_says_why(
    process: subprocess.Popen[bytes],
) -> None:
    def work() -> None:
        with watched({"raylet": process}):
            process.kill()
            time.sleep(60)

    interrupt_on_signals()
    began = time.monotonic()
    with pytest.raises(LocalRayError, match="The raylet of the local Ray has died.*to resume"):
        work()
    assert time.monotonic() - began < 10


def test_errors_of_the_work_on_a_living_ray_stay_what_they_are(
    process: subprocess.Popen[bytes],
) -> None:
    with pytest.raises(UserError, match="mine"), watched({"raylet": process}):
        raise UserError("mine")
    process.kill()
    process.wait()


def test_what_follows_from_a_death_is_told_as_the_death(process: subprocess.Popen[bytes]) -> None:
    def work() -> None:
        with watched({"GCS": process}):
            process.kill()
            process.wait()
            raise ConnectionError

    with pytest.raises(LocalRayError, match="The GCS"):
        work()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("victim", ["gcs/gcs_server", "raylet/raylet"])
def test_an_extraction_without_them_ends_with_one_line_and_is_gone_on_with(
    victim: str, tmp_path: Path
) -> None:
    write_crowds(tmp_path / "clips", 8, seconds=6)
    words = [f"work_dir={tmp_path}", f"corpora.0.root={tmp_path}/clips", "faces.size_px=64"]
    command = [DFRAY, "extract", TOY, *words, "cluster.extract_workers=1"]
    with (tmp_path / "err").open("w") as err:
        driver = subprocess.Popen(command, env=plain_environment(), stderr=err)
    wait_for(lambda: any(tmp_path.glob("faces/*/videos/*.parquet")), timeout_s=240)
    (dies,) = [
        child
        for child in psutil.Process(driver.pid).children(recursive=True)
        if victim in title(child).split(" ")[0]
    ]
    dies.kill()
    began = time.monotonic()
    assert driver.wait(60) == 1
    assert time.monotonic() - began < TOLD_WITHIN_S
    last = (tmp_path / "err").read_text().strip().splitlines()[-1]
    assert last.startswith("dfray: failed: ")
    assert "of the local Ray has died" in last
    subprocess.run(command, env=plain_environment(), check=True)
