"""One thread for torch, a seed, and faces to change."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.crops import draw_crops


@pytest.fixture(autouse=True)
def _seed_and_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def crops() -> torch.Tensor:
    """Faces of 12 people of the demo: uint8 (12, 3, 224, 224)."""
    return torch.from_numpy(draw_crops(12)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="session")
def pictures(crops) -> list[Image.Image]:
    """The same for Pillow."""
    return [Image.fromarray(crop) for crop in crops.permute(0, 2, 3, 1).numpy()]


@pytest.fixture(scope="session")
def difference():
    """|ours - theirs| in levels, of uint8 (N, 3, S, S) and as many of Pillow's pictures."""

    def _difference(ours, theirs):
        stacked = np.stack([np.asarray(picture) for picture in theirs]).astype(np.int16)
        return np.abs(ours.permute(0, 2, 3, 1).numpy() - stacked)

    return _difference
