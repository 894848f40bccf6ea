"""The batched JPEG leaves what Pillow's (libjpeg's) would leave."""

import io

import pytest
import torch
from PIL import Image

from dfray.batches.augment.jpeg import compress


def through_pillow(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize("quality", [40, 49, 75, 95, 100])
def test_is_pillows_to_rounding(quality, crops, pictures, difference):
    faces, pictures = crops[:8], pictures[:8]
    theirs = [through_pillow(picture, quality) for picture in pictures]
    off = difference(compress(faces, torch.full((8,), quality)), theirs).mean()
    lost = difference(faces, theirs).mean()
    assert off < 0.7
    assert off < 0.6 * lost


def test_each_image_has_its_own_quality(crops):
    quality = torch.tensor([40, 70, 100])
    together = compress(crops[:3], quality)
    for index in range(3):
        alone = compress(crops[index : index + 1], quality[index : index + 1])
        assert (together[index].int() - alone[0].int()).abs().max() <= 1


def test_lower_quality_loses_more(crops):
    same = crops[:1].expand(4, -1, -1, -1)
    lost = (compress(same, torch.tensor([10, 40, 70, 100])).float() - same).abs().mean((1, 2, 3))
    assert (lost[:-1] > lost[1:]).all()


def test_sides_that_no_block_divides_keep_their_size(crops):
    odd = crops[:2, :, :101, :101]
    changed = compress(odd, torch.tensor([90, 90]))
    assert changed.shape == odd.shape
    assert (changed.float() - odd).abs().mean() < 5
