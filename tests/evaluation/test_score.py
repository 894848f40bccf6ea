"""Scoring on actors equals scoring in a plain loop, and fails aloud on what it cannot score."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from dfray import storage, tables
from dfray.config import EvaluationSection, FacesSection, ModelSection, Recipe
from dfray.errors import EvaluationError, SchemaError, UserError
from dfray.evaluation import score
from dfray.evaluation.aggregate import check_scores, video_scores
from dfray.evaluation.metrics import compute_metrics
from dfray.evaluation.score import FaceScorer, collect_scores, plan_tasks, score_faces, score_table
from dfray.faces.crop_codec import decode_images
from dfray.faces.quality import brightness, sharpness
from dfray.faces.shard_writer import ShardWriter
from dfray.faces.shards import ROW_GROUP, FacesStore
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.tables import SCORES
from tests.helpers.rows import face_row, fake_row, video_row, write_store

FACES = FacesSection(size_px=40)
SECTION = EvaluationSection(batch_size=48, num_workers=2)


@pytest.fixture(scope="module")
def bundle_uri(tmp_path_factory) -> str:
    torch.manual_seed(0)
    section = ModelSection(backbone="resnet10t", size_px=32)
    recipe = Recipe(name="a", corpora=[{"reader": "folder", "root": "x"}], model=section)
    folder = tmp_path_factory.mktemp("bundle")
    Bundle(
        detector=build_detector(section, 2),
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces=FACES.model_dump(mode="json"),
    ).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FacesStore:
    """Three row groups of test faces, one video without a face, and one video to leave alone."""
    rng = np.random.default_rng(0)
    videos = [
        ((fake_row if n % 2 else video_row)(f"{n:03d}", split="test"), 9 * (n % 5))
        for n in range(10)
    ]
    videos.append((video_row("900", split="train"), 4))
    crops = [
        (row, list(rng.integers(0, 256, (n_faces, 40, 40, 3), dtype=np.uint8)))
        for row, n_faces in videos
    ]
    return write_store(tmp_path_factory.mktemp("faces"), crops, FACES)


def faces_of(store: FacesStore, split: str = "test") -> pa.Table:
    return tables.FACES.read(store.shards(split)[0])


@pytest.fixture(scope="module")
def looped(store, bundle_uri) -> list[dict]:
    """Each face through the model by itself."""
    bundle = Bundle.load(bundle_uri)
    faces = faces_of(store)
    rows = []
    for number, row in enumerate(faces.drop_columns("image").to_pylist()):
        image = decode_images(faces.slice(number, 1)).copy()
        probability, embedding = bundle.predict(image)
        made = {"fake_probability": probability[0], "embedding": embedding[0]}
        visible = {"sharpness": sharpness(image[0]), "brightness": brightness(image[0])}
        rows.append(row | made | visible)
    return rows


def assert_same(scores: pa.Table, rows: list[dict]) -> None:
    """Equal in every copied column, and in the model's output up to float32 rounding."""
    expected = check_scores(SCORES.from_rows(rows))
    copied = [name for name in SCORES.names if name not in ("fake_probability", "embedding")]
    assert scores.select(copied).equals(expected.select(copied))
    for name in ("fake_probability", "embedding"):
        found, wanted = (np.array(t.column(name).to_pylist()) for t in (scores, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def scored(store, bundle_uri, ray_session):
    """What two actors gave for three tasks, as Ray Data has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "GROUPS_PER_TASK", 1)
        assert len(plan_tasks(store, "test")) == 3
        return score_faces(store, bundle_uri, "test", SECTION).materialize()


@pytest.mark.ray
def test_two_actors_score_what_a_plain_loop_scores(scored, store, looped):
    scores = collect_scores(scored)
    assert_same(scores, looped)
    videos = video_scores(scores, store.summaries(["test"]))
    assert (videos.num_rows, videos.column("fake_probability").null_count) == (10, 2)


@pytest.mark.ray
def test_no_image_leaves_the_actors(scored):
    assert scored.schema().names == SCORES.names


@pytest.mark.ray
def test_a_bad_crop_ends_scoring_with_its_own_error(tmp_path, bundle_uri, ray_session):
    broken = FacesStore(str(tmp_path))
    broken.claim(FACES)
    writer = ShardWriter(broken, "test-0", FACES)
    video = video_row("000", split="test")
    writer.add_face(
        face_row(video, np.zeros((40, 40, 3), np.uint8), 0, FACES) | {"image": b"short"}
    )
    summary = {"status": "ok", "attempts": 1, "n_frames": 1, "n_frames_with_face": 1}
    summary |= {"n_decode_errors": 0, "n_faces": 1, "cpu_s": 0.1, "shard": "test-0", "first_row": 0}
    writer.add_summary(video | summary)
    writer.commit()
    with pytest.raises(SchemaError, match="does not have the 4800 bytes"):
        collect_scores(score_faces(broken, bundle_uri, "test", SECTION))


@pytest.mark.ray
def test_an_actor_that_keeps_dying_ends_scoring(store, bundle_uri, ray_session, monkeypatch):
    class Dying:
        """Local, so that Ray sends it along: its processes import nothing before they die."""

        def __init__(self, *arguments, **options):
            pass

        def __call__(self, tasks):
            import os

            os._exit(1)

    monkeypatch.setattr(score, "FaceScorer", Dying)
    with pytest.raises(EvaluationError, match=r"Scoring failed: .*died"):
        collect_scores(score_faces(store, bundle_uri, "test", SECTION))


@pytest.mark.ray
def test_a_split_without_faces_is_refused(store, bundle_uri, ray_session):
    with pytest.raises(UserError, match="no face of the split val"):
        score_faces(store, bundle_uri, "val", SECTION)


@pytest.mark.ray
def test_one_actor_alone_scores_every_face_of_its_tasks_once(
    store, bundle_uri, looped, ray_session
):
    scorer = FaceScorer(bundle_uri, batch_size=48)
    tasks = pa.Table.from_pylist(plan_tasks(store, "test"))
    batches = list(scorer(tasks))
    assert max(batch.num_rows for batch in batches) == 48
    assert_same(check_scores(pa.concat_tables(batches)), looped)


@pytest.mark.ray
def test_a_model_on_s3_is_fetched(store, bundle_uri, bucket, ray_session):
    for name in ("model.safetensors", "bundle.json"):
        storage.put(storage.join(bundle_uri, name), storage.join(bucket, "model", name))
    scorer = FaceScorer(storage.join(bucket, "model"), batch_size=48)
    faces = faces_of(store).slice(0, 8)
    local = score_table(Bundle.load(bundle_uri), faces)
    assert score_table(scorer.bundle, faces).equals(local)


def test_tasks_cover_each_row_group_once(store, monkeypatch):
    monkeypatch.setattr(score, "GROUPS_PER_TASK", 2)
    n_faces = faces_of(store).num_rows
    tasks = plan_tasks(store, "test")
    groups = [group for task in tasks for group in task["groups"]]
    assert groups == list(range(-(-n_faces // ROW_GROUP)))
    assert {task["uri"] for task in tasks} == set(store.shards("test"))


def test_a_model_without_finite_output_is_refused(store, bundle_uri):
    bundle = Bundle.load(bundle_uri)
    with torch.no_grad():
        next(bundle.detector.parameters()).fill_(float("nan"))
    with pytest.raises(EvaluationError, match="no finite score for 5 face"):
        score_table(bundle, faces_of(store).slice(0, 5))


@pytest.mark.parametrize(
    ("gpus", "workers", "share"), [(0, 2, 0), (1, 1, 1), (1, 3, 1 / 3), (8, 3, 1), (8, 12, 1 / 2)]
)
def test_gpus_are_shared_so_that_every_worker_finds_a_place(gpus, workers, share):
    assert score._gpu_share(gpus, workers) == share


def test_a_model_of_kinds_of_fakes_is_scored_as_real_against_fake(store, tmp_path):
    """Its head is set so that dark faces are real and bright ones are FS as likely as RE."""
    bright, dark = (np.full((40, 40, 3), level, np.uint8) for level in (200, 50))
    videos = [
        (video_row("r1", split="test"), [dark, dark]),
        (video_row("r2", split="test"), [dark]),
        (fake_row("f1", split="test", category="RE"), [bright]),
        (fake_row("f2", split="test", category="fake", dataset="of another corpus"), [bright]),
    ]
    faces = write_store(tmp_path, videos, FACES)
    section = ModelSection(backbone="resnet10t", size_px=32)
    torch.manual_seed(0)
    detector, preprocess = build_detector(section, 3).eval(), Preprocess(section)
    with torch.inference_mode():
        _, seen = detector(preprocess(torch.from_numpy(np.stack([dark, bright]))))
    towards = (seen[1] - seen[0]) / (seen[1] - seen[0]).square().sum()
    with torch.no_grad():
        detector.backbone.fc.weight.copy_(torch.stack([-towards, towards, towards]))
        detector.backbone.fc.bias.copy_(torch.tensor([1.0, 0, 0]) * (seen.mean(0) @ towards) * 2)
    recipe = Recipe(name="a", corpora=[{"reader": "folder", "root": "x"}], model=section)
    bundle = Bundle(
        detector, preprocess, recipe.model_dump(mode="json"), ("real", "FS", "RE"), 0.5, {}
    )
    scores = score_table(bundle, faces_of(faces))
    by_video = video_scores(scores, faces.summaries(["test"]))
    level = compute_metrics(by_video, scores, EvaluationSection(min_per_class=1), 0).overall.video
    assert level.auc.value == 1
    assert level.balanced_accuracy.value == 1
    # The logits of the fakes lie 1 above that of real if bright, 1 below it if dark.
    expected = [2 / (2 + np.exp(1))] * 3 + [2 / (2 + np.exp(-1))] * 2
    fake = scores.column("fake_probability").to_numpy()
    np.testing.assert_allclose(np.sort(fake), expected, rtol=1e-3)
