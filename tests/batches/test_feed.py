"""Batches reach the device whole, in order, beside the host's own."""

import numpy as np
import pytest
import torch

from dfray.batches.feed import on_device
from dfray.batches.reader import Batch


def batches(count):
    rng = np.random.default_rng(0)
    for index in range(count):
        points = rng.random((8, 468, 2), np.float32) if index % 2 else None
        yield Batch(rng.integers(0, 256, (8, 16, 16, 3), np.uint8), np.full(8, index), points)


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator"),
            ],
        ),
    ],
)
def test_gives_every_batch_in_order(device, count):
    fed = list(on_device(batches(count), torch.device(device)))
    assert len(fed) == count
    for expected, (batch, images, labels, landmarks) in zip(batches(count), fed, strict=True):
        assert images.device.type == labels.device.type == device
        assert images.dtype == torch.uint8
        for ours in (batch.images, images.cpu().numpy()):
            np.testing.assert_array_equal(ours, expected.images)
        np.testing.assert_array_equal(labels.cpu().numpy(), expected.labels)
        assert (landmarks is None) == (expected.landmarks is None)
        if landmarks is not None:
            np.testing.assert_array_equal(landmarks.cpu().numpy(), expected.landmarks)


def test_on_a_cpu_nothing_is_copied():
    ((batch, images, *_),) = on_device(batches(1), torch.device("cpu"))
    assert images.data_ptr() == batch.images.ctypes.data
