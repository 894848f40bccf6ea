"""The demo's corpus: who plays in which clip, made by a pool of processes, and its table.

Every real clip yields one fake, by turns a swap and a reenactment, so that each identity has as
many fakes as real clips. Each clip draws from a generator seeded by its own place in the plan:
neither the number of processes nor their order changes a byte (on one kind of machine; another
CPU may round differently).
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfray import storage
from dfray.config import DemoSection
from dfray.datasets.readers.demo_clips import COLUMNS
from dfray.errors import DfrayError, UserError

VERSION = 1  # of the generator: clips of another version are not taken for ours
_METHODS = {"FS": "demo-swap", "RE": "demo-reenact", "real": "demo-real"}
_MOTION, _SPEECH, _OTHER_SPEECH, _CRAFT, _GRAIN = range(5)  # what a clip draws lots for


@dataclass(frozen=True)
class Shot:
    """One real clip and the fake made from it. person and donor count over all splits."""

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

    def rows(self, duration_s: float) -> Iterator[dict[str, Any]]:
        """The table's rows of the real and of the fake clip."""
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
    """Write `out`/videos/STEM.mp4 and then `out`/clips.csv; what is already there is kept.

    Args:
        out: local folder or s3:// URI.
        progress: called with (clips done, clips in all).
        workers: processes; default: one per core.

    Returns:
        `out`.

    Raises:
        UserError: `out` holds clips of other settings or of another seed.
        StorageError: `out` cannot be written.
        DfrayError: a process died; the clips written so far are kept.
    """
    shots = plan_shots(settings, seed)
    total = 2 * len(shots)
    _claim(out, settings, seed)
    if not storage.exists(storage.join(out, "clips.csv")):
        there = {os.path.basename(uri) for uri in storage.list_files(_videos(out), ".mp4")}
        for done in _make(out, shots, there, settings, seed, workers or os.cpu_count() or 1):
            if progress:
                progress(done, total)
        storage.write_bytes(_table(settings, seed), storage.join(out, "clips.csv"))
    if progress:
        progress(total, total)
    return out


def plan_shots(settings: DemoSection, seed: int) -> list[Shot]:
    """Every real clip with its fake's category and donor; a donor is of the same split."""
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


def clip_rows(settings: DemoSection, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of clips.csv, known before any clip is drawn."""
    duration_s = round(_frame_count(settings) / settings.fps, 6)
    for shot in plan_shots(settings, seed):
        yield from shot.rows(duration_s)


def _dataset(person: int, settings: DemoSection) -> str:
    return "demo" if settings.datasets == 1 else f"demo-{person % settings.datasets + 1}"


def _claim(out: str, settings: DemoSection, seed: int) -> None:
    """Mark `out` as the place of these clips, or refuse one that holds others."""
    content = f"{settings.fingerprint()} {seed} {VERSION}"
    mine = hashlib.sha256(content.encode()).hexdigest()[:16].encode()
    marker = storage.join(out, "fingerprint")
    if storage.exists(marker):
        found = storage.read_bytes(marker)
    elif storage.list_files(_videos(out)):
        found = b"missing"
    else:
        storage.write_bytes(mine, marker)
        return
    if found != mine:
        raise UserError(
            f"{out} holds other clips than those asked for: its fingerprint is "
            f"{found.decode(errors='replace')}, not {mine.decode()} (seed {seed}).",
            "Delete the folder, or name another one.",
        )


def _videos(out: str) -> str:
    return storage.join(out, "videos")


def _make(
    out: str, shots: list[Shot], there: set[str], settings: DemoSection, seed: int, workers: int
) -> Iterator[int]:
    """Make the clips that are not `there`; yields how many of all are done."""
    done = len(there)
    yield done
    # Spawned, not forked: the caller may hold threads of Ray or torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [
            pool.submit(make_shot, out, shot, missing, settings, seed)
            for shot in shots
            if (missing := _missing(shot, there))
        ]
        try:
            for future in as_completed(futures):
                done += future.result()
                yield done
        except BrokenProcessPool as error:
            raise DfrayError(
                "A process that draws the demo's clips was killed.",
                "Perhaps memory ran out; run again, finished clips are kept.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _missing(shot: Shot, there: set[str]) -> tuple[str, ...]:
    return tuple(s for s in (shot.real_stem, shot.fake_stem) if f"{s}.mp4" not in there)


def make_shot(
    out: str, shot: Shot, stems: tuple[str, ...], settings: DemoSection, seed: int
) -> int:
    """Film the real clip, forge the fake, and write those of `stems`; returns their number."""
    import cv2

    from dfray.demo.encode import add_grain, write_clip

    cv2.setNumThreads(1)  # the pool already has a process for every core
    lots = np.random.default_rng([seed, shot.person, shot.take, _GRAIN])
    strength = lots.uniform(2.5, 5.0)
    frames = _frames(shot, settings, seed)
    for grain, stem in zip(lots.spawn(2), (shot.real_stem, shot.fake_stem), strict=True):
        if stem in stems:
            with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
                write_clip(file.name, add_grain(frames[stem], grain, strength), settings.fps)
                storage.put(file.name, storage.join(_videos(out), f"{stem}.mp4"))
    return len(stems)


def _frames(shot: Shot, settings: DemoSection, seed: int) -> dict[str, np.ndarray]:
    """Pictures of the real and of the fake clip, before grain and encoder."""
    from dfray.demo import animate, draw, forge, identity

    count = _frame_count(settings)

    def lots(person: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, person, shot.take, purpose])

    def film(person: int, speech: int) -> animate.Clip:
        portrait = draw.paint_portrait(identity.draw_lots(seed, person), settings.size_px)
        motion = animate.draw_motion(lots(person, _MOTION), count, settings.fps)
        lines = animate.draw_speech(lots(person, speech), count, settings.fps)
        return animate.film(portrait, motion, lines)

    real = film(shot.person, _SPEECH)
    craft = forge.draw_craft(lots(shot.person, _CRAFT), count)
    if shot.category == "FS":
        fake = forge.swap(real, film(shot.donor, _SPEECH), craft)
    else:
        fake = forge.reenact(real, film(shot.person, _OTHER_SPEECH), craft)
    return {shot.real_stem: real.frames, shot.fake_stem: fake}


def _frame_count(settings: DemoSection) -> int:
    return max(1, round(settings.duration_s * settings.fps))


def _table(settings: DemoSection, seed: int) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(clip_rows(settings, seed))
    return text.getvalue().encode()
