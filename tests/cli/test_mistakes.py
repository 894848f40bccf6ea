"""Mistakes and failures on the command line: one line that says what, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dfray.run_folder import RunFolder, RunState
from tests.helpers.commands import Command, dfray_process
from tests.helpers.corpus import write_corpus
from tests.helpers.refused_run import RECIPE

MISTAKES = {
    "unreadable nodes": (
        ["plan", "small.yaml", "--nodes", "8x16"],
        r"--nodes: cannot read '8x16': '16' is not a number with a unit.*An example: 8x16cpu@0.68",
    ),
    "unknown recipe": (["run", "dmeo"], r"No recipe is called 'dmeo'.*Did you mean demo\?"),
    "unknown key": (
        ["run", "typo.yaml"],
        r"typo.yaml:8: unknown key trainig. Did you mean training\?",
    ),
    "unknown key in an override": (
        ["train", "demo", "training.epoch=3"],
        r"override 'training.epoch=3': unknown key training.epoch. Did you mean epochs\?",
    ),
    "unknown section in an override": (
        ["train", "demo", "trainig.epochs=3"],
        r"override 'trainig.epochs=3': unknown key trainig. Did you mean training\?",
    ),
    "wrong type": (["train", "demo", "training.epochs=x"], r"training.epochs: .*integer.*'x'"),
    "no value": (["train", "demo", "training.epochs"], r"not of the form section.key=value"),
    "corpus not there": (
        ["manifest", "check", "small.yaml"],
        r"corpora.0.root: there is no corpus. Name the folder",
    ),
    "evaluate first": (["evaluate", "small.yaml"], r"no model/bundle.json yet. Run `dfray train`"),
    "a choice on test data": (
        ["evaluate", "small.yaml", "evaluation.fit_split=test"],
        r"evaluation.fit_split: .*the test split chooses no checkpoint, threshold or parameter",
    ),
    "unknown protocol": (
        ["evaluate", "small.yaml", "--protocol", "papr"],
        r"No protocol is called 'papr'.*Did you mean paper\?",
    ),
    "model without protocol": (
        ["evaluate", "small.yaml", "--model", "models:/a/1"],
        r"--model names models for a protocol's table. Add --protocol paper",
    ),
    "protocol before train": (
        ["evaluate", "small.yaml", "--protocol", "paper"],
        r"no model/bundle.json yet. Run `dfray train`",
    ),
    "register first": (["register", "small.yaml"], r"no model/bundle.json yet. Run `dfray train`"),
    "no model": (
        ["registry", "history", "small.yaml"],
        r"no registered model 'deepfake-detector' on sqlite",
    ),
    "no champion": (["score", "clip.mp4"], r"No model has a champion on sqlite:.*mlflow.db"),
    "alias not there": (
        ["score", "clip.mp4", "--model", "models:/faces@best"],
        r"There is no registered model 'faces' on sqlite",
    ),
    "no model URI": (["score", "clip.mp4", "--model", "best"], r"Write models:/NAME@ALIAS"),
    "no tracking URI": (["score", "clip.mp4", "--tracking-uri", "runs"], r"Give http\(s\)://"),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    dfray: Command, folder: Path, arguments: list[str], told: str
) -> None:
    (folder / "typo.yaml").write_text(RECIPE.replace("training:", "trainig:"))
    done = dfray(folder, *arguments)
    assert (done.code, done.out) == (2, "")
    *progress, last = done.err.splitlines()
    assert last.startswith("dfray: error: ")
    assert re.search(told, last)
    assert not progress or re.match(r"\S manifest ", progress[0])


def test_a_mistake_ends_the_process_with_exit_code_2_and_one_line(tmp_path: Path) -> None:
    arguments, told = MISTAKES["unknown recipe"]
    done = dfray_process(tmp_path, *arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("dfray: error: ")
    assert re.search(told, line)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run"], ["train", "demo", "--epochs", "3"], ["manifest", "look"]]
)
def test_a_command_that_is_none_shows_the_usage_and_exit_code_2(
    dfray: Command, tmp_path: Path, arguments: list[str]
) -> None:
    done = dfray(tmp_path, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: dfray")
    assert "Try 'dfray" in done.err


def test_a_failure_is_one_line_and_exit_code_1_and_verbose_adds_the_traceback(
    dfray: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of Python's own is not foreseen by any check."""

    def fail(_: RunFolder) -> RunState:
        raise ValueError("unforeseen.\nMore lines.")

    write_corpus(folder / "corpus", 4, seconds=1, splits=("train", "val"))
    assert dfray(folder, "manifest", "build", "small.yaml").code == 0
    monkeypatch.setattr(RunFolder, "state", fail)
    quiet = dfray(folder, "train", "small.yaml")
    assert (quiet.code, quiet.out) == (1, "")
    *_, line = quiet.err.splitlines()
    assert re.match(r"dfray: failed: .*ValueError: unforeseen \(", line)
    assert line.endswith("(--verbose shows the traceback)")
    loud = dfray(folder, "train", "small.yaml", "--verbose")
    assert loud.code == 1
    assert "\nTraceback (most recent call last):" in loud.err
    assert "test_mistakes.py" in loud.err
    assert loud.err.splitlines()[-1] == line


def test_a_foreseen_error_of_a_run_names_its_log(dfray: Command, folder: Path) -> None:
    from dfray.tracking.client import connect

    write_corpus(folder / "corpus", 4, seconds=1, splits=("train", "val"))
    client = connect(f"sqlite:///{folder}/runs/mlflow.db")
    client.delete_experiment(client.create_experiment("deleted"))
    failed = dfray(
        folder, "train", "small.yaml", "batches.batch_size=2", "registry.experiment=deleted"
    )
    assert failed.code == 2
    *_, line = failed.err.splitlines()
    named = re.fullmatch(
        r"dfray: error: (The experiment 'deleted' has been .*) \(log: (.*)\)", line
    )
    assert named is not None, line
    assert named[1] in Path(named[2]).read_text()


def test_a_recipe_with_a_password_is_refused_without_showing_it(
    dfray: Command, folder: Path
) -> None:
    uri = "postgresql://me:pass-word@host/mlflow"
    done = dfray(folder, "train", "small.yaml", f"registry.tracking_uri={uri}")
    assert done.code == 2
    assert "registry.tracking_uri postgresql://***@host/mlflow holds a user, a password" in done.err
    assert "pass-word" not in done.out + done.err
