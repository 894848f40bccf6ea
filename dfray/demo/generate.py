"""Plan, generation and table of the demo's clips, made by a pool of processes.

Every real clip yields one fake, a swap and a reenactment alternating, so that each identity has as
many fakes as real clips. Each clip has a random generator seeded by its place in the plan:
neither the number of processes nor their order changes a byte (on one kind of machine; another
CPU may round differently).
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

from dfray import storage
from dfray.config import DemoSection
from dfray.datasets.readers.demo_clips import COLUMNS, ClipRow
from dfray.errors import DfrayError, UserError

VERSION = 1  # of the generator: clips of another version are refused
_METHODS = {"FS": "demo-swap", "RE": "demo-reenact", "real": "demo-real"}
_MOTION, _SPEECH, _OTHER_SPEECH, _FORGERY, _GRAIN = range(
    5
)  # purposes of a clip's random generators


@dataclass(frozen=True)
class Shot:
    """One real clip and the fake made from it; person and donor count over all splits."""

    person: int
    take: int
    split: str
    category: str
    donor: int
    dataset: str

    @property
    def identity(self) -> str:
        return f"person-{self.person:03d}"

    @property
    def real_stem(self) -> str:
        return f"{self.identity}-{self.take}-real"

    @property
    def fake_stem(self) -> str:
        return f"{self.identity}-{self.take}-{_METHODS[self.category].removeprefix('demo-')}"

    def rows(self, duration_s: float) -> Iterator[ClipRow]:
        """Yield the rows of clips.csv for the real and the fake clip."""
        for stem, category, source in (
            (self.real_stem, "real", ""),
            (self.fake_stem, self.category, self.real_stem),
        ):
            yield {
                "stem": stem,
                "dataset": self.dataset,
                "label": int(category != "real"),
                "category": category,
                "method": _METHODS[category],
                "identity": self.identity,
                "source_video": source,
                "split": self.split,
                "duration_s": duration_s,
            }


def generate_clips(
    out: str,
    settings: DemoSection,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> str:
    """Write `out`/videos/STEM.mp4 and then `out`/clips.csv; existing clips are not made again.

    Args:
        out: local folder or s3:// URI.
        progress: called with (clips done, total clips).
        workers: processes; default: one per core.

    Returns:
        `out`.

    Raises:
        UserError: `out` holds clips of other settings or of another seed.
        StorageError: `out` cannot be written.
        DfrayError: a process died; the clips written before stay.
    """
    shots = plan_shots(settings, seed)
    total = 2 * len(shots)
    _claim(out, settings, seed)
    if not storage.exists(storage.join(out, "clips.csv")):
        existing = {os.path.basename(uri) for uri in storage.list_files(_videos(out), ".mp4")}
        for done in _make(out, shots, existing, settings, seed, workers or os.cpu_count() or 1):
            if progress:
                progress(done, total)
        storage.write_bytes(_table(settings, seed), storage.join(out, "clips.csv"))
    if progress:
        progress(total, total)
    return out


def plan_shots(settings: DemoSection, seed: int) -> list[Shot]:
    """Return every real clip with its fake's category and its donor, who is of the same split."""
    shots, first = [], 0
    for split in ("train", "val", "test"):
        count = getattr(settings, f"{split}_identities")
        for person in range(first, first + count):
            for take in range(settings.real_clips):
                rng = np.random.default_rng([seed, person, take])
                donor = first + (person - first + int(rng.integers(1, count))) % count
                category = ("FS", "RE")[(person + take) % 2]
                shots.append(Shot(person, take, split, category, donor, _dataset(person, settings)))
        first += count
    return shots


def clip_rows(settings: DemoSection, seed: int) -> Iterator[ClipRow]:
    """Yield the rows of clips.csv, without drawing a clip."""
    duration_s = round(_frame_count(settings) / settings.fps, 6)
    for shot in plan_shots(settings, seed):
        yield from shot.rows(duration_s)


def _dataset(person: int, settings: DemoSection) -> str:
    return "demo" if settings.datasets == 1 else f"demo-{person % settings.datasets + 1}"


