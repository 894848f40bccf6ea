"""Post-processing of face crops as videos meet it after publication: five strengths of each kind.

To add a kind, write one function under `@post_processing`: the recipe, the report and the measurement of
drops read `POST_PROCESSINGS`.

JPEG and H.264 recompression, resizing down and up again, Gaussian blur and noise are what in-the-wild data
have been through. They are applied to stored crops, which costs no extraction. A codec's blocks and a
blur's pixels are then of the crop and not of the frame: a strength stands for more, measured on the frame,
where the face was larger there than its crop, and for less where it was smaller.

H.264 encodes a video's crops as one clip at one frame per sample. Samples lie a second apart and follow the
face, so little is predicted from the frame before: this stands for the quantisation of a re-upload at the
given CRF, not for its motion artefacts.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[[np.ndarray, float, Sequence[str], str], np.ndarray]
"""(faces, strength, videos, device) -> faces; see `post_process`."""

N_STRENGTHS = 5


@dataclass(frozen=True)
class PostProcessing:
    """One kind of post-processing.

    Attributes:
        name: as in the recipe's `evaluation.post_processing`.
        unit: description of the strengths' values.
        strengths: N_STRENGTHS values from mild to harsh.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Function


POST_PROCESSINGS: dict[str, PostProcessing] = {}
"""All kinds by name; `post_processing` fills it."""


def post_processing(
    name: str, unit: str, strengths: tuple[float, ...]
) -> Callable[[Function], Function]:
    """Return a decorator that adds a function to `POST_PROCESSINGS`.

    Raises:
        ValueError: the name is used already, or the strengths are not N_STRENGTHS.
    """
    if name in POST_PROCESSINGS or len(strengths) != N_STRENGTHS:
        raise ValueError(f"post-processing {name!r} needs a new name and {N_STRENGTHS} strengths")

    def add(function: Function) -> Function:
        POST_PROCESSINGS[name] = PostProcessing(name, unit, strengths, function)
        return function

    return add


_X264 = {"threads": "1", "x264-params": "rc-lookahead=0:sync-lookahead=0:mbtree=0"}
"""No look-ahead: it reads past pictures as small as crops, and sometimes gave other bytes."""


def post_process(
    kind: str, strength: float, faces: np.ndarray, videos: Sequence[str], device: str = "cpu"
) -> np.ndarray:
    """Return the faces after one kind of post-processing.

    Args:
        kind: a key of POST_PROCESSINGS.
        strength: in the unit of the kind.
        faces: uint8 (N, S, S, 3), RGB, in the order of video and frame.
        videos: N video ids; H.264 encodes consecutive faces of one video as one clip; an id seeds the noise.
        device: where blur and resizing are computed.

    Returns:
        uint8 (N, S, S, 3); the input is not changed.
    """
    return POST_PROCESSINGS[kind].apply(faces, strength, videos, device)


@post_processing("jpeg", unit="JPEG quality", strengths=(90, 70, 50, 30, 10))
def _jpeg(faces: np.ndarray, quality: float, *_: object) -> np.ndarray:
    return np.stack([_jpeg_round_trip(face, int(quality)) for face in faces])


def _jpeg_round_trip(face: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(face).save(
        buffer, "JPEG", quality=quality
    )  # 4:2:0, as files on the web have it
    return np.asarray(Image.open(buffer).convert("RGB"))


@post_processing("h264", unit="H.264 CRF", strengths=(18, 23, 28, 33, 38))
def _h264(faces: np.ndarray, crf: float, videos: Sequence[str], *_: object) -> np.ndarray:
    return np.concatenate(
        [_h264_round_trip(faces[start:end], int(crf)) for start, end in _runs(videos)]
    )


def _h264_round_trip(clip: np.ndarray, crf: int) -> np.ndarray:
    """Encode (N, S, S, 3) as one clip and decode it; odd sides are padded by their last row."""
    import av

    side = clip.shape[1]
    padded = np.pad(clip, ((0, 0), (0, side % 2), (0, side % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": str(crf), **_X264})
        stream.width = stream.height = padded.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 1)
        for number, face in enumerate(padded):
            frame = av.VideoFrame.from_ndarray(face, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(clip), "x264 returns one picture for each frame"
    return np.stack(decoded)[:, :side, :side]


@post_processing(
    "resize", unit="scale, down and up again", strengths=(0.75, 0.5, 0.35, 0.25, 0.125)
)
def _resize(faces: np.ndarray, scale: float, _: Sequence[str], device: str) -> np.ndarray:
    import torch.nn.functional as F

    images, side = _to_torch(faces, device), faces.shape[1]
    small = max(1, round(scale * side))
    down = F.interpolate(images, size=(small, small), mode="bilinear", antialias=True)
    return _to_numpy(F.interpolate(down.round(), size=(side, side), mode="bicubic"))


@post_processing("blur", unit="Gaussian blur, sigma in px", strengths=(0.5, 1.0, 2.0, 3.0, 5.0))
def _blur(faces: np.ndarray, sigma: float, _: Sequence[str], device: str) -> np.ndarray:
    from torchvision.transforms.v2.functional import gaussian_blur

    reach = min(int(np.ceil(3 * sigma)), faces.shape[1] - 1)
    kernel = 2 * reach + 1
    return _to_numpy(gaussian_blur(_to_torch(faces, device), [kernel, kernel], [sigma, sigma]))


@post_processing("noise", unit="Gaussian noise, sigma in grey levels", strengths=(2, 5, 10, 20, 40))
def _noise(faces: np.ndarray, sigma: float, videos: Sequence[str], _: str) -> np.ndarray:
    """Add noise seeded by the video's name, so that it does not depend on how faces are batched."""
    noisy = np.empty_like(faces)
    for start, end in _runs(videos):
        rng = np.random.default_rng(zlib.crc32(videos[start].encode()))
        noise = sigma * rng.standard_normal(faces[start:end].shape, np.float32)
        noisy[start:end] = np.clip(np.rint(faces[start:end] + noise), 0, 255)
    return noisy


def _runs(videos: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) of every run of equal names."""
    names = np.asarray(videos, str)
    starts = np.flatnonzero(np.append(names[:1] != "", names[1:] != names[:-1]))
    return list(zip(starts, [*starts[1:], len(names)], strict=True))


def _to_torch(faces: np.ndarray, device: str) -> Tensor:
    """Convert uint8 (N, S, S, 3) to float32 (N, 3, S, S), 0..255."""
    import torch

    return (
        torch.from_numpy(np.require(faces, requirements="W")).to(device).permute(0, 3, 1, 2).float()
    )


def _to_numpy(images: Tensor) -> np.ndarray:
    """Convert float (N, 3, S, S) to uint8 (N, S, S, 3), rounded and clamped."""
    return images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
