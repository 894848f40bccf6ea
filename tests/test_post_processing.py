"""Each kind of post-processing does what its strength says, to every face alike, and more as it grows."""

import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from dfray import tables
from dfray.config import EvaluationSection, FacesSection, ModelSection, Recipe
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.robustness import auc_drops, measure_drops, sums_of
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.post_processing import POST_PROCESSINGS, post_process, post_processing
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.rows import fake_row, video_row, write_store

FACES = FacesSection(size_px=64)


def crops(n: int, side: int = 64) -> np.ndarray:
    """`n` pictures of one drawn head that moves by a pixel a frame: uint8 (n, side, side, 3)."""
    made = []
    for shift in range(n):
        picture = background(120, 120, 1)
        paste(picture, draw_head(1, 90), 10 + shift % 8, 15)
        made.append(np.asarray(Image.fromarray(picture).resize((side, side))))
    return np.stack(made)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("kind", POST_PROCESSINGS)
def test_there_are_five_strengths_each_harsher_than_the_one_before(kind):
    faces = crops(4)
    before = faces.copy()
    changes = []
    for strength in POST_PROCESSINGS[kind].strengths:
        changed = post_process(kind, strength, faces, ["a"] * 4)
        assert (changed.shape, changed.dtype) == (faces.shape, np.uint8)
        changes.append(difference(changed, faces))
    assert len(changes) == 5
    assert changes == sorted(changes)
    assert 0 < changes[0] < changes[-1]
    np.testing.assert_array_equal(faces, before)
    assert POST_PROCESSINGS[kind].unit


@pytest.mark.parametrize("kind", POST_PROCESSINGS)
def test_a_face_keeps_its_place_whatever_stands_before_it(kind):
    faces = np.concatenate([crops(3), crops(5)[3:], np.full((2, 64, 64, 3), 200, np.uint8)])
    videos = ["a", "a", "a", "b", "b", "c", "c"]
    whole = post_process(kind, POST_PROCESSINGS[kind].strengths[1], faces, videos)
    for start, end in ((0, 3), (3, 5), (5, 7)):
        alone = post_process(
            kind, POST_PROCESSINGS[kind].strengths[1], faces[start:end], videos[start:end]
        )
        assert difference(alone, whole[start:end]) < 0.01
        assert difference(whole[start:end], faces[start:end]) < 25


def test_noise_has_the_deviation_that_is_asked_for():
    grey = np.full((3, 64, 64, 3), 128, np.uint8)
    noisy = post_process("noise", 20, grey, ["a", "a", "b"])
    assert np.std(noisy.astype(float)) == pytest.approx(20, rel=0.02)
    assert not np.array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])


def test_blur_spreads_a_point_by_its_sigma():
    point = np.zeros((1, 65, 65, 3), np.uint8)
    point[:, 32, 32] = 255
    spread = post_process("blur", 2.0, point * 1, ["a"])[0, :, :, 0].astype(float)
    rows = np.arange(65) - 32
    variance = np.sum(spread.sum(axis=1) * rows**2) / spread.sum()
    assert np.sqrt(variance) == pytest.approx(2.0, rel=0.15)


def test_jpeg_is_what_a_jpeg_file_of_that_quality_holds():
    face = crops(1)
    buffer = io.BytesIO()
    Image.fromarray(face[0]).save(buffer, "JPEG", quality=30)
    expected = np.asarray(Image.open(buffer))
    np.testing.assert_array_equal(post_process("jpeg", 30, face, ["a"])[0], expected)


def test_resizing_removes_fine_detail_and_keeps_the_mean():
    fine = (255 * (np.indices((64, 64)).sum(axis=0) % 2)).astype(np.uint8)
    board = np.repeat(fine[None, :, :, None], 3, axis=3)
    out = post_process("resize", 0.25, board, ["a"])
    assert out.std() < 5 < board.std()
    assert out.mean() == pytest.approx(board.mean(), abs=2)


@pytest.mark.parametrize("side", [63, 64])
@pytest.mark.parametrize("n", [1, 7])
def test_h264_gives_back_every_crop_of_any_size(side, n):
    faces = crops(n, side)
    out = post_process("h264", 23, faces, ["a"] * n)
    assert out.shape == faces.shape
    assert difference(out, faces) < 6


def test_h264_gives_the_same_every_time():
    """x264's look-ahead does not, on pictures of 64 px: the memory around them shows through."""
    faces, rng = crops(3), np.random.default_rng(0)
    first = post_process("h264", 23, faces, ["a"] * 3)
    for _ in range(50):
        rng.integers(0, 256, int(rng.integers(1000, 300_000)), dtype=np.uint8)  # other memory
        np.testing.assert_array_equal(post_process("h264", 23, faces, ["a"] * 3), first)


