"""The command line as a user meets it: what it prints where, how it fails, what it leaves alone.

Every command runs in an empty folder: in this process, or, where that is the subject (imports, output of
libraries, signals, CPU time), in a process of its own with no setting of Ray or MLflow in its environment.
"""

from __future__ import annotations

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dfray import storage
from dfray.cli import app
from dfray.recipe import load_recipe
from tests.helpers.commands import DFRAY, Command, dfray_process, run_in
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import wait_for
from tests.helpers.refused_run import REFUSING, RefusedRun

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


def test_manifest_check_counts_and_lists_and_writes_nothing(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 6, seconds=1, splits=("train", "val", "test"))
    (folder / "corpus" / "train" / "real" / "empty.mp4").touch()
    (folder / "corpus" / "val" / "FS" / "text.mp4").write_text("no video")
    rows = [f"corpus/{s}/real/{n}.mp4,real" for s, n in (("train", "000"), ("test", "gone"))]
    (folder / "list.csv").write_text(f"uri,label,split\n{rows[0]},test\n{rows[1]},test\n")
    before = sorted(folder.rglob("*"))
    done = dfray(folder, "manifest", "check", "small.yaml", "batches.batch_size=2")
    assert done.code == 0, done.err
    assert re.search(r"toy +train +real +2\ntoy +train +FS +1\ntoy +val +real +1", done.out)
    assert "8 videos; 0 missing; 2 cannot be opened (8 were tried)." in done.out
    assert "toy/real/empty: empty file" in done.out
    assert "toy/FS/text: Invalid data found when processing input" in done.out
    listed = dfray(
        folder,
        "manifest",
        "check",
        "small.yaml",
        "corpora=[{reader: csv, root: list.csv, dataset: two}]",
    )
    assert "1 videos; 1 missing; 0 cannot be opened (1 were tried)." in listed.out
    assert re.search(r"missing\n +\S*corpus/test/real/gone.mp4", listed.out)
    quick = dfray(folder, "manifest", "check", "small.yaml", "--list-only")
    assert "8 videos; 0 missing; 0 cannot be opened (0 were tried)." in quick.out
    assert sorted(folder.rglob("*")) == before


def test_a_server_that_is_away_is_said_within_seconds_and_before_any_work(
    dfray: Command, folder: Path
) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{sock.getsockname()[1]}"
        told = f"No MLflow server answers at {dead}."
        write_corpus(folder / "corpus", 4, seconds=1, splits=("train", "val"))
        start = time.monotonic()
        scored = dfray(folder, "score", "clip.mp4", MLFLOW_TRACKING_URI=dead)
        assert time.monotonic() - start < 15
        assert (scored.code, scored.out) == (1, "")
        assert scored.err.startswith(f"dfray: failed: {told}")
        assert len(scored.err.splitlines()) == 1
        walked = dfray(folder, "train", "small.yaml", f"registry.tracking_uri={dead}")
        assert walked.code == 2
        assert told in walked.err
        assert not (folder / "runs" / "small" / "manifest.parquet").exists()


def test_a_split_with_one_class_is_refused_before_any_work(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 3, seconds=1, splits=("train", "val"))
    done = dfray(folder, "train", "small.yaml")
    assert (done.code, done.out) == (2, "")
    assert "  - classes: Split val has no fake video." in done.err
    assert not (folder / "runs" / "small" / "faces").exists()


@pytest.mark.ray
def test_a_run_prints_results_on_stdout_and_a_line_a_stage_on_stderr(
    refused_run: RefusedRun,
) -> None:
    """No word of Ray, torch or MLflow gets through."""
    run = refused_run.done
    stages = ("manifest", "extract", "evaluate", "register", "promote")  # "extract + train"
    # Ours, and meant; the last begins the lines of a stage that takes half a minute and more.
    said = ("The local Ray declares", "has BatchNorm", "parameters are trained", "· ")
    lines = [line for line in run.err.splitlines() if not any(word in line for word in said)]
    assert [line.split()[1] for line in lines] == list(stages)
    assert [line[0] for line in lines] == ["✓", "✓", "✓", "✓", "✗"]  # a refusal is no tick
    assert "score files" not in run.out  # nothing is there to score with
    assert "all videos" in run.out
    report = rf"report        {refused_run.work_dir}/small/[0-9a-f]{{12}}/evaluation/report.html\n"
    assert re.search(report, run.out)
    assert "✓" not in run.out


@pytest.mark.ray
def test_a_run_whose_detector_is_refused_says_why_with_exit_code_1(
    refused_run: RefusedRun,
) -> None:
    assert refused_run.done.code == 1
    assert "is not promoted, there is no champion:\n  - calibration error" in refused_run.done.out


