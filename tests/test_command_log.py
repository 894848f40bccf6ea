"""Log of a command: all that it printed and the tracebacks of its errors, in the folder of its run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from dfray import storage
from dfray.command_log import LIMIT_BYTES, LOG_NOTE, current_log, log_to, logged
from dfray.notes import note, quietly, warn
from dfray.progress import stage
from dfray.render.tables import console, styled
from dfray.text import mask


def lines_of(folder: Path | str) -> list[str]:
    """Return the lines without their times."""
    text = storage.read_bytes(f"{folder}/log.txt").decode()
    return [line if line.startswith("==") else line[9:] for line in text.splitlines()]


def end_by(error: BaseException, folder: Path) -> None:
    """End a command that works on the run in `folder` by an error."""
    with logged(["train"]):
        log_to(str(folder))
        raise error


def test_it_has_what_was_printed_before_and_after_the_run_was_named_and_what_was_kept_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logged(["train", "two words.yaml"]), quietly():
        note("a note")
        log_to(str(tmp_path))
        with stage("train", 2) as line:
            line.say("a line above")
            line.finish("best epoch 1")
        warn("a warning")
        console.print(styled("[bold]a result[/]"))
    header, *lines = lines_of(tmp_path)
    assert header.startswith("== 20")
    assert "dfray train 'two words.yaml' (" in header
    assert lines == [
        "a note",
        "a line above",
        "✓ train           2/2 0:00:00 best epoch 1",
        "a warning",
        "a result",
    ]
    assert capsys.readouterr().err == "a warning\n"


def test_each_line_is_written_at_once_and_a_second_command_appends(tmp_path: Path) -> None:
    for command in ("train", "evaluate"):
        with logged([command]):
            log_to(str(tmp_path))
            note(command)
            assert lines_of(tmp_path)[-1] == command
    assert [line for line in lines_of(tmp_path) if line[:2] != "=="] == ["train", "evaluate"]


def test_an_error_leaves_its_traceback_with_its_cause_and_names_the_log(tmp_path: Path) -> None:
    error = RuntimeError("of the driver")
    error.__cause__ = OSError("of a worker")
    with pytest.raises(RuntimeError) as failed:
        end_by(error, tmp_path)
    lines = lines_of(tmp_path)
    assert "OSError: of a worker" in lines
    assert lines[-1] == "RuntimeError: of the driver"
    assert failed.value.__notes__ == [f"{LOG_NOTE}{tmp_path}/log.txt"]


def test_lines_of_other_processes_are_written_only_before_an_error_and_only_the_last(
    tmp_path: Path,
) -> None:
    for error in (None, ValueError("of the driver")):
        with suppress(ValueError), logged(["train"]):
            log_to(str(tmp_path))
            log = current_log()
            assert log is not None
            for number in range(1000):
                log.keep(f"{number} https://me:secret@host {5000 * 'x'}")
            if error is not None:
                raise error
    lines = lines_of(tmp_path)
    others = [line for line in lines if line.endswith("xxx")]
    assert len(others) == 200
    assert {len(line) for line in others} == {1000}
    assert lines.index("Other processes wrote to stderr:") + 1 == lines.index(others[0])
    assert others[-1].startswith("999 ")
    assert lines[-1] == "ValueError: of the driver"


def test_an_interruption_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        end_by(KeyboardInterrupt(), tmp_path)
    assert lines_of(tmp_path)[-1] == "Interrupted."


def test_passwords_of_uris_are_masked(tmp_path: Path) -> None:
    with logged(["train", "registry.tracking_uri=postgresql://me:secret@host/db"]):
        log_to(str(tmp_path))
        note("No server answers at https://me:secret@host:5000.")
    text = (tmp_path / "log.txt").read_text()
    assert "secret" not in text
    assert "https://***@host:5000." in text


@pytest.mark.parametrize(
    ("uri", "logged_as"),
    [
        ("https://token@host/a", "https://***@host/a"),
        ("postgresql://u:p@ss@host/db", "postgresql://***@host/db"),
        ("redis://:pw@host", "redis://***@host"),
        (
            "https://host/clip.mp4?X-Amz-Credential=me%2F1&X-Amz-Signature=ab12&part=2",
            "https://host/clip.mp4?X-Amz-Credential=***&X-Amz-Signature=***&part=2",
        ),
        ("s3://bucket/a@b/clip.mp4", "s3://bucket/a@b/clip.mp4"),
        ("models:/faces@champion", "models:/faces@champion"),
    ],
)
def test_whatever_a_uri_has_of_credentials_is_masked_and_the_rest_stays(
    uri: str, logged_as: str
) -> None:
    assert mask(f"Cannot read {uri}: no") == f"Cannot read {logged_as}: no"


def test_a_long_log_loses_its_older_half(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("".join(f"{n:06d} line\n" for n in range(LIMIT_BYTES // 13)))
    with logged(["train"]):
        log_to(str(tmp_path))
        note(10 * "a")
        for _ in range(LIMIT_BYTES // 2**16):
            note(2**16 * "b")
        assert (tmp_path / "log.txt").stat().st_size <= LIMIT_BYTES
        note("last")
    lines = lines_of(tmp_path)
    assert lines[-1] == "last"
    assert {len(line) for line in lines[:-1]} == {2**16}  # whole lines


def test_a_log_in_a_bucket_keeps_what_earlier_commands_wrote(bucket: str) -> None:
    for command in ("train", "evaluate"):
        with logged([command]):
            log_to(bucket)
            note(command)
    assert [line for line in lines_of(bucket) if line[:2] != "=="] == ["train", "evaluate"]


def test_a_log_that_cannot_be_written_costs_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logged(["train"]):
        log_to(str(tmp_path / "none"))
        note("first")
        note("second")
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith(f"The log {tmp_path}/none/log.txt is not continued: ")
    assert others == ["first", "second"]


def test_a_command_without_a_run_leaves_no_log(tmp_path: Path) -> None:
    with logged(["plan"]):
        note("a note")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_read_on_a_terminal_changes_no_terminal(tmp_path: Path) -> None:
    with logged(["train", "a\x1b[2J.yaml"]), quietly():
        log_to(str(tmp_path))
        note("a video \x1b]0;title\x07.mp4")
    text = (tmp_path / "log.txt").read_text()
    assert r"a\x1b[2J.yaml" in text
    assert r"a video \x1b]0;title\x07.mp4" in text
    assert "\x1b" not in text
