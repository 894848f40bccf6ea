"""A registered model sees a picture as the extraction of a corpus does: the same crops, or none for both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfray.config import CorpusSection
from dfray.datasets.manifest import build_manifest
from dfray.faces.crop_codec import decode_images
from dfray.faces.extract import ShardExtractor
from dfray.faces.model_file import FILE_NAMES, detector_model_path
from dfray.faces.shards import FacesStore
from dfray.serving.admission import Admission
from dfray.serving.scorer import MediaScorer
from dfray.tables import FACES
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.tiny import RECIPE, portrait

PORTRAIT = portrait()
GREY = cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)


def crowd() -> np.ndarray:
    """Small faces beside a large one: uint8 (720, 1280, 3)."""
    picture = background(1280, 720)
    paste(picture, draw_head(1, 420), 100, 150)
    for seed, x in ((2, 700), (3, 900), (4, 1100)):
        paste(picture, draw_head(seed, 80), x, 300)
    return picture


def save_sixteen_bits(path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)


def save_alpha(path: Path) -> None:
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:, :70] = alpha[:40] = 0
    Image.fromarray(np.dstack([PORTRAIT, alpha])).save(path)


def save_turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn to the right
    Image.fromarray(np.rot90(PORTRAIT)).save(path, quality=95, exif=exif)


def save_animated(path: Path) -> None:
    """A second without a face, then two of a face that moves; RECIPE samples two frames a second."""
    frames = [np.roll(PORTRAIT, 8 * k, axis=1) for k in range(4)]
    first, *rest = map(Image.fromarray, [background(320, 240), *frames])
    times_ms = [1000, 500, 500, 500, 500]
    first.save(path, save_all=True, append_images=rest, duration=times_ms, lossless=True)


def save_very_large(path: Path) -> None:
    picture = cv2.resize(PORTRAIT, (4200, 3150), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(picture).save(path, quality=90)


def save(form: str, *, picture: np.ndarray = PORTRAIT, mode: str = "RGB") -> Callable[[Path], None]:
    return lambda path: Image.fromarray(picture).convert(mode).save(path, form)


FACES_IN: dict[str, tuple[Callable[[Path], None], int]] = {
    "sixteen_bits.png": (save_sixteen_bits, 1),
    "alpha.png": (save_alpha, 1),
    "palette.png": (lambda path: Image.fromarray(PORTRAIT).quantize(64).save(path), 1),
    "cmyk.jpg": (save("JPEG", mode="CMYK"), 1),
    "turned.jpg": (save_turned, 1),
    "apng.png": (save_animated, 4),
    "animated.webp": (save_animated, 4),
    "one_pixel.png": (save("PNG", picture=PORTRAIT[:1, :1]), 0),
    "very_large.jpg": (save_very_large, 1),
    "page.tif": (save("TIFF"), 1),
    "camera.jfif": (save("JPEG"), 1),
    "bitmap.bmp": (save("BMP"), 1),
    "still.webp": (save("WEBP"), 1),
    "crowd.png": (save("PNG", picture=crowd()), 4),
}
"""Name of an odd picture -> how it is made, and the faces in it."""

REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "too_large.png": (lambda path: Image.new("1", (9_460, 9_460)).save(path), "89,478,485 pixels"),
    "floats.tif": (save("TIFF", picture=GREY.astype(np.float32), mode="F"), "floating point"),
    "text.png": (lambda path: path.write_text("no picture") and None, "no picture"),
    "cut_off.jpg": (lambda path: path.write_bytes(jpeg()[:2000]) and None, "truncated"),
}
"""Name of a picture that gives no crop -> how it is made, and the reason."""


def jpeg() -> bytes:
    return cv2.imencode(".jpg", PORTRAIT)[1].tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, (write, _) in (FACES_IN | REFUSED).items():
        write(folder / name)
    return folder


class Extracted:
    """The pictures in the faces store of a corpus that a CSV lists."""

    def __init__(self, folder: Path, store: FacesStore) -> None:
        lines = [f"{name},real" for name in FACES_IN | REFUSED]
        (folder / "list.csv").write_text("\n".join(["uri,label", *lines]))
        corpus = CorpusSection(reader="csv", root=str(folder / "list.csv"), split="test")
        videos = build_manifest([corpus]).videos
        store.claim(RECIPE.faces)
        extractor = ShardExtractor(store, RECIPE.faces, "summaries")
        summaries = [
            row for block in extractor.extract("test-0", videos) for row in block.to_pylist()
        ]
        extractor.close()
        self.summaries = {row["uri"].rpartition("/")[2]: row for row in summaries}
        self._faces = FACES.read(store.shard_uri("test-0.0"))

    def crops(self, name: str) -> np.ndarray:
        first, count = (self.summaries[name][key] for key in ("first_row", "n_faces"))
        return decode_images(self._faces.slice(first, count))


@pytest.fixture(scope="module")
def extracted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    return Extracted(folder, FacesStore(str(tmp_path_factory.mktemp("faces"))))


class Scorer:
    """A scorer that keeps the crops that its network is given."""

    def __init__(
        self, bundle_dir: Path, detector_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copyfile(detector_model_path("full"), detector_dir / FILE_NAMES["full"])
        self.scorer = MediaScorer(str(bundle_dir), str(detector_dir), Admission())
        self._crops: list[np.ndarray] = []
        predict = self.scorer.bundle.predict

        def keep_and_predict(crops: np.ndarray) -> Any:
            self._crops.append(crops)
            return predict(crops)

        monkeypatch.setattr(self.scorer.bundle, "predict", keep_and_predict)

    def score(self, item: object) -> tuple[pd.Series, np.ndarray]:
        """The row of one input, and its crops."""
        self._crops.clear()
        row = self.scorer.predict([item]).iloc[0]
        return row, np.concatenate([*self._crops, np.zeros((0, 224, 224, 3), np.uint8)])


@pytest.fixture(scope="module")
def scorer(bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        scorer = Scorer(bundle_dir, tmp_path_factory.mktemp("detector"), monkeypatch)
        yield scorer
        scorer.scorer.close()


@pytest.mark.parametrize("name", FACES_IN)
def test_an_odd_picture_gives_the_same_crops_when_scored_and_when_extracted(
    name: str, folder: Path, scorer: Scorer, extracted: Extracted
) -> None:
    n_faces = FACES_IN[name][1]
    row, crops = scorer.score(str(folder / name))
    assert len(crops) == row["n_faces"] == n_faces
    assert np.array_equal(crops, extracted.crops(name)) or n_faces == 0
    summary = extracted.summaries[name]
    assert (row["outcome"], row["n_frames"]) == (summary["status"], summary["n_frames"])
    assert row["outcome"] == ("ok" if n_faces else "no_face")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_both_for_the_same_reason(
    name: str, folder: Path, scorer: Scorer, extracted: Extracted
) -> None:
    row, crops = scorer.score(str(folder / name))
    summary = extracted.summaries[name]
    assert (row["outcome"], len(crops)) == ("unreadable", 0)
    assert (summary["status"], summary["n_faces"]) == ("unreadable", 0)
    assert row["reason"] == summary["reason"]
    assert REFUSED[name][1] in row["reason"]


@pytest.mark.parametrize("name", ["alpha.png", "animated.webp", "too_large.png"])
def test_the_bytes_of_a_file_are_scored_as_the_file_is(
    name: str, folder: Path, scorer: Scorer
) -> None:
    row, crops = scorer.score(str(folder / name))
    row_of_bytes, crops_of_bytes = scorer.score((folder / name).read_bytes())
    assert np.array_equal(crops, crops_of_bytes)
    compared = ["outcome", "reason", "n_frames", "n_faces"]
    assert row[compared].tolist() == row_of_bytes[compared].tolist()


def test_an_array_is_searched_as_a_file_is(folder: Path, scorer: Scorer) -> None:
    _, crops = scorer.score(str(folder / "crowd.png"))
    row, crops_of_array = scorer.score(crowd())
    assert np.array_equal(crops, crops_of_array)
    assert row["n_frames"] == 1


def test_a_service_scores_what_is_brought_and_opens_nothing_that_is_named(
    folder: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer.scorer, "admission", Admission(prefixes=("s3://bucket",)))
    named = [str(folder / "still.webp"), str(folder / "gone.png"), "s3://other/a.mp4"]
    rows = scorer.scorer.predict([*named, (folder / "still.webp").read_bytes()])
    assert rows["outcome"].tolist() == ["unreadable"] * 3 + ["ok"]
    assert rows["reason"][:3].nunique() == 1
    assert "This service does not open it." in rows["reason"][0]


def test_a_cell_that_is_not_base64_costs_itself(folder: Path, scorer: Scorer) -> None:
    picture = (folder / "still.webp").read_bytes()
    rows = scorer.scorer.predict(pd.DataFrame({"image": ["abc", picture]}))
    assert rows["outcome"].tolist() == ["unreadable", "ok"]
    assert rows["reason"][0].startswith("is not base64")
