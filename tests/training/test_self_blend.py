"""Training on self-blended faces through the real step, and the validation that selects."""

import numpy as np
import pytest
import torch

from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.batches.self_blend import SelfBlend
from dfray.config import (
    BatchesSection,
    FacesSection,
    ModelSection,
    ObjectiveSection,
    SelfBlendSection,
    TripletSection,
)
from dfray.losses.objective import Objective
from dfray.models.backbone import build_detector
from dfray.models.preprocess import Preprocess
from dfray.training import validate as validation
from tests.helpers.heads import HEAD_OVAL, head_pictures
from tests.helpers.mesh import oval_landmarks
from tests.helpers.rows import video_row, write_store
from tests.training.kit import step_over

SECTION = SelfBlendSection(ratios=(1.0,), rgb=0.2)


def test_steps_learn_to_tell_fakes_made_of_real_faces_alone():
    step, _ = step_over("resnet10t", weight=0.0, blend=SelfBlend(SECTION))
    faces = torch.from_numpy(head_pictures(8, 64))
    points, labels = oval_landmarks(8, **HEAD_OVAL), torch.zeros(8, dtype=torch.long)
    step.augment.preprocess.size_px = 48
    torch.manual_seed(0)
    terms = [step(faces, labels, number, points) for number in range(4, 24)]
    losses = [float(term["cross_entropy"]) for term in terms]
    assert np.mean(losses[:4]) > 0.55
    assert np.mean(losses[-4:]) < 0.45


def test_a_step_shows_the_detector_twice_the_faces_it_is_given():
    seen = []

    class Watch(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, images):
            seen.append(len(images))
            return self.model(images)

    step, _ = step_over(blend=SelfBlend(SECTION), wrap=Watch)
    faces = torch.from_numpy(head_pictures(6, 40))
    step(faces, torch.zeros(6, dtype=torch.long), 0, oval_landmarks(6, **HEAD_OVAL))
    assert seen == [12]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Five real videos of seven heads each; the third face of each has no landmarks."""
    points = oval_landmarks(1, **HEAD_OVAL)[0].numpy() * 32
    heads = head_pictures(35, 32)
    videos = [(video_row(f"{i}", split="val"), list(heads[i * 7 : i * 7 + 7])) for i in range(5)]
    return write_store(
        tmp_path_factory.mktemp("faces"),
        videos,
        FacesSection(size_px=32, landmarks=True),
        lambda video, frame: (
            None if frame == 2 else points + frame + int(video["video_id"][-1]) / 9
        ),
    )


def validate_as(store, monkeypatch, world_size: int, usable: int = 30) -> dict[str, float]:
    """The figures of so many workers, run one after the other and put together by hand.

    Together they show the detector `usable` faces and as many blended ones.
    """
    torch.manual_seed(0)
    model = ModelSection(backbone="test_resnet", size_px=32)
    detector = build_detector(model, 2)
    batches = BatchesSection(batch_size=8, self_blend=SECTION)
    sample = sample_faces(store.summaries(), "val", batches)
    shares = []
    for rank in range(world_size):
        reader = FacesReader(store, sample, batches, rank=rank, world_size=world_size, seed=5)
        parts = []

        def gather(share, parts=parts, rank=rank):
            parts.append(share)
            before = [other[len(parts) - 1] for other in shares]
            return torch.cat([*before, share])

        monkeypatch.setattr(validation, "_gather", gather)
        figures = validation.validate(
            detector,
            Preprocess(model),
            Objective(ObjectiveSection(triplet=TripletSection(weight=0.5))),
            reader,
            torch.device("cpu"),
            SelfBlend(SECTION),
            batch_size=8,
        )
        shares.append(parts)
    assert sum(len(parts[2]) for parts in shares) == 2 * usable
    return figures


def test_validation_blends_alike_every_time_and_whoever_scores(store, monkeypatch):
    alone, again = (validate_as(store, monkeypatch, 1) for _ in range(2))
    assert alone == again
    assert validate_as(store, monkeypatch, 2) == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("faces", [1, 2])
def test_a_worker_without_a_usable_face_validates_with_the_others(faces, tmp_path, monkeypatch):
    """There is no second face, or it has no landmarks."""
    points = oval_landmarks(1, **HEAD_OVAL)[0].numpy() * 32
    few = write_store(
        tmp_path,
        [(video_row("a", split="val"), list(head_pictures(faces, 32)))],
        FacesSection(size_px=32, landmarks=True),
        lambda video, frame: None if frame else points,
    )
    alone = validate_as(few, monkeypatch, 1, usable=1)
    assert validate_as(few, monkeypatch, 2, usable=1) == alone


@pytest.mark.parametrize(
    ("backbone", "size_px"),
    [
        ("efficientnet_b4", 380),
        pytest.param("vit_base_patch16_224", 224, marks=pytest.mark.slow),
    ],
)
def test_the_papers_backbones_take_blended_faces(backbone, size_px):
    section = ModelSection(backbone=backbone, size_px=size_px)
    detector = build_detector(section, 2).eval()
    preprocess = Preprocess(section)
    pixels = preprocess.pixels(torch.from_numpy(head_pictures(1, 256)))
    both, labels = SelfBlend(SECTION).pairs(pixels, oval_landmarks(1, **HEAD_OVAL))
    with torch.inference_mode():
        logits, _ = detector(preprocess.normalise(both))
    assert both.shape == (2, 3, size_px, size_px)
    assert labels.tolist() == [0, 1]
    assert torch.isfinite(logits).all()