def _claim(out: str, settings: DemoSection, seed: int) -> None:
    """Mark `out` as the folder of these clips, or refuse one with other clips."""
    content = f"{settings.fingerprint()} {seed} {VERSION}"
    fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16].encode()
    marker = storage.join(out, "fingerprint")
    if storage.exists(marker):
        existing = storage.read_bytes(marker)
    elif storage.list_files(_videos(out)):
        existing = b"missing"
    else:
        storage.write_bytes(fingerprint, marker)
        return
    if existing != fingerprint:
        raise UserError(
            f"{out} holds other clips than the recipe's: its fingerprint is "
            f"{existing.decode(errors='replace')}, not {fingerprint.decode()} (seed {seed}).",
            "Delete the folder, or name another one.",
        )


def _videos(out: str) -> str:
    return storage.join(out, "videos")


def _make(
    out: str, shots: list[Shot], existing: set[str], settings: DemoSection, seed: int, workers: int
) -> Iterator[int]:
    """Make the clips that are not `existing`; yield the number of clips done."""
    done = len(existing)
    yield done
    # Spawned, not forked: the caller may hold threads of Ray or torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [
            pool.submit(make_shot, out, shot, missing, settings, seed)
            for shot in shots
            if (missing := _missing(shot, existing))
        ]
        try:
            for future in as_completed(futures):
                done += future.result()
                yield done
        except BrokenProcessPool as error:
            raise DfrayError(
                "A process that draws the demo's clips was killed.",
                "Perhaps memory ran out; run again, finished clips are not made again.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _missing(shot: Shot, existing: set[str]) -> tuple[str, ...]:
    return tuple(s for s in (shot.real_stem, shot.fake_stem) if f"{s}.mp4" not in existing)


def make_shot(
    out: str, shot: Shot, stems: tuple[str, ...], settings: DemoSection, seed: int
) -> int:
    """Film the real clip, forge the fake, write those of `stems`, and return their number."""
    import cv2

    from dfray.demo.encode import add_grain, write_clip

    cv2.setNumThreads(1)  # the pool already has a process for every core
    rng = np.random.default_rng([seed, shot.person, shot.take, _GRAIN])
    strength = rng.uniform(2.5, 5.0)
    frames = _frames(shot, settings, seed)
    for grain, stem in zip(rng.spawn(2), (shot.real_stem, shot.fake_stem), strict=True):
        if stem in stems:
            with storage.temporary_folder() as folder:
                local = os.path.join(folder, f"{stem}.mp4")
                write_clip(local, add_grain(frames[stem], grain, strength), settings.fps)
                storage.put(local, storage.join(_videos(out), f"{stem}.mp4"))
    return len(stems)


def _frames(shot: Shot, settings: DemoSection, seed: int) -> dict[str, np.ndarray]:
    """Return the frames of the real and of the fake clip by stem, before grain and encoder."""
    from dfray.demo import animate, draw, forge, identity

    count = _frame_count(settings)

    def generator(person: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, person, shot.take, purpose])

    def film(person: int, speech: int) -> animate.Clip:
        portrait = draw.paint_portrait(identity.draw_person(seed, person), settings.size_px)
        motion = animate.draw_motion(generator(person, _MOTION), count, settings.fps)
        expressions = animate.draw_speech(generator(person, speech), count, settings.fps)
        return animate.film(portrait, motion, expressions)

    real = film(shot.person, _SPEECH)
    parameters = forge.draw_parameters(generator(shot.person, _FORGERY), count)
    if shot.category == "FS":
        fake = forge.swap(real, film(shot.donor, _SPEECH), parameters)
    else:
        fake = forge.reenact(real, film(shot.person, _OTHER_SPEECH), parameters)
    return {shot.real_stem: real.frames, shot.fake_stem: fake}


def _frame_count(settings: DemoSection) -> int:
    return max(1, round(settings.duration_s * settings.fps))


def _table(settings: DemoSection, seed: int) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(clip_rows(settings, seed))
    return text.getvalue().encode()
