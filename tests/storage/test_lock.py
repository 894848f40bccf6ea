"""Locks of folders: one holder at a time, on a disk and in a bucket, and none that outlives its process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import LockedError, StorageError
from dfray.storage import lock as locks
from dfray.storage.exclusive_file import exclusive_file
from dfray.storage.lock_holder import FREE, Holder
from dfray.storage.object_store import ObjectStore
from tests.helpers.locks import of_elsewhere, record_of
from tests.helpers.proxy import Fault, FaultProxy

HOLD = """
import sys, time
from dfray import storage
with storage.locked(sys.argv[1], "first/0123456789ab"):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def _writes_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test server looks at a condition and then writes, so that two at once could both succeed."""
    plain, turn = ObjectStore._call_s3, asyncio.Lock()

    async def call_in_turn(self: ObjectStore, method: str, *args, **options):
        if method != "put_object":
            return await plain(self, method, *args, **options)
        async with turn:
            return await plain(self, method, *args, **options)

    monkeypatch.setattr(ObjectStore, "_call_s3", call_in_turn)


@pytest.fixture(params=["disk", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on a disk, and in a bucket."""
    if request.param == "disk":
        return str(tmp_path / "run")
    request.getfixturevalue("_writes_in_turn")
    return f"{request.getfixturevalue('bucket')}/run"


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that holds the lock of a folder; it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_second_process_is_told_of_the_holder_and_takes_over_once_it_is_killed(
    tmp_path: Path, holding: Callable[[str], subprocess.Popen[str]], capsys: pytest.CaptureFixture
) -> None:
    folder = str(tmp_path / "run")
    first = holding(folder)
    with pytest.raises(LockedError) as refused, storage.locked(folder, "second/1"):
        pytest.fail("both hold the lock")
    assert f"{folder}: first/0123456789ab (host " in str(refused.value)
    assert f"pid {first.pid}, since 20" in str(refused.value)
    assert f"`kill {first.pid}`" in refused.value.hint
    assert refused.value.exit_code == 2
    first.kill()
    first.wait()
    assert storage.holder_of(folder) is None
    with storage.locked(folder, "second/1"):
        holder = storage.holder_of(folder)
        assert holder is not None
        assert (holder.work, holder.pid) == ("second/1", os.getpid())
    assert "taken over from first/0123456789ab" in capsys.readouterr().err


def test_a_holder_that_is_a_job_is_named_with_the_command_that_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = '{"metadata": {"job_submission_id": "dfray-train-1"}}'
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", config)
    record_of(str(tmp_path), of_elsewhere())
    with pytest.raises(LockedError, match="job dfray-train-1") as refused:
        storage.require_unlocked(str(tmp_path))
    assert "`dfray stop dfray-train-1`" in refused.value.hint


def test_a_released_lock_is_free_and_is_taken_again(folder: str) -> None:
    assert storage.holder_of(folder) is None
    for _ in range(2):
        with storage.locked(folder, "toy/1"), storage.locked(folder, "toy/1"):
            assert storage.holder_of(folder) is not None
        assert storage.holder_of(folder) is None


def test_of_many_that_take_a_lock_at_once_one_has_it(folder: str) -> None:
    racers = [storage.Lock(folder, f"toy/{i}") for i in range(6)]
    with ThreadPoolExecutor(len(racers)) as pool:
        holders = list(pool.map(storage.Lock.take, racers))
    assert holders.count(None) == 1
    winner = f"toy/{holders.index(None)}"
    assert {holder.work for holder in holders if holder} == {winner}