@pytest.fixture
def promoted(refused_run: RefusedRun, dfray: Command) -> Path:
    """The folder of that run's recipe; its detector is promoted afterwards with a gate that it passes."""
    folder = refused_run.folder
    if not (folder / "promoted").exists():
        done = dfray(folder, "promote", "small.yaml")
        assert done.code == 0, done.err
        (folder / "promoted").touch()
    return folder


@pytest.mark.ray
def test_the_history_as_json_holds_the_refusal_and_the_promotion(
    promoted: Path, dfray: Command
) -> None:
    history = json.loads(dfray(promoted, "registry", "history", "small.yaml", "--json").out)
    assert [decision["promoted"] for decision in history] == [False, True]


@pytest.mark.ray
def test_a_finished_run_started_again_ends_there_again(promoted: Path, dfray: Command) -> None:
    again = dfray(promoted, "run", "small.yaml", REFUSING)
    assert again.code == 0, again.err
    assert "version 1 is the champion" in again.out
    assert "one unseen clip, scored by the champion" in again.out
    (page,) = re.findall(r"score page +(\S+)", again.out)
    html = storage.read_bytes(page).decode()
    assert 'Known truth</div><div class="value words">fake (' in html
    assert "called fake" in html
    assert len(json.loads(dfray(promoted, "registry", "history", "small.yaml", "--json").out)) == 2


@pytest.mark.ray
def test_an_unchanged_run_says_so_and_starts_no_ray(
    promoted: Path, dfray: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    dfray(promoted, "run", "small.yaml", REFUSING)
    monkeypatch.setattr("dfray.run_context.session", lambda *_, **__: pytest.fail("Ray is started"))
    again = dfray(promoted, "run", "small.yaml", REFUSING)
    assert again.code == 0, again.err
    assert again.out.startswith(
        "Nothing has changed and nothing was done. Version 1 was promoted; its report: s3://"
    )
    stages = [line.split()[1] for line in again.err.splitlines()]
    assert stages == ["manifest", "extract", "train", "evaluate", "register", "promote"]


@pytest.mark.ray
def test_the_state_of_each_stage_names_the_keys_because_of_which_it_is_due(
    promoted: Path, dfray: Command
) -> None:
    longer = dfray(promoted, "status", "small.yaml", "training.epochs=3", COLUMNS="120")
    assert longer.code == 0, longer.err
    assert re.search(r"extract +done +12 videos", longer.out)
    assert re.search(r"train +due +training.epochs 2 -> 3", longer.out)
    renamed = dfray(promoted, "status", "small.yaml", "registry.model_name=other", COLUMNS="120")
    assert re.search(r"train +done", renamed.out)
    assert re.search(
        r"register +due +registry.model_name \"deepfake-detector\" -> \"other\"", renamed.out
    )
    named = dfray(promoted, "status", "small.yaml", "name=another", COLUMNS="120")
    assert re.search(r"train +reused +from small/[0-9a-f]{12}", named.out)


@pytest.mark.ray
def test_score_prints_json_that_parses_and_tells_a_missing_file_by_its_exit_code(
    promoted: Path, dfray: Command
) -> None:
    """The first in a process of its own: no word of MLflow, torch or MediaPipe gets through."""
    clip = next((promoted / "corpus" / "test" / "real").iterdir()).relative_to(promoted)
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted}/mlflow.db"}
    done = dfray_process(promoted, "score", str(clip), "--json", **registry)
    assert (done.code, done.err) == (0, "")
    score = json.loads(done.out)
    assert score["input"] == str(promoted / clip)
    assert 0 <= score["fake_probability"] <= 1
    both = dfray(promoted, "score", str(clip), "gone.mp4", **registry)
    assert both.code == 1
    first, second = both.out.splitlines()[1:3]
    assert first.endswith(f"  {promoted / clip}")
    assert f"  {promoted / 'gone.mp4'}  (" in second
    assert second.rstrip().endswith("No such file or directory)")


@pytest.mark.ray
def test_score_takes_a_folder_keeps_its_scores_and_started_again_does_what_is_missing(
    promoted: Path, dfray: Command, tmp_path: Path
) -> None:
    clips = sorted((promoted / "corpus" / "test").rglob("*.mp4"))
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted}/mlflow.db"}
    out = tmp_path / "scores.csv"
    first = dfray(promoted, "score", str(clips[0]), "--out", str(out), **registry)
    assert first.code == 0, first.err
    again = dfray(promoted, "score", "corpus/test", "--out", str(out), "--json", **registry)
    assert again.code == 0, again.err
    assert [json.loads(line)["input"] for line in again.out.splitlines()] == [
        str(clip) for clip in clips[1:]
    ]
    assert f"{len(clips) - 1} input(s) scored and added to {out}; 1 were there." in again.err
    words = ("score", "gone.mp4", "corpus/test", "--out", str(out))
    assert dfray(promoted, *words, **registry).code == 1
    told = dfray(promoted, *words, **registry)
    assert told.code == 1, "the input could not be read in the run before"
    assert "of which 1 could not be read: remove their rows to try again." in told.err
    with out.open(newline="") as file:
        names = sorted(row["input"] for row in csv.DictReader(file))
    assert names == sorted(map(str, [*clips, promoted / "gone.mp4"]))


