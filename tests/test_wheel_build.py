"""The package builds as a wheel that carries what it needs besides its modules."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_carries_recipes_templates_and_the_licence(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("dfray-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"dfray/cli/app.py", "dfray/py.typed"} <= set(names)
    assert any(name.endswith("data/share/dfray/recipes/demo.yaml") for name in names)
    assert any(name.endswith("data/share/dfray/protocols/paper.yaml") for name in names)
    assert any(name.endswith("data/share/dfray/papers/table3.yaml") for name in names)
    assert any(name.startswith("dfray/evaluation/templates/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "infra/")) for name in names)
