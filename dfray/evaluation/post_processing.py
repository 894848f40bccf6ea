"""What happens to a video after it is made, done to face crops: five strengths of each kind.

JPEG and H.264 recompression, resizing down and up again, Gaussian blur and noise: what in-the-wild data
have been through. They are applied to stored crops, which costs no extraction. A codec's blocks and a
blur's pixels are then of the crop and not of the frame: a strength stands for more, measured on the frame,
where the face was larger there than its crop, and for less where it was smaller.

H.264 runs over a video's crops as over a film at one frame per sample. Samples lie a second apart and
follow the face, so little is predicted from the frame before: this stands for the quantisation of a
re-upload at the given CRF, not for its motion artefacts.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

STRENGTHS: dict[str, tuple[float, ...]] = {
    "jpeg": (90, 70, 50, 30, 10),
    "h264": (18, 23, 28, 33, 38),
    "resize": (0.75, 0.5, 0.35, 0.25, 0.125),
    "blur": (0.5, 1.0, 2.0, 3.0, 5.0),
    "noise": (2, 5, 10, 20, 40),
}
_X264 = {"threads": "1", "x264-params": "rc-lookahead=0:sync-lookahead=0:mbtree=0"}
"""Without the look-ahead, which reads past pictures as small as crops: it gave other bytes now and then."""

UNITS = {
    "jpeg": "JPEG quality",
    "h264": "H.264 CRF",
    "resize": "scale, down and up again",
    "blur": "Gaussian blur, sigma in px",
    "noise": "Gaussian noise, sigma in grey levels",
}
"""What each strength is a value of; they go from mild to harsh."""


def post_process(
    kind: str, strength: float, faces: np.ndarray, videos: Sequence[str], device: str = "cpu"
) -> np.ndarray:
    """The faces after one kind of post-processing.

    Args:
        kind: a key of STRENGTHS.
        strength: in the unit of UNITS[kind].
        faces: uint8 (N, S, S, 3), RGB, in the order of video and frame.
        videos: N video ids; consecutive faces of one video are one film for H.264, and seed the noise.
        device: where blur and resizing are computed.

    Returns:
        uint8 (N, S, S, 3); the input is left alone.
    """
    return _KINDS[kind](faces, strength, videos, device)


def _jpeg(faces: np.ndarray, quality: float, *_: object) -> np.ndarray:
    return np.stack([_through_jpeg(face, int(quality)) for face in faces])


def _through_jpeg(face: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(face).save(
        buffer, "JPEG", quality=quality
    )  # 4:2:0, as files on the web have it
    return np.asarray(Image.open(buffer).convert("RGB"))


def _h264(faces: np.ndarray, crf: float, videos: Sequence[str], *_: object) -> np.ndarray:
    return np.concatenate(
        [_through_h264(faces[start:end], int(crf)) for start, end in _runs(videos)]
    )


def _through_h264(film: np.ndarray, crf: int) -> np.ndarray:
    """(N, S, S, 3) encoded as one film and decoded again; odd sides are padded by their last row."""
    import av

    side = film.shape[1]
    padded = np.pad(film, ((0, 0), (0, side % 2), (0, side % 2), (0, 0)), mode="edge")
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
    assert len(decoded) == len(film), "x264 gives back as many frames as it took"
    return np.stack(decoded)[:, :side, :side]


def _resize(faces: np.ndarray, scale: float, _: Sequence[str], device: str) -> np.ndarray:
    import torch.nn.functional as F

    images, side = _to_torch(faces, device), faces.shape[1]
    small = max(1, round(scale * side))
    down = F.interpolate(images, size=(small, small), mode="bilinear", antialias=True)
    return _to_numpy(F.interpolate(down.round(), size=(side, side), mode="bicubic"))


def _blur(faces: np.ndarray, sigma: float, _: Sequence[str], device: str) -> np.ndarray:
    from torchvision.transforms.v2.functional import gaussian_blur

    reach = min(int(np.ceil(3 * sigma)), faces.shape[1] - 1)
    kernel = 2 * reach + 1
    return _to_numpy(gaussian_blur(_to_torch(faces, device), [kernel, kernel], [sigma, sigma]))


def _noise(faces: np.ndarray, sigma: float, videos: Sequence[str], _: str) -> np.ndarray:
    """Drawn for each video from its name, so that it does not depend on how faces are batched."""
    noisy = np.empty_like(faces)
    for start, end in _runs(videos):
        rng = np.random.default_rng(zlib.crc32(videos[start].encode()))
        drawn = sigma * rng.standard_normal(faces[start:end].shape, np.float32)
        noisy[start:end] = np.clip(np.rint(faces[start:end] + drawn), 0, 255)
    return noisy


def _runs(videos: Sequence[str]) -> list[tuple[int, int]]:
    """(start, end) of every run of equal names."""
    names = np.asarray(videos, str)
    starts = np.flatnonzero(np.append(names[:1] != "", names[1:] != names[:-1]))
    return list(zip(starts, [*starts[1:], len(names)], strict=True))


def _to_torch(faces: np.ndarray, device: str):
    """uint8 (N, S, S, 3) -> float32 (N, 3, S, S), 0..255."""
    import torch

    return (
        torch.from_numpy(np.require(faces, requirements="W")).to(device).permute(0, 3, 1, 2).float()
    )


def _to_numpy(images) -> np.ndarray:
    return images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


_KINDS: dict[str, Callable[[np.ndarray, float, Sequence[str], str], np.ndarray]] = {
    "jpeg": _jpeg,
    "h264": _h264,
    "resize": _resize,
    "blur": _blur,
    "noise": _noise,
}
