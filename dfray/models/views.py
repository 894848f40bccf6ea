"""Views of a face that a score is the mean of: test-time augmentation.

The mean is of log-odds, not of probabilities: a temperature divides log-odds (arXiv 1706.04599 section 4.2),
so scoring and then calibrating is the same for one view and for several. It is taken step by step, so that
equal views give the score of one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from dfray.config import View

CROP_SHARE = 0.875
"""Side of a crop as a share of the face's: 224 of 256 px, as Krizhevsky et al. (NeurIPS 2012) crop."""


def views_of(faces: Tensor, views: Iterable[View]) -> Iterator[Tensor]:
    """Yield the faces as the network sees them, pass by pass: (B, H, H, 3) -> (B, S, S, 3), S <= H."""
    for view in views:
        yield from _VIEWS[view](faces)


def running_mean(values: Iterable[Tensor]) -> Tensor:
    """Return the mean of one tensor or more; of equal ones it is exactly the first."""
    mean = None
    for count, value in enumerate(values, 1):
        mean = value if mean is None else mean + (value - mean) / count
    if mean is None:
        raise ValueError("a mean takes one value or more")
    return mean


def _crops(faces: Tensor) -> Iterator[Tensor]:
    """Yield the four corners, row by row, and the centre."""
    side = faces.shape[1]
    kept = max(1, round(side * CROP_SHARE))
    rest = side - kept
    for top, left in ((0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)):
        yield faces[:, top : top + kept, left : left + kept]


_VIEWS: dict[View, Callable[[Tensor], Iterable[Tensor]]] = {
    "whole": lambda faces: (faces,),
    "flip": lambda faces: (faces.flip(2),),
    "crops": _crops,
    "flipped_crops": lambda faces: _crops(faces.flip(2)),
}
