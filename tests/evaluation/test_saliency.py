"""Maps point to what moved the score, for convolutional nets and transformers alike."""

import numpy as np
import pytest
import torch
from torch import nn

from dfray.config import ModelSection, Recipe
from dfray.errors import EvaluationError
from dfray.evaluation.saliency import overlay, saliency_maps
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle, fake_log_odds
from dfray.models.preprocess import Preprocess

RNG = np.random.default_rng(0)
SIZE = 64


def bundle_of(backbone: str) -> Bundle:
    torch.manual_seed(0)
    section = ModelSection(backbone=backbone, size_px=SIZE)
    recipe = Recipe(name="a", corpora=[{"reader": "folder", "root": "x"}], model=section)
    return Bundle(
        detector=build_detector(section, 2),
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces={},
    )


def faces(n: int = 2) -> np.ndarray:
    return RNG.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.filterwarnings("ignore::UserWarning:timm")  # of torch, when windows change size
@pytest.mark.parametrize(
    "backbone", ["resnet10t", "test_vit", "test_efficientnet", "swin_s3_tiny_224"]
)
def test_a_map_of_the_faces_own_size_peaks_at_one(backbone):
    images, bundle = faces(), bundle_of(backbone)
    both = [saliency_maps(bundle, images, toward_fake=toward) for toward in (True, False)]
    for found in both:
        assert found.shape == (2, SIZE, SIZE)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert set(np.round(found.max(axis=(1, 2)), 5)) <= {0.0, 1.0}
    assert np.maximum(*both).max(axis=(1, 2)).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("backbone", "words"),
    [("xcit_nano_12_p16_224", "Xcit.* are no map"), ("mvitv2_tiny", "MultiScaleVit.*no such part")],
)
def test_a_backbone_that_gives_no_map_says_so(backbone, words):
    with pytest.raises(EvaluationError, match=words):
        saliency_maps(bundle_of(backbone), faces(1), toward_fake=True)


class _Silent(nn.Module):
    """A stand-in backbone whose named features take no part in the score."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.AvgPool2d(8)
        self.backbone.feature_info = [{"module": "stem"}]

    def forward(self, images):
        return images.mean(dim=(2, 3))[:, :2], images


class _Aside(_Silent):
    """Likewise, but they are computed."""

    def forward(self, images):
        self.backbone.stem(images)
        return super().forward(images)


@pytest.mark.parametrize(
    ("made", "words"), [(_Silent, "cannot be had"), (_Aside, "no gradient: .* not have been used")]
)
def test_features_that_take_no_part_in_the_score_are_no_evidence(made, words):
    bundle = bundle_of("resnet10t")
    bundle.detector = made()
    with pytest.raises(EvaluationError, match=words):
        saliency_maps(bundle, faces(1), toward_fake=True)


def test_on_a_convolutional_net_it_is_each_places_part_of_the_logit():
    """With a linear head on pooled features, before the positive part is taken and scaled."""
    bundle = bundle_of("resnet10t")
    bundle.detector.eval()
    images = faces(1)
    with torch.no_grad():
        pixels = bundle.preprocess(torch.as_tensor(images))
        features = bundle.detector.backbone.forward_features(pixels)
        head = bundle.detector.backbone.get_classifier()
        part = torch.einsum("bchw,c->bhw", features, head.weight[1] - head.weight[0])
        total = part.mean() + head.bias[1] - head.bias[0]
        assert total == pytest.approx(
            float(fake_log_odds(bundle.detector(pixels)[0])), rel=1e-4, abs=1e-5
        )
        toward_fake = bool(total > 0)  # so that some place speaks for it
        part = part if toward_fake else -part
        whole = nn.functional.interpolate(part.relu()[:, None], (SIZE, SIZE), mode="bilinear")
    expected = (whole / whole.max())[0, 0].numpy()
    found = saliency_maps(bundle, images, toward_fake=toward_fake)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


class _Spot(nn.Module):
    """A stand-in detector that looks at brightness: a bright place speaks for fake."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.AvgPool2d(8)
        self.backbone.feature_info = [{"module": "stem"}]

    def forward(self, images):
        features = self.backbone.stem(images)
        brightness = features.mean(dim=(1, 2, 3))
        return torch.stack([-brightness, brightness], dim=1), features


