"""Scores by actors: those of one process, each once, whatever dies, and no sooner read than needed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfray.errors import DfrayError
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_model_path,
    landmark_model_path,
)
from dfray.models.bundle import Bundle
from dfray.serving.admission import Admission
from dfray.serving.examination import Examination
from dfray.serving.examine import examine
from dfray.serving.inputs import MediaInput
from dfray.serving.score_files import ModelFolder, Workers, score_media
from dfray.serving.score_pool import Layout, score_on_workers
from dfray.serving.score_table import ScoringModel
from dfray.serving.score_worker import Files, ScoringWorker, SharedNetwork, packed
from dfray.serving.scorer import MediaScorer
from tests.helpers.heads import background
from tests.helpers.tiny import png, portrait, write_clip

pytestmark = pytest.mark.usefixtures("ray_session")
MODEL = ScoringModel("packaged", "1", "0" * 64, 0.5, "set by the recipe")


class FragileWorker(ScoringWorker):
    """A worker that dies of files named deadly."""

    def score(self, item: MediaInput) -> Examination:
        if "deadly" in item.uri:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(item)


class UnstartedWorker(ScoringWorker):
    """A worker that cannot load its model."""

    def load(self) -> None:
        raise DfrayError("The model is broken.")


@pytest.fixture(scope="module")
def folder(bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registered model, as far as scoring needs it."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(bundle_dir, folder / "artifacts" / "bundle")
    detector = folder / "artifacts" / "face_detector"
    detector.mkdir()
    shutil.copyfile(detector_model_path("full"), detector / FILE_NAMES["full"])
    shutil.copyfile(landmark_model_path(None), detector / LANDMARKS_FILE)
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> Files:
    return packed(folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[MediaInput]:
    folder = tmp_path_factory.mktemp("inputs")
    for k in range(3):
        write_clip(folder / f"clip {k}.mp4", portrait(k), seconds=k + 1)
        (folder / f"{k}.png").write_bytes(png(portrait(k)))
    (folder / "none.png").write_bytes(png(background(320, 240)))
    (folder / "text.mp4").write_text("no video")
    names = [*sorted(path.name for path in folder.iterdir()), "gone.mp4"]
    odd = MediaInput("/clips/list.csv, row 7", fault="Row 7 of the list: None names no file.")
    return [*(MediaInput(str(folder / name)) for name in names), odd]


@pytest.fixture(scope="module")
def expected(folder: Path, inputs: list[MediaInput]) -> list[dict]:
    artifacts = folder / "artifacts"
    scorer = MediaScorer(str(artifacts / "bundle"), str(artifacts / "face_detector"), Admission())
    rows = [compared(examine(item, scorer, MODEL, "score")) for item in inputs]
    scorer.close()
    return by_input(rows)


def compared(examination: Examination) -> dict:
    row = examination.score.row()
    return {k: v for k, v in row.items() if k not in ("work_s", "scored_at")}


def by_input(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: row["input"])


def assert_same(scores: list[Examination], expected: list[dict]) -> None:
    rows = by_input(list(map(compared, scores)))
    assert [row["input"] for row in rows] == [row["input"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row.pop("fake_probability") == pytest.approx(other["fake_probability"], abs=1e-5)
        assert row == {k: v for k, v in other.items() if k != "fake_probability"}


@pytest.mark.ray
@pytest.mark.parametrize("layout", [Layout(2), Layout(2, n_networks=1, gpus=0)])
def test_workers_give_each_input_the_score_that_one_process_gives_it(
    layout: Layout, files: Files, inputs: list[MediaInput], expected: list[dict]
) -> None:
    assert_same(list(score_on_workers(files, MODEL, inputs, layout)), expected)


@pytest.mark.ray
@pytest.mark.parametrize("layout", [Layout(2), Layout(2, n_networks=1, gpus=0)])
def test_workers_give_the_faces_that_one_process_gives(
    layout: Layout, folder: Path, files: Files, inputs: list[MediaInput]
) -> None:
    here = score_media(ModelFolder(folder, MODEL), inputs, Workers(1), "faces")
    there = score_on_workers(files, MODEL, inputs, layout, depth="faces")
    found, expected = ({seen.score.input: seen for seen in all_} for all_ in (there, here))
    assert sum(len(seen.faces) for seen in found.values()) > 10
    for name, seen in found.items():
        assert len(seen.faces) == seen.score.n_faces
        assert seen.outcomes == expected[name].outcomes
        for face, other in zip(seen.faces, expected[name].faces, strict=True):
            assert face.fake_probability == pytest.approx(other.fake_probability, abs=1e-5)
            assert replace(face, fake_probability=0) == replace(other, fake_probability=0)


@pytest.mark.ray
def test_many_inputs_are_scored_by_workers_and_a_few_by_this_process(
    folder: Path, inputs: list[MediaInput], expected: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, layouts = ModelFolder(folder, MODEL), []

    def on_workers(*arguments: Any, **more: Any) -> Iterator[Examination]:
        layouts.append(arguments[-1])
        return score_on_workers(*arguments, **more)

    monkeypatch.setattr("dfray.serving.score_pool.score_on_workers", on_workers)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert_same(list(score_media(model, inputs, Workers())), expected)
    assert len(layouts) == 1
    few = {item.uri for item in inputs[:3]}
    scores = list(score_media(model, inputs[:3], Workers()))
    assert_same(scores, [row for row in expected if row["input"] in few])
    assert len(list(score_media(model, inputs, Workers(1)))) == len(inputs)
    assert len(layouts) == 1
    assert len(list(score_media(model, inputs[:2], Workers(2)))) == 2
    assert layouts[1].n_workers == 2


@pytest.mark.ray
def test_a_file_that_kills_its_workers_costs_its_own_row_alone(
    files: Files, inputs: list[MediaInput], expected: list[dict]
) -> None:
    everything = [inputs[0], MediaInput("/clips/deadly.mp4"), *inputs[1:]]
    scores = list(score_on_workers(files, MODEL, everything, Layout(2), FragileWorker))
    (deadly,) = [score for score in scores if "deadly" in score.score.input]
    assert (deadly.score.outcome, deadly.score.verdict) == ("crashed", None)
    assert deadly.score.reason.startswith("2 workers died while they scored it: ")
    assert_same([score for score in scores if score is not deadly], expected)


@pytest.mark.ray
def test_what_keeps_workers_from_starting_is_raised(files: Files, inputs: list[MediaInput]) -> None:
    with pytest.raises(DfrayError, match="The model is broken"):
        list(score_on_workers(files, MODEL, inputs, Layout(1), UnstartedWorker))


@pytest.mark.ray
def test_scores_come_while_the_source_of_names_is_silent_and_it_is_read_no_further_than_needed(
    files: Files, inputs: list[MediaInput]
) -> None:
    read: list[str] = []
    go_on = threading.Event()

    def source() -> Iterator[MediaInput]:
        yield inputs[0]
        assert go_on.wait(120)
        for k in range(100):
            read.append(inputs[1].uri)
            yield MediaInput(f"/gone/{k}.mp4")

    scores = score_on_workers(files, MODEL, source(), Layout(1))
    assert next(scores).score.input == inputs[0].uri
    go_on.set()
    assert next(scores).score.outcome == "unreadable"
    time.sleep(0.5)
    assert len(read) < 20
    scores.close()


def crops(*counts: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (n, 224, 224, 3), np.uint8) for n in counts]


def test_a_shared_network_scores_faces_of_several_videos_in_full_batches(
    files: Files, bundle_dir: Path
) -> None:
    pieces = crops(5, 3, 9, 1, 6)

    async def scored() -> tuple[list, list[int]]:
        network = SharedNetwork(files, "cpu", batch=8, wait_s=5)
        found = await asyncio.gather(*(network.predict(piece) for piece in pieces))
        return found, list(network.sizes)

    found, sizes = asyncio.run(scored())
    assert sizes == [8, 8, 8]
    expected, _ = Bundle.load(bundle_dir).predict(np.concatenate(pieces))
    np.testing.assert_allclose(np.concatenate([scores for scores, _ in found]), expected, atol=1e-5)
    assert [len(scores) for scores, _ in found] == [len(piece) for piece in pieces]


def test_a_face_waits_no_longer_for_a_full_batch_than_stated(files: Files) -> None:
    async def scored() -> list[int]:
        network = SharedNetwork(files, "cpu", batch=8, wait_s=0.2)
        await asyncio.wait_for(network.predict(crops(3)[0]), 60)
        return list(network.sizes)

    assert asyncio.run(scored()) == [3]


def test_an_error_of_a_shared_network_reaches_whoever_sent_the_faces(files: Files) -> None:
    async def failed() -> None:
        network = SharedNetwork(files, "cpu", batch=1, wait_s=0.1)
        with pytest.raises(Exception, match="faces are uint8"):
            await network.predict(np.zeros((1, 4, 4, 7), np.uint8))
        scores, _ = await network.predict(crops(1)[0])
        assert len(scores) == 1

    asyncio.run(failed())
