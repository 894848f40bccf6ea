"""The audit: its search for near-duplicates, how often that is wrong, and its probe of metadata by chance.

    python -m tests.benchmarks.bench_audit [repeats]

The search is timed over 200,000 random hashes with 1,000 planted copies, half of them trained on, against a
comparison of all with all (timed on a hundredth of the pairs). False alarms are counted among distinct clips
of one person in one place, which the demo draws, and misses among their copies, re-encoded at half the size.
The probe is repeated on drawn properties that are alike in both classes.

Asked for: all planted copies found; chance in the interval of 90 of 100 repeats.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from dfray.audit.hash_index import near_pairs
from dfray.audit.metadata_probe import probe_metadata
from dfray.audit.near_duplicates import DISTANCE, near_duplicates
from dfray.config import DemoSection
from dfray.demo import generate_clips
from dfray.faces.decode import sampled_pictures
from dfray.faces.picture_hash import HASHED_FRAMES, perceptual_hash
from dfray.tables import SUMMARIES
from tests.benchmarks.measure import cpu_seconds, holds, use_one_core
from tests.helpers.clips import decode_all, write_clip
from tests.helpers.properties import drawn_properties
from tests.helpers.rows import video_row

N_HASHES, PLANTED, SHARE = 200_000, 1_000, 10
PEOPLE, TAKES, RATE_FPS = 12, 4, 2.0


def search() -> bool:
    """Print the cost of the search and what it finds; return True if that is all that was planted."""
    rng = np.random.default_rng(0)
    left = np.unique(rng.integers(0, 2**64, N_HASHES // 2, dtype=np.uint64))
    right = rng.integers(0, 2**64, N_HASHES // 2, dtype=np.uint64)
    for place in range(PLANTED):
        bits = rng.choice(64, rng.integers(0, DISTANCE + 1), replace=False)
        right[place] = left[place] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    right = np.unique(right)
    found: list[int] = []
    spent = cpu_seconds(lambda: found.append(len(near_pairs(left, right, DISTANCE))))
    few = slice(0, N_HASHES // 2 // SHARE)
    plain = SHARE**2 * cpu_seconds(lambda: _all_pairs(left[few], right[few]))
    print(f"{N_HASHES:,} hashes: {spent:.1f} s, {found[0]:,} pairs of {PLANTED:,} planted")
    print(f"all with all: about {plain:.0f} s, {plain / spent:.0f} times as long")
    return found[0] == PLANTED


def _all_pairs(left: np.ndarray, right: np.ndarray) -> int:
    counts = (np.bitwise_count(right ^ one) <= DISTANCE for one in left)
    return sum(int(np.count_nonzero(near)) for near in counts)


def alarms(folder: Path) -> None:
    """Print how many pairs of clips are called near-duplicates, by what they have in common."""
    settings = DemoSection(
        train_identities=PEOPLE, val_identities=2, test_identities=2, real_clips=TAKES
    )
    generate_clips(str(folder), settings, seed=0)
    hashes = {path.stem: _hashes(path) for path in sorted((folder / "videos").glob("*.mp4"))}
    reals = [name for name in hashes if name.endswith("-real")]
    kinds: dict[str, list[tuple[str, str]]] = {
        "distinct clips of one person in one place": [
            pair for pair in combinations(reals, 2) if _person(pair[0]) == _person(pair[1])
        ],
        "clips of two people": [
            pair for pair in combinations(reals, 2) if _person(pair[0]) != _person(pair[1])
        ],
        "a fake and its source": [
            (f"{name.rpartition('-')[0]}-real", name) for name in hashes if name not in reals
        ],
    }
    for number, name in enumerate(reals):
        copy = _re_encoded(folder / f"videos/{name}.mp4", folder / f"copy-{number}.mp4")
        hashes[f"copy of {name}"] = _hashes(copy)
    kinds["a clip and its copy, re-encoded at half the size"] = [
        (name, f"copy of {name}") for name in reals
    ]
    for kind, pairs in kinds.items():
        called = sum(_is_called(hashes[one], hashes[other]) for one, other in pairs)
        print(f"{kind}: {called:,} of {len(pairs):,} pairs are called near-duplicates")


def _person(name: str) -> str:
    return name.rsplit("-", 2)[0]


def _hashes(path: Path) -> list[int | None]:
    pictures = sampled_pictures(str(path), RATE_FPS)
    return [
        None if picture.image is None else perceptual_hash(picture.image)
        for picture in pictures
        if picture.frame_index in HASHED_FRAMES
    ]


def _re_encoded(source: Path, target: Path) -> Path:
    def halves() -> Iterator[np.ndarray]:
        for _, picture in decode_all(source):
            height, width = picture.shape[:2]
            yield cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)

    return write_clip(target, halves(), fps=DemoSection().fps, options={"crf": "32"})


def _is_called(one: list[int | None], other: list[int | None]) -> bool:
    plain = {"status": "ok", "attempts": 1, "n_frames": 9, "n_frames_with_face": 9}
    plain |= {"n_decode_errors": 0, "n_faces": 9, "cpu_s": 0.1, "first_row": 0}
    rows = [
        plain | video_row("a", hashes=one),
        plain | video_row("b", hashes=other, split="test"),
    ]
    return bool(near_duplicates(SUMMARIES.from_rows(rows)))


def by_chance(repeats: int) -> bool:
    """Print how often the probe's interval has 0.5 and a shortcut is called; return True if it holds."""
    sound = True
    for how, trained, place in (("train and val", ("a",), 0), ("cross-validation", ("b",), 1)):
        found = [
            probe_metadata(drawn_properties(k, trained=trained))[place] for k in range(repeats)
        ]
        aucs = [one.auc for one in found if one.auc is not None]
        covered = sum(auc.low <= 0.5 <= auc.high for auc in aucs)
        called = sum(one.is_shortcut for one in found)
        print(f"{how}: 0.5 in {covered} of {repeats} intervals, {called} called a shortcut")
        sound &= covered >= 0.9 * repeats
    return sound


def main(repeats: int = 100) -> int:
    use_one_core()
    found = search()
    with tempfile.TemporaryDirectory() as folder:
        alarms(Path(folder))
    return 0 if holds("found and covered", float(found and by_chance(repeats)), at_least=1.0) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
