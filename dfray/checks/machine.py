"""Checks of the machine, without a recipe: `dfray doctor`. Each states what it saw, good or not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from dfray import storage
from dfray.checks.finding import Finding, named_findings
from dfray.checks.versions import differs_from_lock, outside_of_ranges
from dfray.config import ClusterSection, RegistrySection
from dfray.session import local_node
from dfray.tracking.client import require_reachable, resolve_tracking_uri

GIB = 2**30
_LITTLE_DISK, _LITTLE_SHARED, _LITTLE_MEMORY = 10 * GIB, 1 * GIB, 4 * GIB
_LITTLE_TEMPORARY = 2 * GIB
_ANSWER_S = 5.0


def machine_findings() -> list[Finding]:
    """Return what all checks of the machine see, in the order of MACHINE."""
    return [item for name, find in MACHINE.items() for item in named_findings(name, find)]


def _python() -> Iterator[Finding]:
    yield _ok(f"{platform.python_version()} at {sys.executable}")


def _packages() -> Iterator[Finding]:
    outside, unlocked = outside_of_ranges(), differs_from_lock()
    for sentence in outside:
        yield Finding(sentence, "Install what pyproject.toml asks for: make setup.")
    if unlocked:
        more = f" and {len(unlocked) - 5} more" if len(unlocked) > 5 else ""
        some = ", ".join(unlocked[:5]) + more
        yield _warning(
            f"{len(unlocked)} packages are not of the locked, tested version: {some}.",
            "make setup installs the locked ones.",
        )
    if not outside and not unlocked:
        yield _ok(f"as pyproject.toml and the lock ask for; dfray {_version('dfray')}")


def _ray() -> Iterator[Finding]:
    yield _ok(f"Ray {_version('ray')}, torch {_version('torch')}, MLflow {_version('mlflow')}")


def _gpu() -> Iterator[Finding]:
    """Yield the GPUs that Ray counts, and a torch that cannot use them."""
    import torch

    count = int(local_node(ClusterSection()).resources["GPU"])
    driver = Path("/proc/driver/nvidia/version")
    if not count:
        yield _ok("none: training runs on CPUs")
    elif torch.cuda.is_available():
        first = driver.read_text().splitlines()[0] if driver.is_file() else "driver unknown"
        yield _ok(f"{count} x {torch.cuda.get_device_name()}; {first}")
    else:
        yield Finding(
            f"Ray counts {count} GPU(s), and torch {torch.__version__} cannot use them.",
            "Check that nvidia-smi answers, and that torch is built for the driver's CUDA; or set "
            "training.use_gpu: false.",
        )


def _memory() -> Iterator[Finding]:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):  # counts what caches give back, too
            free = int(line.split()[1]) * 1024
    text = f"{os.cpu_count()} CPUs, {free / GIB:,.1f} GiB of memory available"
    yield _at_least(
        free, _LITTLE_MEMORY, text, "Lower cluster.num_cpus and cluster.object_store_mb."
    )


def _shared_memory() -> Iterator[Finding]:
    free = shutil.disk_usage("/dev/shm").free
    mend = "Ray's object store lies there; start a container with --shm-size=8g."
    yield _at_least(free, _LITTLE_SHARED, f"{free / GIB:,.1f} GiB free in /dev/shm", mend)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    text = f"{free / GIB:,.1f} GiB free in {Path.cwd()}"
    yield _at_least(free, _LITTLE_DISK, text, "Set work_dir to a larger disk or to s3://.")


def _temporary_folder() -> Iterator[Finding]:
    place = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    with storage.short_folder(place):
        free = shutil.disk_usage(place).free
    text = f"{free / GIB:,.1f} GiB free in {place}, where a local Ray keeps what exceeds its memory"
    yield _at_least(free, _LITTLE_TEMPORARY, text, "Set TMPDIR to a larger disk.")


def _model_files() -> Iterator[Finding]:
    from dfray.faces.model_file import detector_model_path, landmark_model_path, models_folder

    detector_model_path("full")
    detector_model_path("short")
    landmark_model_path()
    yield _ok(f"detectors and landmarks in {models_folder()}")


def _object_store() -> Iterator[Finding]:
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        yield _ok("AWS_ENDPOINT_URL is not set: s3:// is Amazon's")
        return
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; a request without a signature is refused
    except (OSError, ValueError) as error:
        yield Finding(
            f"AWS_ENDPOINT_URL is {url}, and nothing answers there: {getattr(error, 'reason', error)}.",
            "Check the address, and that the object store runs.",
        )
        return
    yield _ok(f"{url} answers")


def _mlflow() -> Iterator[Finding]:
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        yield _ok("MLFLOW_TRACKING_URI is not set: sqlite in each work_dir")
        return
    uri = resolve_tracking_uri(RegistrySection(), "runs")
    require_reachable(uri)
    yield _ok(f"{uri} answers")


MACHINE = {
    "python": _python,
    "packages": _packages,
    "libraries": _ray,
    "memory": _memory,
    "GPU": _gpu,
    "shared memory": _shared_memory,
    "disk": _disk,
    "temporary folder": _temporary_folder,
    "model files": _model_files,
    "object store": _object_store,
    "MLflow": _mlflow,
}
"""Name of a check -> a function that yields what it sees, or raises a DfrayError."""


def _ok(message: str) -> Finding:
    return Finding(message, severity="ok")


def _warning(message: str, hint: str) -> Finding:
    return Finding(message, hint, "warn")


def _at_least(value: float, limit: float, message: str, hint: str) -> Finding:
    """Return a warning if a value is under its limit."""
    return _ok(message) if value >= limit else _warning(f"Only {message}.", hint)


def _version(package: str) -> str:
    return importlib.metadata.version(package)
