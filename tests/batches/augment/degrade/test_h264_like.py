"""The stand-in for H.264 loses what x264 loses at the same CRF, with the codec's own colours and steps."""

import av
import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from dfray.batches.augment.degrade import h264_like
from dfray.config.degrade import H264LikeSection
from dfray.post_processing import post_process


def squared(one, other):
    return (one.float() - other.float()).square().mean()


def through_x264(crops, crf):
    faces = crops.permute(0, 2, 3, 1).numpy()
    videos = [str(number) for number in range(len(faces))]  # a clip of its own for each
    return torch.from_numpy(post_process("h264", crf, faces, videos)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("crf", [28, 33, 38])
def test_it_is_nearer_to_x264s_picture_than_the_face_is(crf, crops):
    real = through_x264(crops, crf)
    like = h264_like.apply(crops, torch.full((len(crops), 1), crf))
    assert squared(like, real) < squared(crops, real)
    assert 0.8 < squared(like, crops) / squared(real, crops) < 1.2


def test_each_image_has_its_own_crf(crops):
    crf = torch.tensor([[18], [28], [51]])
    together = h264_like.apply(crops[:3], crf)
    for index in range(3):
        alone = h264_like.apply(crops[index : index + 1], crf[index : index + 1])
        assert (together[index].int() - alone[0].int()).abs().max() <= 1


def test_a_higher_crf_loses_more(crops):
    same = crops[:1].expand(6, -1, -1, -1)
    changed = h264_like.apply(same, torch.tensor([[0], [10], [20], [30], [40], [51]]))
    lost = [squared(one, crops[0]) for one in changed]
    assert lost == sorted(lost)
    assert lost[0] > 0, "chroma has half the size at any rate"


def test_sides_that_no_block_divides_keep_their_size(crops):
    odd = crops[:2, :, :101, :101]
    changed = h264_like.apply(odd, torch.tensor([[20], [20]]))
    assert changed.shape == odd.shape
    assert (changed.float() - odd).abs().mean() < 5


def test_colours_are_those_of_ffmpegs_conversion():
    levels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(levels, format="rgb24").reformat(format="yuv444p")
    planes = frame.to_ndarray().astype(float).reshape(3, -1) - np.array([[16], [128], [128]])
    off = np.abs(np.array(h264_like.TO_YCC) @ levels.reshape(-1, 3).T - planes)
    assert off.max() < 1.5
    assert off.mean() < 0.5


def test_chroma_has_the_standards_qp():
    assert len(h264_like.CHROMA_QP) == 52
    assert [h264_like.CHROMA_QP[qp] for qp in (29, 30, 40, 51)] == [29, 29, 36, 39]


def test_crf_is_uniform_in_its_range():
    drawn = h264_like.draw(H264LikeSection(crf=(18, 40)), 6000)[:, 0].numpy()
    assert chisquare(np.bincount(drawn)[18:]).pvalue > 1e-3
