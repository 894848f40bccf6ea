"""Models of a replica: the last that were asked for stay, others leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from dfray.errors import ModelFileError
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_model_path,
    landmark_model_path,
)
from dfray.faces.supervise import Bounds
from dfray.service.loaded_model import LoadedModel, Models
from dfray.serving.score_table import ScoringModel
from dfray.serving.score_worker import Files

MODEL = ScoringModel("loaded", "1", "0" * 64, 0.5, "set by the test")


@pytest.fixture
def files(bundle_dir: Path) -> Files:
    """Files of a registered model."""
    bundle = {f"bundle/{path.name}": path.read_bytes() for path in bundle_dir.iterdir()}
    detectors = {
        FILE_NAMES["full"]: detector_model_path("full"),
        LANDMARKS_FILE: landmark_model_path(None),
    }
    return bundle | {
        f"face_detector/{name}": Path(path).read_bytes() for name, path in detectors.items()
    }


def test_a_model_that_gives_way_leaves_neither_network_nor_folder(
    files: Files, caplog: pytest.LogCaptureFixture
):
    async def three_models() -> list[tuple[weakref.ref[object], Path]]:
        models, left = Models(most=2), []
        loop = asyncio.get_running_loop()
        for key in "abc":
            model = await models.get(key, lambda: LoadedModel(files, MODEL, Bounds(), loop))
            left.append((weakref.ref(model.network), Path(model.network.files.bundle)))
            models.release(model)
            del model
        await asyncio.sleep(0.1)
        gc.collect()
        found = [(network() is not None, folder.exists()) for network, folder in left]
        await asyncio.to_thread(models.close)
        assert found == [(False, False), (True, True), (True, True)]
        return left

    left = asyncio.run(three_models())
    gc.collect()
    assert [(network() is not None, folder.exists()) for network, folder in left] == [
        (False, False)
    ] * 3
    assert caplog.records == [], "no task is destroyed while it waits"


def test_a_model_that_fails_its_check_leaves_no_folder(
    files: Files, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Path] = []

    def without_numbers(self: object, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(crops), np.nan), np.zeros((len(crops), 2))

    monkeypatch.setattr("dfray.service.loaded_model._Reader.predicted", without_numbers)

    async def load() -> None:
        loop = asyncio.get_running_loop()

        def made() -> LoadedModel:
            model = LoadedModel(files, MODEL, Bounds(), loop)
            seen.append(Path(model.network.files.bundle))
            return model

        await Models().get("a", made)

    with pytest.raises(ModelFileError, match="gives no numbers"):
        asyncio.run(load())
    assert [folder.exists() for folder in seen] == [False]