@pytest.mark.ray
def test_score_writes_a_row_for_each_face(promoted: Path, dfray: Command) -> None:
    clip = next((promoted / "corpus" / "test" / "real").iterdir()).relative_to(promoted)
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted}/mlflow.db"}
    words = ["score", str(clip), "--json", "--frames"]
    done = dfray(promoted, *words, "faces.jsonl", **registry)
    assert done.code == 0, done.err
    score = json.loads(done.out)
    rows = [json.loads(line) for line in (promoted / "faces.jsonl").read_text().splitlines()]
    assert len(rows) == score["n_faces"] > 0
    assert {row["input"] for row in rows} == {str(promoted / clip)}
    mean = sum(row["fake_probability"] for row in rows) / len(rows)
    assert mean == pytest.approx(score["fake_probability"], abs=1e-6)
    refused = dfray(promoted, *words, "faces.xlsx", **registry)
    assert refused.code != 0
    assert "--frames faces.xlsx has none of the suffixes .parquet, .csv, .jsonl." in refused.err


def test_doctor_prints_a_row_a_check_and_with_a_recipe_its_problems(
    dfray: Command, folder: Path
) -> None:
    done = dfray(folder, "doctor", "small.yaml", "training.use_gpu=true", "--json")
    rows = {row["check"]: row for row in json.loads(done.out)}
    assert done.code == 2
    assert rows["python"]["severity"] == "ok"
    assert rows["corpora"]["message"] == "corpora.0.root: there is no corpus."
    assert "GPU" in rows["room to train"]["message"]
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]
    table = dfray(folder, "doctor").out.splitlines()
    assert table[0].split() == ["check", "finding"]
    assert table[1].split()[:2] == ["✓", "python"]


def test_a_dry_run_prints_the_plan_and_all_that_would_be_refused(
    dfray: Command, folder: Path
) -> None:
    words = ["training.use_gpu=true", "registry.tracking_uri=runs"]
    done = dfray(folder, "train", "small.yaml", "--dry-run", *words)
    assert done.code == 2
    assert "parameters" in done.out
    assert re.search(r"dfray: error: 3 problems:\n  - tracking: .*\n  - corpora: ", done.err)
    assert "  - room to train: The plan needs 1 GPU at once" in done.err
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("search", "tracking: "),
        ("evaluate", "no model/bundle.json yet"),
        ("register", "no model/bundle.json yet"),
        ("promote", "registry.model_name 'a/b' is no name"),
    ],
)
def test_every_dry_run_ends_with_all_that_would_be_refused(
    dfray: Command, folder: Path, command: str, reason: str
) -> None:
    words = ["registry.model_name=a/b", "registry.tracking_uri=runs"]
    done = dfray(folder, command, "small.yaml", "--dry-run", *words)
    assert done.code == 2
    assert reason in done.err
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


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


def test_a_quiet_command_prints_its_result_alone(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 2, seconds=1, splits=("train",))
    loud = dfray(folder, "manifest", "build", "small.yaml")
    quiet = dfray(folder, "manifest", "build", "small.yaml", "--quiet")
    assert loud.err.startswith("✓ manifest")
    assert (quiet.code, quiet.err, quiet.out) == (0, "", loud.out)


def test_a_table_in_a_pipe_is_not_folded(dfray: Command, folder: Path) -> None:
    root = folder / ("a" * 100) / ("b" * 100)
    write_corpus(root, 2, seconds=1)
    words = ["corpora=[{reader: folder, root: '" + str(root) + "', dataset: " + "d" * 200 + "}]"]
    rows = dfray(folder, "manifest", "build", "small.yaml", *words).out.splitlines()
    assert sum("d" * 200 in row for row in rows) == 2  # real and FS


def test_a_check_of_the_demo_draws_no_clip(dfray: Command, tmp_path: Path) -> None:
    done = dfray(tmp_path, "manifest", "check", "demo")
    assert (done.code, done.err) == (0, "")
    assert "164 videos; 0 missing; 0 cannot be opened (0 were tried)." in done.out
    assert list(tmp_path.iterdir()) == []


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
