"""The command line as a user meets it: what it prints where, how it fails, what it leaves alone.

Every command runs in an empty folder: in this process, or, where that is the subject (imports, output of
libraries, signals, CPU time), in a process of its own with no setting of Ray or MLflow in its environment.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dfray.cli import app
from dfray.recipe import load_recipe
from tests.helpers.commands import DFRAY, Command, dfray_process, run_in
from tests.helpers.processes import wait_for

HEAVY = {"torch", "ray", "mlflow", "av", "mediapipe", "pandas", "pyarrow", "cv2", "timm", "sklearn"}


def leaves(command=None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the names of every command; `recipes` is one, and a group too."""
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        return [path]
    below = [leaf for name, sub in inner.items() for leaf in leaves(sub, (*path, name))]
    return [path, *below] if path and command.invoke_without_command else below


def test_importing_dfray_does_nothing_else(tmp_path: Path) -> None:
    code = (
        "import dfray, logging, sys, warnings; "
        f"print(sorted({HEAVY!r} & set(sys.modules)), logging.getLogger().handlers)"
    )
    done = run_in(tmp_path, sys.executable, "-c", code)
    assert (done.code, done.out, done.err) == (0, "[] []\n", "")
    assert list(tmp_path.iterdir()) == []


def test_help_answers_at_once(tmp_path: Path) -> None:
    done = dfray_process(tmp_path, "--help")
    assert done.code == 0
    assert "dfray run demo" in done.out
    assert done.cpu_s < 1.0


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["recipes"]])
def test_help_and_recipes_load_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    code = (
        "import atexit, sys; from dfray import cli; "
        f"atexit.register(lambda: print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)); "
        "cli.main()"
    )
    done = run_in(tmp_path, sys.executable, "-c", code, *arguments)
    assert (done.code, done.err) == (0, "[]\n")


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_says_what_it_does_and_what_its_options_do(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    assert len(command.help) > 30
    assert all(parameter.help for parameter in command.params)
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert command.help.splitlines()[0] in shown.stdout


def test_a_printed_recipe_is_one_that_can_be_run(dfray: Command, tmp_path: Path) -> None:
    overrides = ["training.epochs=3", "corpora.0.root=/videos/ü"]
    printed = dfray(tmp_path, "train", "demo", *overrides, "--print-recipe")
    assert printed.code == 0
    (tmp_path / "mine.yaml").write_text(printed.out)
    assert load_recipe(str(tmp_path / "mine.yaml")) == load_recipe("demo", overrides)
    again = dfray(tmp_path, "extract", "mine.yaml", "--print-recipe")
    assert again.out == printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    stage = subprocess.Popen(
        ["env", "--default-signal=INT", DFRAY, "extract", "demo", "demo.size_px=96"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    clips = tmp_path / "runs" / "clips"
    wait_for(lambda: any(clips.glob("*/videos/*.mp4")))
    stage.send_signal(signal.SIGINT)
    _, err = stage.communicate(timeout=30)
    assert stage.returncode == 130
    assert err.splitlines()[-1].startswith("Stopped. Run the same command again to resume.")
    assert "Traceback" not in err


def test_ctrl_c_in_a_search_prints_the_command_that_resumes_it(
    dfray: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dfray.stages.search", interrupt)
    done = dfray(tmp_path, "search", "demo", "description=two words", "name=a")
    assert done.code == 130
    assert (
        done.err == "Stopped. Resume: dfray search demo 'description=two words' name=a --resume\n"
    )


def test_submit_lists_what_it_would_upload_and_asks_no_cluster(
    dfray: Command, folder: Path
) -> None:
    (folder / ".env").write_text("AWS_SECRET_ACCESS_KEY=never-shown\n")
    (folder / "[red]x.py").touch()
    done = dfray(folder, "submit", "train", "small.yaml", "training.epochs=3", "--list")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert {"small.yaml", "[red]x.py", "dfray/cli/__init__.py", ".dfray/recipe.yaml"} <= set(lines)
    assert ".env" not in lines
    assert "not sent     .env: it may hold a secret" in done.err