# Scores under post-processing.


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    torch.manual_seed(0)
    section = ModelSection(backbone="resnet10t", size_px=32)
    recipe = Recipe(name="a", corpora=[{"reader": "folder", "root": "x"}], model=section)
    return Bundle(
        detector=build_detector(section, 2),
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces=FACES.model_dump(mode="json"),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng = np.random.default_rng(0)
    videos = [
        (
            (fake_row if n % 2 else video_row)(f"{n:03d}", split="test"),
            list(rng.integers(0, 256, (3 + n % 4, 64, 64, 3), dtype=np.uint8)),
        )
        for n in range(8)
    ]
    return write_store(tmp_path_factory.mktemp("faces"), videos, FACES)


def labelled(store) -> pa.Table:
    rows = store.summaries(["test"]).to_pylist()
    return VIDEO_SCORES.from_rows([row | {"fake_probability": 0.5} for row in rows])


def test_sums_are_of_every_face_clean_and_at_every_strength(bundle, store):
    faces = tables.FACES.read(store.shards("test")[0])
    sums = sums_of(bundle, faces, ["noise"], batch_size=7)
    assert sums.num_rows == 8 * 6
    clean = [row for row in sums.to_pylist() if row["kind"] == ""]
    assert sum(row["n_faces"] for row in clean) == faces.num_rows
    first = faces.filter(pa.array([v == "toy/camera/000" for v in faces["video_id"].to_pylist()]))
    images = np.stack([np.frombuffer(i, np.uint8) for i in first["image"].to_pylist()])
    alone, _ = bundle.predict(images.reshape(-1, 64, 64, 3))
    row = next(row for row in clean if row["video_id"] == "toy/camera/000")
    assert row["sum"] == pytest.approx(alone.sum(), rel=1e-4)


def test_losses_add_up_a_video_that_two_tasks_shared():
    def part(video: str, kind: str, strength: float, total: float, n_faces: int) -> dict:
        score = {"sum": total, "n_faces": n_faces}
        return {"video_id": video, "kind": kind, "strength": strength} | score

    rows = []
    for video, clean, harsh in (("r", 0.2, 0.6), ("f", 0.9, 0.5)):
        for kind, strengths in (("", (0.0,)), ("blur", POST_PROCESSINGS["blur"].strengths)):
            for strength in strengths:
                mean = harsh if strength == POST_PROCESSINGS["blur"].strengths[-1] else clean
                rows += [
                    part(video, kind, strength, mean, 1),
                    part(video, kind, strength, 3 * mean, 3),
                ]
    videos = VIDEO_SCORES.from_rows(
        [
            {"video_id": name, "dataset": "d", "split": "test", "label": label, "category": c}
            | {"method": "m", "status": "ok", "n_faces": 4, "fake_probability": 0.5}
            for name, label, c in (("r", 0, "real"), ("f", 1, "FS"))
        ]
    )
    (loss,) = auc_drops(pa.Table.from_pylist(rows), videos, ["blur"])
    assert (loss.clean, loss.aucs) == (1.0, (1.0, 1.0, 1.0, 1.0, 0.0))
    assert loss.drops == [0, 0, 0, 0, 1]
    real = videos.filter(pa.array([True, False]))
    assert auc_drops(pa.Table.from_pylist(rows), real, ["blur"]) == []


@pytest.mark.ray
def test_drops_are_what_a_plain_loop_measures(bundle, store, tmp_path, ray_session):
    from tests.helpers.scoring import scoring_in_process

    with scoring_in_process():
        measured = measured_drops(bundle, store, tmp_path)
    assert measured == drops_of_a_loop(bundle, store)


@pytest.mark.slow
def test_actors_measure_what_a_plain_loop_measures(bundle, store, tmp_path, ray_session):
    assert measured_drops(bundle, store, tmp_path) == drops_of_a_loop(bundle, store)


def measured_drops(bundle, store, tmp_path):
    bundle.save(tmp_path / "bundle")
    section = EvaluationSection(post_processing=["noise", "jpeg"], num_workers=1)
    return measure_drops(store, str(tmp_path / "bundle"), labelled(store), section)


def drops_of_a_loop(bundle, store):
    faces = tables.FACES.read(store.shards("test")[0])
    sums = sums_of(bundle, faces, ["noise", "jpeg"], batch_size=128)
    return auc_drops(sums, labelled(store), ["noise", "jpeg"])


def test_the_recipe_refuses_a_name_that_no_function_is_registered_under():
    with pytest.raises(ValueError, match="no post-processing is called 'jpg'.*Did you mean jpeg"):
        EvaluationSection(post_processing=["jpg"])
    assert EvaluationSection(post_processing=list(POST_PROCESSINGS)).post_processing


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'noise' needs a new name"):
        post_processing("noise", unit="px", strengths=(1, 2, 3, 4, 5))