@pytest.fixture
def spot() -> Bundle:
    made = bundle_of("resnet10t")
    section = ModelSection(size_px=SIZE, mean=(1e-6,) * 3, std=(1, 1, 1))
    made.detector, made.preprocess = _Spot(), Preprocess(section)
    return made


def test_the_map_points_to_the_place_that_moved_the_score(spot):
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    image[0, 8:16, 40:48] = 255
    found = saliency_maps(spot, image, toward_fake=True)[0]
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 8 <= row < 16
    assert 40 <= column < 48


def test_what_speaks_against_the_call_is_left_out(spot):
    image = np.full((1, SIZE, SIZE, 3), 200, np.uint8)
    assert not saliency_maps(spot, image, toward_fake=False).any()


def test_it_leaves_the_model_without_gradients_or_hooks():
    bundle = bundle_of("test_vit")
    before, _ = bundle.predict(faces(1))
    saliency_maps(bundle, faces(1), toward_fake=True)
    assert all(p.grad is None for p in bundle.detector.parameters())
    assert not any(m._forward_hooks for m in bundle.detector.modules())
    assert before.shape == (1,)


def test_an_overlay_leaves_places_without_evidence_grey_and_colours_the_others():
    face = faces(1)[0]
    evidence = np.zeros((SIZE, SIZE), np.float32)
    evidence[:8] = 1
    shown = overlay(face, evidence)
    assert np.array_equal(shown[8:, :, 0], shown[8:, :, 2])
    assert (shown[:8, :, 0].astype(int) - shown[:8, :, 2]).min() > 40


SIDE, PATCH = 128, 32


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth pictures, each second one with a checkered patch: (pictures, labels, patches' corners)."""
    rng = np.random.default_rng(seed)
    coarse = torch.as_tensor(rng.uniform(60, 200, (n, 3, 4, 4)).astype(np.float32))
    smooth = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic")
    pictures = smooth.permute(0, 2, 3, 1).clamp(0, 255).numpy().astype(np.uint8)
    corners, labels = rng.integers(0, (SIDE - PATCH) // 16 + 1, (n, 2)) * 16, np.arange(n) % 2
    checkers = (np.indices((PATCH, PATCH)) // 2).sum(axis=0)[..., None] % 2 * 60 - 30
    for picture, (y, x) in zip(pictures[1::2], corners[1::2], strict=True):
        patch = picture[y : y + PATCH, x : x + PATCH]
        patch[:] = np.clip(patch + checkers, 0, 255)
    return pictures, labels, corners


def learn_head(bundle: Bundle) -> None:
    """Fit the linear head to tell planted pictures: ridge regression on the network's own embeddings."""
    pictures, labels, _ = planted(256, seed=1)
    embeddings = bundle.predict(pictures)[1].astype(np.float64)
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    inputs = (embeddings - mean) / scale
    penalty = len(inputs) * 0.03 * np.eye(inputs.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (8.0 * labels - 4)) / scale
    head = bundle.detector.backbone.get_classifier()
    with torch.no_grad():
        head.weight[1] = torch.as_tensor(weights) / 2
        head.weight[0] = -head.weight[1]
        head.bias[1] = float(-mean @ weights) / 2
        head.bias[0] = -head.bias[1]


@pytest.mark.parametrize("backbone", ["resnet10t", "test_vit"])
def test_the_map_of_a_detector_of_an_artefact_falls_on_it(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transformer's blocks pass on what they get, so that what a token says is of its own place."""
    monkeypatch.setattr("tests.evaluation.test_saliency.SIZE", SIDE)
    bundle = bundle_of(backbone)
    for block in getattr(bundle.detector.backbone, "blocks", []):
        for layer in (block.attn.proj, block.mlp.fc2):
            nn.init.zeros_(layer.weight)
    learn_head(bundle)
    pictures, labels, corners = planted(64, seed=2)
    probabilities, _ = bundle.predict(pictures)
    assert np.mean((probabilities >= 0.5) == labels) > 0.9
    maps = saliency_maps(bundle, pictures[1::2], toward_fake=True)
    peaks = [np.unravel_index(evidence.argmax(), evidence.shape) for evidence in maps]
    apart = np.abs(np.array(peaks) - (corners[1::2] + PATCH / 2)).max(axis=1)
    assert np.mean(apart <= PATCH) > 0.8, apart  # 0.2 by chance
