"""The worst mistakes are chosen by score and shown with their own faces."""

import io
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfray.config import FacesSection
from dfray.errors import EvaluationError
from dfray.evaluation import mistakes
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.mistakes import FACES_SHOWN, SIDE_PX, worst_mistakes
from dfray.evaluation.saliency import saliency_maps
from dfray.faces.shard_file import ShardFile
from tests.evaluation.test_saliency import bundle_of
from tests.helpers.rows import fake_row, video_row, write_store

SCORES = {
    "toy/camera/000": 0.9,
    "toy/camera/001": 0.7,
    "toy/camera/002": 0.5,
    "toy/camera/003": 0.1,
    "toy/camera/004": None,
    "toy/swap/000": 0.05,
    "toy/swap/001": 0.3,
    "toy/swap/002": 0.5,
    "toy/swap/003": 0.95,
}


def explained_of(worst, label):
    return [mistake for mistake in worst if mistake.maps and mistake.label == label]


def grey(level: int) -> np.ndarray:
    return np.full((16, 16, 3), level, np.uint8)


@pytest.fixture(params=["lz4", "jpeg"])
def made(tmp_path, request):
    """(VIDEO_SCORES, store): video n of a method has 30 n + 1 faces, each of its own grey."""
    settings = FacesSection(size_px=16, storage=request.param)
    videos = []
    for video_id, score in SCORES.items():
        _, method, stem = video_id.split("/")
        row = (video_row if method == "camera" else fake_row)(stem, split="test")
        n_faces = 0 if score is None else 30 * int(stem) + 1
        videos.append((row, [grey(10 + 2 * frame) for frame in range(n_faces)]))
    store = write_store(tmp_path, videos, settings)
    rows = [
        row
        | {"status": "ok" if images else "no_face", "n_faces": len(images)}
        | {"fake_probability": SCORES[row["video_id"]]}
        for row, images in videos
    ]
    return VIDEO_SCORES.from_rows(rows), store


def test_false_alarms_come_first_and_each_kind_worst_first(made):
    worst = worst_mistakes(*made, "test", 10)
    assert [(m.video_id, m.score) for m in worst] == [
        ("toy/camera/000", 0.9),
        ("toy/camera/001", 0.7),
        ("toy/camera/002", 0.5),
        ("toy/swap/000", 0.05),
        ("toy/swap/001", 0.3),
    ]


def test_no_more_than_asked_of_each_kind(made):
    worst = worst_mistakes(*made, "test", 1)
    assert [m.video_id for m in worst] == ["toy/camera/000", "toy/swap/000"]


def test_the_threshold_decides_what_is_a_mistake(made):
    worst = worst_mistakes(*made, "test", 10, threshold=0.92)
    assert [m.video_id for m in worst if m.label == 0] == []
    assert [m.video_id for m in worst if m.label == 1][-1] == "toy/swap/002"


def test_faces_are_the_videos_own_spread_evenly_in_time(made):
    for mistake in worst_mistakes(*made, "test", 10):
        shown = min(mistake.n_faces, FACES_SHOWN)
        expected = np.linspace(0, mistake.n_faces - 1, shown).round()
        pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in mistake.images]
        assert all(picture.shape == (SIDE_PX, SIDE_PX, 3) for picture in pictures)
        np.testing.assert_allclose(
            [picture.mean() for picture in pictures], 10 + 2 * expected, atol=2
        )


def test_only_row_groups_that_are_needed_are_read(made, monkeypatch):
    read = []
    original = ShardFile.read_row_group
    monkeypatch.setattr(
        ShardFile,
        "read_row_group",
        lambda self, group, columns: (read.append(group), original(self, group, columns))[1],
    )
    worst_mistakes(*made, "test", 1)
    assert len(read) == 2


def test_summaries_that_point_elsewhere_are_refused(made, monkeypatch):
    scores, store = made
    summaries = store.summaries(["test"])
    at = summaries.column_names.index("first_row")
    shifted = pa.array(np.asarray(summaries.column(at)) + 1)
    wrong = summaries.set_column(at, summaries.schema.field(at), shifted)
    monkeypatch.setattr(type(store), "summaries", lambda *_: wrong)
    with pytest.raises(EvaluationError, match="is no face of toy/camera/000"):
        worst_mistakes(scores, store, "test", 1)


def test_no_mistakes_give_an_empty_list(made):
    scores, store = made
    right = [
        row for row in scores.to_pylist() if row["video_id"] in ("toy/camera/003", "toy/swap/003")
    ]
    assert worst_mistakes(VIDEO_SCORES.from_rows(right), store, "test", 5) == []


def test_the_worst_of_each_kind_are_explained_toward_the_wrong_call(made):
    asked = []

    def explain(faces, *, toward_fake):
        asked.append((len(faces), toward_fake))
        return np.zeros(faces.shape[:3], np.float32)

    worst = worst_mistakes(*made, "test", 10, explain=explain)
    assert len(explained_of(worst, 0)) == len(explained_of(worst, 1)) + 1 == 3
    assert asked == [(len(m.images), m.label == 0) for m in worst]
    for mistake in worst:
        assert len(mistake.maps) == len(mistake.images)
        for face, shown in zip(mistake.images, mistake.maps, strict=True):
            pair = [np.asarray(Image.open(io.BytesIO(data))).mean() for data in (face, shown)]
            assert pair[0] == pytest.approx(pair[1], abs=2)


def test_no_more_than_a_few_are_explained(made, monkeypatch):
    monkeypatch.setattr(mistakes, "EXPLAINED", 1)
    worst = worst_mistakes(
        *made, "test", 10, explain=lambda faces, **_: np.ones(faces.shape[:3], np.float32)
    )
    assert [m.video_id for m in worst if m.maps] == ["toy/camera/000", "toy/swap/000"]
    assert all(m.maps == () for m in worst_mistakes(*made, "test", 10))


def test_mistakes_of_a_model_that_gives_no_maps_are_shown_without_and_say_why(made):
    explain = partial(saliency_maps, bundle_of("xcit_nano_12_p16_224"))
    worst = worst_mistakes(*made, "test", 10, explain=explain)
    assert [m.video_id for m in worst] == [m.video_id for m in worst_mistakes(*made, "test", 10)]
    assert all(m.maps == () and m.images for m in worst)
    assert all("Xcit" in m.unexplained and "no map" in m.unexplained for m in worst)
