"""Pixels to tensors: exact where nothing is resized, the same on every route."""

import numpy as np
import pytest
import torch
from PIL import Image

from dfray.config import ModelSection
from dfray.models.preprocess import Preprocess


def faces_of(count, side, seed=0):
    """Smooth pictures: a low-frequency pattern, so that resizing has something to keep."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    large = [
        np.asarray(Image.fromarray(s).resize((side, side), Image.Resampling.BICUBIC)) for s in small
    ]
    return torch.from_numpy(np.stack(large))


def test_without_resizing_it_is_exactly_the_normalised_pixels():
    section = ModelSection(size_px=16, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))
    faces = faces_of(2, 16)
    images = Preprocess(section)(faces)
    expected = (faces.numpy().astype(np.float64) / 255 - section.mean) / section.std
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), expected, rtol=0, atol=1e-5)
    assert images.dtype == torch.float32


@pytest.mark.parametrize(("side", "size_px"), [(224, 112), (96, 128), (100, 33)])
def test_resizing_agrees_with_pillow_to_one_level(side, size_px):
    faces = faces_of(3, side)
    pixels = Preprocess(ModelSection(size_px=size_px)).pixels(faces)
    for face, image in zip(faces.numpy(), pixels, strict=True):
        expected = np.asarray(
            Image.fromarray(face).resize((size_px, size_px), Image.Resampling.BILINEAR)
        )
        levels = (image * 255).permute(1, 2, 0).numpy()
        assert np.abs(levels - expected).max() <= 1.001
    assert pixels.shape == (3, 3, size_px, size_px)


def test_the_route_of_other_devices_agrees_to_one_level():
    faces = faces_of(4, 224)
    on_cpu = Preprocess(ModelSection(size_px=112)).pixels(faces) * 255
    images = faces.permute(0, 3, 1, 2).to(torch.float32)
    elsewhere = torch.nn.functional.interpolate(
        images, size=(112, 112), mode="bilinear", antialias=True
    ).round()
    assert (on_cpu - elsewhere).abs().max() <= 1.001


def test_a_fine_pattern_is_averaged_not_aliased():
    checks = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    checks[:, ::2, ::2] = checks[:, 1::2, 1::2] = 255
    pixels = Preprocess(ModelSection(size_px=16)).pixels(checks)
    assert (pixels[..., 1:-1, 1:-1] - 0.5).abs().max() < 0.02


def test_forward_is_pixels_then_normalise():
    preprocess = Preprocess(ModelSection(size_px=24))
    faces = faces_of(2, 48)
    assert torch.equal(preprocess(faces), preprocess.normalise(preprocess.pixels(faces)))


@pytest.mark.parametrize(
    "faces",
    [
        torch.zeros(1, 8, 8, 3),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
        torch.zeros(1, 8, 9, 3, dtype=torch.uint8),
    ],
    ids=["float", "channels first", "no batch", "not square"],
)
def test_what_is_not_a_batch_of_crops_is_refused(faces):
    with pytest.raises(ValueError, match="faces are"):
        Preprocess(ModelSection(size_px=8))(faces)
