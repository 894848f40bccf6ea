"""The wheel that a model carries, and the requirements that go with it."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from wheel.wheelfile import WheelFile

import dfray
from dfray.serving.requirements import inference_requirements
from dfray.serving.wheel import build_wheel


def test_equal_code_gives_equal_bytes(tmp_path: Path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = (build_wheel(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with WheelFile(first) as wheel:
        assert {member.date_time for member in wheel.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_wheel_is_whole(tmp_path: Path):
    """Opening each member checks it against RECORD."""
    package = Path(dfray.__file__).parent
    sources = {f"dfray/{file.relative_to(package)}" for file in package.rglob("*.py")}
    with WheelFile(build_wheel(tmp_path)) as wheel:
        assert sources <= set(wheel.namelist())
        assert not [name for name in wheel.namelist() if "__pycache__" in name]
        for name in wheel.namelist():
            if not name.endswith("/RECORD"):
                with wheel.open(name) as file:
                    file.read()


def test_pip_installs_the_wheel(tmp_path: Path):
    """And it is the same package: a wheel built from the installed one has the same bytes."""
    wheel = build_wheel(tmp_path)
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(wheel)], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import dfray\n"
        f"assert dfray.__file__.startswith({str(site)!r})\n"
        "from dfray.serving.wheel import build_wheel\n"
        f"print(build_wheel({str(site)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).read_bytes() == wheel.read_bytes()


def test_a_model_requires_what_scoring_imports_and_no_more():
    pinned = {
        Requirement(line).name: str(Requirement(line).specifier)
        for line in inference_requirements()
    }
    for name in (
        "torch",
        "torchvision",
        "timm",
        "mediapipe",
        "av",
        "numpy",
        "safetensors",
        "mlflow",
    ):
        assert pinned[name] == f"=={importlib.metadata.version(name).partition('+')[0]}"
    assert not {"ray", "scikit-learn", "plotly", "typer", "dfray"} & set(pinned)