def test_of_many_that_take_over_from_a_dead_holder_at_once_one_has_the_lock(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    record_of(folder, replace(Holder.this_process("dead/1"), pid=ended.pid, started=1.0))
    racers = [storage.Lock(folder, f"toy/{i}") for i in range(6)]
    with ThreadPoolExecutor(len(racers)) as pool:
        assert list(pool.map(storage.Lock.take, racers)).count(None) == 1


def test_a_pid_that_another_process_has_now_is_no_holder(tmp_path: Path) -> None:
    record_of(str(tmp_path), replace(Holder.this_process("dead/1"), started=1.0))
    assert storage.holder_of(str(tmp_path)) is None


def test_a_holder_on_another_machine_is_dead_once_its_renewal_is_too_old(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_of(folder, of_elsewhere())
    with pytest.raises(LockedError, match="host elsewhere"), storage.locked(folder, "toy/1"):
        pytest.fail("both hold the lock")
    monkeypatch.setattr(locks, "LIMIT_S", -1.0)
    with storage.locked(folder, "toy/1"):
        pass


def test_a_silent_holder_is_awaited_until_it_is_dead_or_renews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(locks, "POLL_S", 0.02)
    monkeypatch.setattr(locks, "SILENT_S", 0.05)
    monkeypatch.setattr(locks, "LIMIT_S", 0.3)
    record_of(str(tmp_path), of_elsewhere())
    time.sleep(0.1)
    with storage.locked(str(tmp_path), "toy/1"):
        pass
    assert "no sign of life of first/0123456789ab (host elsewhere" in capsys.readouterr().err
    record_of(str(tmp_path), of_elsewhere())
    time.sleep(0.1)
    renewing = threading.Timer(0.05, record_of, (str(tmp_path), of_elsewhere()))
    renewing.start()
    with pytest.raises(LockedError), storage.locked(str(tmp_path), "toy/1"):
        pytest.fail("both hold the lock")
    renewing.join()


def test_ages_are_by_the_clock_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_of(str(tmp_path), of_elsewhere())
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert storage.holder_of(str(tmp_path)) is not None


def test_a_lock_is_renewed_while_it_is_held(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "RENEW_S", 0.02)
    with storage.locked(folder, "toy/1"):
        end = time.monotonic() + 20
        while (holder := storage.holder_of(folder)) is None or holder.renewals < 2:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_holder_whose_lock_was_taken_over_is_stopped_with_the_reason(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RENEW_S", 0.05)
    begun = time.monotonic()
    with (  # noqa: PT012
        pytest.raises(StorageError, match=r"lock of .*run was lost"),
        storage.locked(folder, "toy/1"),
    ):
        while not record_of(folder, of_elsewhere()):
            pass
        time.sleep(30)
    assert time.monotonic() - begun < 20
    holder = storage.holder_of(folder)
    assert holder is not None
    assert holder.host == "elsewhere"


def test_a_holder_in_another_thread_than_the_main_one_learns_of_the_loss_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RENEW_S", 0.02)
    errors: list[Exception] = []

    def lose() -> None:
        try:
            with storage.locked(str(tmp_path), "toy/1"):
                while not record_of(str(tmp_path), of_elsewhere()):
                    pass
                time.sleep(0.2)
        except StorageError as error:
            errors.append(error)

    thread = threading.Thread(target=lose)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_a_renewal_whose_answer_was_lost_loses_no_lock(
    bucket: str, s3_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = storage.Lock(f"{bucket}/run", "toy/1")
    assert lock.take() is None
    lost: list[str] = []

    def lose_the_first(request: object) -> Fault | None:
        if getattr(request, "method", "") != "PUT" or lost:
            return None
        lost.append("answer")
        return Fault(is_lost=True)

    s3_faults.fault = lose_the_first
    assert lock._renew()
    assert lost
    assert lock._renew()


def test_a_holder_that_cannot_reach_the_store_gives_up_before_others_take_over(
    bucket: str, s3_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = storage.Lock(f"{bucket}/run", "toy/1")
    assert lock.take() is None
    s3_faults.fault = lambda request: Fault(403, "AccessDenied")
    assert lock._renew()
    monkeypatch.setattr(locks, "LIMIT_S", 0.0)
    assert not lock._renew()


@pytest.mark.parametrize("answer", ["ignores", "refuses"])
def test_a_store_without_conditional_writes_is_told_of(
    answer: str, bucket: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in is the client, which drops the condition, or is answered that it is not implemented."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    plain = ObjectStore._call_s3

    async def without_conditions(self: ObjectStore, method: str, *args, **options):
        condition = {options.pop(name, None) for name in ("IfMatch", "IfNoneMatch")} - {None}
        if condition and answer == "refuses":
            metadata = {"HTTPStatusCode": 501}
            error = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": metadata}
            raise translate_boto_error(ClientError(error, "PutObject"))
        return await plain(self, method, *args, **options)

    monkeypatch.setattr(ObjectStore, "_call_s3", without_conditions)
    with storage.locked(f"{bucket}/run", "toy/1"):
        pass
    assert "ignores conditional writes" in capsys.readouterr().err
    with pytest.raises(StorageError, match="Cannot write s3://dfray-no-such-bucket"):
        exclusive_file("s3://dfray-no-such-bucket/lock").replace(b"", None)


def test_a_lock_whose_release_could_not_be_written_is_free_for_the_same_process(
    bucket: str, s3_faults: FaultProxy
) -> None:
    with storage.locked(f"{bucket}/run", "toy/1"):
        s3_faults.fault = lambda request: Fault(403, "AccessDenied")
    s3_faults.pass_on()
    assert storage.holder_of(f"{bucket}/run") is None


def test_the_signal_of_a_loss_is_the_commands_before_again(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with storage.locked(str(tmp_path), "toy/1"):
        assert signal.getsignal(signal.SIGUSR2) is not before
    assert signal.getsignal(signal.SIGUSR2) is before


def test_a_generation_that_its_writer_did_not_finish_is_free_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage.locked(str(tmp_path), "toy/1"):
        pass
    (generation,) = (tmp_path / "lock").iterdir()
    assert generation.read_bytes() == FREE
    Path(tmp_path, "lock", str(int(generation.name) + 1)).touch()
    monkeypatch.setattr("dfray.storage.exclusive_file._UNFINISHED_S", 0.05)
    with storage.locked(str(tmp_path), "toy/1"):
        pass
