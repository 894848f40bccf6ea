"""A real `dfray train` that is cut off: its exit code, its MLflow run, what it leaves, and its second try."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import DFRAY, plain_environment
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.refused_run import RECIPE
from tests.helpers.runs import latest_run, mlflow_status

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(2400)]
WORDS = ("train", "small.yaml", "training.epochs=40", "training.max_failures=0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe, its corpus, and a place for temporary files."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "temporary").mkdir()
    write_corpus(tmp_path / "corpus", 8, seconds=1, splits=("train", "val"))
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [DFRAY, *WORDS],
        cwd=folder,
        env=plain_environment() | {"TMPDIR": str(folder / "temporary")},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def training(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has trained ten epochs: Ray notes a checkpoint some seconds after it is there."""
    process = start(folder)

    def has_trained() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return any(folder.glob("runs/small/*/train/epoch-0[1-3]*"))

    try:
        wait_for(has_trained, 900)
        yield process
    finally:
        process.kill()
        process.communicate()


def left_in(folder: Path) -> list[str]:
    """Return what lies below the marks of processes, and the names of links to it."""
    temporary = folder / "temporary"
    links = Path(f"/tmp/dfray-{os.getuid()}").iterdir()
    left = [
        path.name for path in links if path.is_symlink() and str(temporary) in os.readlink(path)
    ]
    return left + [path.name for path in temporary.glob("*/*/*")]


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [(signal.SIGTERM, 143, "KILLED"), (signal.SIGKILL, -signal.SIGKILL, "RUNNING")],
)
def test_a_training_that_is_ended_goes_on_where_it_was_and_leaves_nothing_behind(
    folder: Path,
    training: subprocess.Popen[str],
    number: signal.Signals,
    code: int,
    status: str,
) -> None:
    training.send_signal(number)
    _, err = training.communicate(timeout=400)
    assert training.returncode == code
    assert mlflow_status(folder / "runs", "small") == status
    is_clean = number == signal.SIGTERM
    assert err.endswith("Stopped. Run the same command again to resume.\n") == is_clean
    assert (left_in(folder) == []) == is_clean

    again = start(folder)
    _, err = again.communicate(timeout=1200)
    assert again.returncode == 0, err
    assert "training resumes after epoch " in err
    assert mlflow_status(folder / "runs", "small") == "FINISHED"
    assert left_in(folder) == []


def test_the_death_of_the_controller_is_told_and_the_training_goes_on(
    folder: Path, training: subprocess.Popen[str]
) -> None:
    (controller,) = ray_processes("ray::TrainController", training.pid)
    controller.kill()
    _, err = training.communicate(timeout=400)
    assert training.returncode == 1
    *_, line = err.splitlines()
    assert line.startswith("dfray: failed: ")
    assert "Ray Train's controller of the training has died" in line
    assert mlflow_status(folder / "runs", "small") == "FAILED"
    _, err = start(folder).communicate(timeout=1200)
    assert "training resumes after epoch " in err
    assert mlflow_status(folder / "runs", "small") == "FINISHED"


def test_what_a_worker_that_crashed_has_written_is_in_the_log_that_the_error_names(
    folder: Path, training: subprocess.Popen[str]
) -> None:
    (worker,) = ray_processes("ray::RayTrainWorker", training.pid)
    worker.send_signal(signal.SIGSEGV)
    _, err = training.communicate(timeout=400)
    assert training.returncode == 1
    log = latest_run(folder / "runs", "small") / "log.txt"
    *_, line = err.splitlines()
    assert line.startswith("dfray: failed: ")
    assert line.endswith(f"(log: {log})")
    assert "Fatal Python error: Segmentation fault" in log.read_text()
    assert f"pid={worker.pid}" in log.read_text()
    assert "(Ray raylet) A worker died" in log.read_text()
    assert mlflow_status(folder / "runs", "small") == "FAILED"
