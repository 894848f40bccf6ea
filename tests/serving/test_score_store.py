"""Scores in a file: killed at any moment and started again, each input is in it once, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import LockedError, SchemaError, UserError
from dfray.serving.face_rows import FACE_SCORES
from dfray.serving.score_formats import SUFFIXES, read_tables
from dfray.serving.score_store import FaceStore, Kept, ScoreStore
from dfray.serving.score_table import FILE_SCORES, FileScore, ScoringModel
from tests.helpers.kept_scores import MODEL, NAMES, made_score

KEEP = (sys.executable, "-m", "tests.helpers.kept_scores")


def rows(uri: str) -> list[dict]:
    """The rows of a file of scores, sorted by input, without the times."""
    suffix = uri[uri.rindex(".") :]
    with storage.local_copy(uri) as path:
        found = [
            row
            for table in read_tables(path, suffix, uri, FILE_SCORES)
            for row in table.to_pylist()
        ]
    for row in found:
        del row["scored_at"], row["work_s"]
    return sorted(found, key=lambda row: row["input"])


def keep(uri: str, *names: str, model: ScoringModel = MODEL, commit_s: float = 0) -> list[str]:
    """Keep the scores of what is missing; return its names."""
    store = ScoreStore(uri, model, commit_s)
    with store.opened():
        missing = [name for name in names if store.find(name) is None]
        for name in missing:
            store.add_score(made_score(name, model))
    return missing


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_each_format_keeps_rows_and_takes_only_what_is_missing(
    suffix: str, place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = str(tmp_path) if place == "disk" else request.getfixturevalue("bucket")
    uri = storage.join(folder, f"scores{suffix}")
    assert keep(uri, *NAMES[:3]) == NAMES[:3]
    assert keep(uri, *NAMES) == NAMES[3:]
    assert keep(uri, *NAMES) == []
    assert len(rows(uri)) == len(NAMES)
    expected = [made_score(name).row() for name in sorted(NAMES)]
    for row, score in zip(rows(uri), expected, strict=True):
        assert {k: v for k, v in score.items() if k in row and k != "input"} == {
            k: v for k, v in row.items() if k != "input"
        }
    assert [name for name in storage.list_files(folder) if "parts" in name] == []
    assert list(storage.list_folders(folder)) == []


def test_a_name_that_a_spreadsheet_would_calculate_is_found_again_in_a_csv(tmp_path: Path) -> None:
    uri = str(tmp_path / "scores.csv")
    odd = ["=1+1.mp4", "-a,b.mp4", 'say "x".mp4', "bell\x07.mp4"]
    assert keep(uri, *odd) == odd
    assert keep(uri, *odd, "new.mp4") == ["new.mp4"]
    assert len(rows(uri)) == 5
    assert "'=1+1.mp4" in (tmp_path / "scores.csv").read_text()


def keep_and_fail(uri: str, name: str) -> None:
    """Keep one score, and fail before the file is made."""
    store = ScoreStore(uri, MODEL)
    with store.opened():
        store.add_score(made_score(name))
        raise RuntimeError


def test_an_error_keeps_what_was_scored_and_the_next_command_goes_on(tmp_path: Path) -> None:
    uri = str(tmp_path / "scores.jsonl")
    with pytest.raises(RuntimeError):
        keep_and_fail(uri, "a.mp4")
    assert not Path(uri).exists()
    assert keep(uri, "a.mp4", "b.mp4") == ["b.mp4"]
    assert [row["input"] for row in rows(uri)] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    "other",
    [
        replace(MODEL, version="2"),
        replace(MODEL, name="another"),
        replace(MODEL, threshold=0.6),
        replace(MODEL, checksum="f" * 64),
    ],
)
@pytest.mark.parametrize("state", ["parts", "file"])
def test_scores_of_another_model_are_refused_and_stay(
    other: ScoringModel, state: str, tmp_path: Path
) -> None:
    uri = str(tmp_path / "scores.parquet")
    if state == "file":
        keep(uri, "a.mp4")
    else:
        with pytest.raises(RuntimeError):
            keep_and_fail(uri, "a.mp4")
    with pytest.raises(
        UserError, match=r"has rows of models:/packaged/1 with .*Name another --out"
    ):
        keep(uri, "b.mp4", model=other)
    assert keep(uri, "a.mp4", "b.mp4") == ["b.mp4"]


def test_two_commands_do_not_write_to_one_file(tmp_path: Path) -> None:
    uri = str(tmp_path / "scores.csv")
    process = subprocess.Popen([*KEEP, uri, "1"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        with pytest.raises(LockedError):
            keep(uri, "a.mp4")
    finally:
        process.kill()
        process.communicate()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SchemaError, match=r"scores.csv holds no file scores: .*it lacks"):
        keep(str(tmp_path / "scores.csv"), "a.mp4")
    (tmp_path / "scores.csv").write_text(f"input\n{'a' * 200_000}\n")
    with pytest.raises(SchemaError, match=r"scores.csv holds no file scores: .*field larger"):
        keep(str(tmp_path / "scores.csv"), "a.mp4")
    for line, fault in (("5", "is no JSON object"), ("[" * 100_000, "is nested more than 64")):
        (tmp_path / "scores.jsonl").write_text(f"{line}\n")
        with pytest.raises(SchemaError, match=rf"scores.jsonl line 1 {fault}"):
            keep(str(tmp_path / "scores.jsonl"), "a.mp4")
    with pytest.raises(UserError, match=r"--out scores.txt has none of the suffixes"):
        ScoreStore("scores.txt", MODEL)


def killed_again_and_again(uri: str, kills: int, seed: int) -> int:
    """Keep NAMES in a process that is killed at random moments after its first score; return the starts."""
    moments = random.Random(seed)
    for start in range(kills):
        process = subprocess.Popen([*KEEP, uri, "0.02"], stdout=subprocess.PIPE, text=True)
        if not process.stdout.readline():
            assert process.wait() == 0
            return start + 1
        time.sleep(moments.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    subprocess.run([*KEEP, uri, "0"], check=True, stdout=subprocess.DEVNULL)
    return kills + 1


@pytest.mark.parametrize(("suffix", "kills"), [(".csv", 4)])
def test_after_kills_at_random_moments_the_file_is_that_of_an_undisturbed_run(
    suffix: str, kills: int, tmp_path: Path
) -> None:
    check_kills(tmp_path, suffix, kills)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_after_twenty_kills_the_file_is_that_of_an_undisturbed_run(
    suffix: str, tmp_path: Path
) -> None:
    check_kills(tmp_path, suffix, 20)


def check_kills(folder: Path, suffix: str, kills: int) -> None:
    uri, undisturbed = str(folder / f"scores{suffix}"), str(folder / f"undisturbed{suffix}")
    assert killed_again_and_again(uri, kills, seed=14) > 2
    keep(undisturbed, *NAMES)
    assert rows(uri) == rows(undisturbed)


def interrupt(uri: str) -> None:
    raise InterruptedError(uri)


def test_a_kill_between_the_file_and_the_removal_of_its_parts_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "scores.csv")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove", interrupt)
        with pytest.raises(InterruptedError):
            keep(uri, "=a.mp4", "b.mp4")
    assert storage.list_files(f"{uri}.parts", ".parquet")
    assert keep(uri, "=a.mp4", "b.mp4", "c.mp4") == ["c.mp4"]
    assert [row["input"] for row in rows(uri)] == ["'=a.mp4", "b.mp4", "c.mp4"]
    assert not Path(f"{uri}.parts").exists()


def test_a_row_has_a_description_of_each_column_and_the_fields_of_a_score() -> None:
    assert list(made_score("a.mp4").row()) == FILE_SCORES.names == list(FileScore.__annotations__)
    assert all(column.doc for column in FILE_SCORES.columns)


def test_what_is_kept_of_an_input_has_its_outcome_and_faces(tmp_path: Path) -> None:
    uri = str(tmp_path / "scores.csv")
    keep(uri, *NAMES)
    store = ScoreStore(uri, MODEL)
    with store.opened():
        for name in NAMES:
            score = made_score(name)
            assert store.find(name) == Kept(score.outcome, score.n_faces)
        assert store.find("/clips/other.mp4") is None


def face_row(name: str, frame: int) -> dict:
    numbers = dict.fromkeys(FACE_SCORES.names, 1)
    model = {"model": MODEL.name, "version": MODEL.version, "checksum": MODEL.checksum}
    return numbers | model | {"input": name, "frame_index": frame, "time_s": None if frame else 0.5}


def keep_faces(
    uri: str, names: list[str], *, goes_on: bool, model: ScoringModel = MODEL
) -> list[str]:
    """Keep three rows of each input that has none, each a part; return their names."""
    store = FaceStore(uri, model, goes_on=goes_on, commit_s=0)
    with store.opened():
        missing = [name for name in names if not store.has(name)]
        for name in missing:
            store.add([face_row(name, k) for k in range(3)])
    return missing


def face_table(uri: str) -> list[tuple[str, int, float | None]]:
    suffix = uri[uri.rindex(".") :]
    return [
        (row["input"], row["frame_index"], row["time_s"])
        for table in read_tables(uri, suffix, uri, FACE_SCORES)
        for row in table.to_pylist()
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_of_faces_are_kept_beside_scores_each_input_once(suffix: str, tmp_path: Path) -> None:
    uri = str(tmp_path / f"faces{suffix}")
    assert keep_faces(uri, ["a", "b"], goes_on=True) == ["a", "b"]
    assert keep_faces(uri, ["a", "b", "c"], goes_on=True) == ["c"]
    rows = [(name, k, None if k else 0.5) for name in "abc" for k in range(3)]
    assert face_table(uri) == rows
    assert not Path(f"{uri}.parts").exists()
    other = replace(MODEL, version="2")
    with pytest.raises(
        UserError, match=r"has rows of models:/packaged/1 \(.*Name another --frames"
    ):
        keep_faces(uri, ["d"], goes_on=True, model=other)
    assert face_table(uri) == rows
    assert keep_faces(uri, ["d"], goes_on=False) == ["d"]
    assert {name for name, *_ in face_table(uri)} == {"d"}
    assert keep_faces(uri, [], goes_on=False) == []
    assert face_table(uri) == []
