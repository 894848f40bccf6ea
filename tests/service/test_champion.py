"""The champion under load: moves of the alias, a damaged version, and replicas that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dfray.registry.versions import CHAMPION, Versions
from dfray.service import champion as module
from dfray.service.task import ServedModel
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.service import Service, register_tiny, service
from tests.helpers.tiny import png, portrait

pytestmark = [pytest.mark.usefixtures("ray_session"), pytest.mark.timeout(600)]
WITHIN_S = 10


@pytest.fixture(scope="module")
def versions(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Three versions; the first is the champion."""
    return register_tiny(tmp_path_factory.mktemp("moving"), tracking_uri, "moving", 3)


@pytest.fixture(scope="module")
def served(ray_session: None, tracking_uri: str, versions: Versions) -> Iterator[Service]:
    with service(tracking_uri, model="models:/moving@champion", replicas=2, queue=64) as running:
        yield running


@pytest.fixture
def face(tmp_path: Path) -> Path:
    (tmp_path / "face.png").write_bytes(png(portrait()))
    return tmp_path / "face.png"


def version_of(served: Service, face: Path) -> str:
    answer = served.score(face)
    assert answer.status_code == 200, answer.text
    return answer.json()["score"]["version"]


@contextmanager
def load(served: Service, face: Path, clients: int = 4) -> Iterator[list[tuple[int, str | None]]]:
    """Send the picture by some clients until the block ends; the list has (status, version) of answers."""
    answers: list[tuple[int, str | None]] = []
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            answer = served.score(face)
            answers.append((answer.status_code, answer.json().get("score", {}).get("version")))

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client) for _ in range(clients)]
        try:
            yield answers
        finally:
            ended.set()
        for one in running:
            one.result()


def moved(versions: Versions, served: Service, to: str) -> float:
    """Move the alias, and return the seconds until that version answers."""
    versions.point(CHAMPION, to)
    began = time.monotonic()
    wait_for(lambda: served.front.champion.require().model.model.version == to, 60)
    return time.monotonic() - began


@pytest.mark.parametrize("count", [60, pytest.param(510, marks=pytest.mark.slow)])
def test_a_promotion_and_a_rollback_under_load_cost_no_request(
    served: Service, versions: Versions, face: Path, count: int
):
    with load(served, face) as answers:
        wait_for(lambda: len(answers) >= count / 3, 300)
        there = moved(versions, served, "2")
        wait_for(lambda: len(answers) >= 2 * count / 3, 300)
        back = moved(versions, served, "1")
        wait_for(lambda: len(answers) >= count, 300)
    assert max(there, back) < WITHIN_S
    assert Counter(status for status, _ in answers) == {200: len(answers)}
    assert {version for _, version in answers} == {"1", "2"}
    assert version_of(served, face) == "1"
    print(f"{len(answers)} requests, none failed; followed after {there:.1f} and {back:.1f} s")


def test_a_damaged_champion_is_refused_and_told_and_the_old_one_stays(
    served: Service, versions: Versions, face: Path
):
    with spoiled_weights(versions, "3"):
        versions.point(CHAMPION, "3")
        wait_for(lambda: served.get("/health").json()["status"] == "degraded", 60)
        told = served.get("/health").json()
        assert told["model"] == "models:/moving/1"
        assert "version 3 of moving is damaged" in told["fault"]
        assert "dfray_champion_fault 1.0" in served.get("/metrics").text
        assert version_of(served, face) == "1"
        versions.point(CHAMPION, "1")
        wait_for(lambda: served.get("/health").json()["status"] == "ok", 60)


@contextmanager
def spoiled_weights(versions: Versions, number: str) -> Iterator[None]:
    """Change a byte of a version's weights for as long as the block lasts."""
    from mlflow.artifacts import download_artifacts

    uri = versions.client.get_model_version_download_uri(versions.name, number)
    folder = download_artifacts(
        artifact_uri=uri, tracking_uri=versions.tracking_uri
    )  # the place itself
    (weights,) = Path(folder).rglob("bundle/*.safetensors")
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        yield
    finally:
        weights.write_bytes(sound)


def test_a_damaged_champion_is_told_again_when_the_alias_comes_back_to_it(
    tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "EVERY_S", 0.1)
    versions = register_tiny(tmp_path, tracking_uri, "coming back", 2)

    async def loads(_: ServedModel) -> None:
        """Stand for a replica, which a damaged version does not reach."""

    async def told_of(champion: module.Champion, number: str) -> str | None:
        """Point the alias to a version, and return the fault that stands after some looks."""
        await asyncio.to_thread(versions.point, CHAMPION, number)
        await asyncio.sleep(3)
        return champion.fault

    async def moves() -> list[str | None]:
        champion = module.Champion(f"models:/{versions.name}@{CHAMPION}", tracking_uri, loads)
        await champion.load()
        following = asyncio.create_task(champion.follow())
        found = [await told_of(champion, number) for number in ("2", "1", "2")]
        following.cancel()
        return found

    with spoiled_weights(versions, "2"):
        first, between, again = asyncio.run(moves())
    assert between is None
    assert first is not None
    assert "damaged" in first
    assert again == first


def test_a_champion_that_is_unset_leaves_the_served_one(
    served: Service, versions: Versions, face: Path
):
    assert version_of(served, face) == "1"
    versions.unpoint(CHAMPION)
    wait_for(lambda: served.get("/health").json()["status"] == "degraded", 60)
    assert version_of(served, face) == "1"
    versions.point(CHAMPION, "1")
    wait_for(lambda: served.get("/health").json()["status"] == "ok", 60)


def test_a_killed_replica_costs_a_retry_and_no_request(served: Service, face: Path):
    with load(served, face) as answers:
        wait_for(lambda: len(answers) >= 10, 60)
        os.kill(replica_pids()[0], signal.SIGKILL)
        n_before = len(answers)
        wait_for(lambda: len(answers) >= n_before + 20, 120)
        wait_for(lambda: len(replica_pids()) == 2, 120)
    assert Counter(status for status, _ in answers) == {200: len(answers)}


def replica_pids() -> list[int]:
    """Processes of the replicas, which are of this process's Ray."""
    return [process.pid for process in ray_processes("ray::ServeReplica:dfray", of=os.getpid())]
