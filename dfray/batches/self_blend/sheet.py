"""Contact sheet of self-blended faces, for inspection by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dfray.batches.reader import Batch, FacesReader
from dfray.batches.sample import Sample, sample_faces
from dfray.batches.self_blend.blend import SelfBlend
from dfray.batches.self_blend.draws import Draws
from dfray.config import BatchesSection, SelfBlendSection
from dfray.faces.shards import FacesStore
from dfray.models.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL.Image import Image

GAP_PX = 4
PER_ROW = 2  # faces in a row


def contact_sheet(
    store: FacesStore,
    split: str,
    preprocess: Preprocess,
    section: SelfBlendSection,
    *,
    count: int,
    seed: int,
) -> Image:
    """Return a picture of random faces of `split`: each as crop, real view, mask and fake.

    Raises:
        ManifestError: the split has no real face with landmarks.
    """
    batches = BatchesSection(batch_size=2 * count, sampling="all", self_blend=section)
    sample = sample_faces(store.summaries([split]), split, batches)
    order = np.random.default_rng(seed).permutation(len(sample))
    rows: list[Tensor] = []
    for start in range(0, len(sample), count):  # some may have no landmarks
        subset = _take(sample, order[start : start + count])
        for batch in FacesReader(store, subset, batches, seed=seed).in_order():
            rows += _rows(batch, preprocess, SelfBlend(section), seed)
        if len(rows) >= count:
            break
    return _page(rows[:count])


def _take(sample: Sample, index: np.ndarray) -> Sample:
    return Sample(
        sample.shards,
        sample.shard[index],
        sample.row[index],
        sample.label[index],
        sample.video[index],
        sample.dataset,
    )


def _rows(batch: Batch, preprocess: Preprocess, blend: SelfBlend, seed: int) -> list[Tensor]:
    """Return for each face the strip (3, S, 4 S) of crop, real view, mask and fake."""
    assert batch.landmarks is not None, "the reader brings them with self_blend"
    pixels = preprocess.pixels(torch.from_numpy(batch.images))
    landmarks = torch.from_numpy(batch.landmarks)
    blended = blend(pixels, landmarks, Draws.of(landmarks, seed))
    strips = (pixels, blended.real, blended.mask.expand_as(pixels), blended.fake)
    return list(torch.cat(strips, dim=3))


def _page(rows: list[Tensor]) -> Image:
    """Return the rows (3, S, 4 S) as a picture, PER_ROW of them side by side, on white."""
    from PIL.Image import fromarray
    from torchvision.utils import make_grid

    page = make_grid(rows, nrow=PER_ROW, padding=GAP_PX, pad_value=1.0)
    return fromarray((page * 255).round().byte().permute(1, 2, 0).numpy())
