"""Host CPU per image up to the batch handed to the training device, against PIL and timm.

    python -m tests.benchmarks.bench_loading

Ours is FacesReader over written faces (lz4 shards), which hands on uint8; it augments on the device. The
usual way is a file per face, PIL, timm's transform and torch's DataLoader (num_workers=0, so that one
process does all the work), which augments on the host. So the bound compares what each asks of the host;
the other lines do the same work on both sides. Crops are 224 x 224, cut from the demo's people after
their encoder, so that both compressions meet the noise of video.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dfray.batches.augment import Augment
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import AugmentSection, BatchesSection, DemoSection, FacesSection, ModelSection
from dfray.faces.shards import FacesStore
from dfray.models.preprocess import Preprocess, channels_first
from tests.benchmarks.measure import holds, interleaved, use_one_core
from tests.helpers.clips import decode_all
from tests.helpers.rows import fake_row, video_row, write_store

SIZE, BATCH, FRAMES = 224, 64, 32
BOUND = 8.0
AUGMENT = AugmentSection(  # FSFM's, as timm_transform below
    crop_scale=(0.08, 1.0),
    interpolation="bicubic",
    randaugment="rand-m9-mstd0.5-inc1",
    brightness=0,
    contrast=0,
    erasing=0.25,
)
OURS, OURS_ON_CPU = "ours", "ours, augmented here"
READ, COPY = "limit: pyarrow reads the bytes", "limit: memcpy of the pixels"


def draw_crops(people: int) -> np.ndarray:
    """Faces of generated people, FRAMES of each: uint8 (people, FRAMES, SIZE, SIZE, 3)."""
    crops = [film_crops(person) for person in range(people)]
    return np.stack(crops)


def film_crops(person: int) -> np.ndarray:
    import cv2

    from dfray.demo import animate, draw, encode, identity

    lots, settings = np.random.default_rng(person), DemoSection()
    portrait = draw.paint_portrait(identity.draw_person(0, person), settings.size_px)
    motion = animate.draw_motion(lots, FRAMES, settings.fps)
    film = animate.film(portrait, motion, animate.draw_speech(lots, FRAMES, settings.fps))
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        encode.write_clip(file.name, encode.add_grain(film.frames, lots, 3.5), settings.fps)
        pictures = [picture for _, picture in decode_all(file.name)]
    inner = slice(settings.size_px // 6, -settings.size_px // 6)
    return np.stack([cv2.resize(picture[inner, inner], (SIZE, SIZE)) for picture in pictures])


class ImageFiles(Dataset):
    """A picture file for every face, as most training code has it."""

    def __init__(self, paths: list[Path], transform: Callable) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[index]) as picture:
            return self.transform(picture.convert("RGB")), index % 2


def write_files(crops: np.ndarray, folder: Path, suffix: str) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{index:05d}.{suffix}" for index in range(len(crops))]
    for crop, path in zip(crops, paths, strict=True):
        options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
        Image.fromarray(crop).save(path, **options)
    return paths


def timm_transform() -> Callable:
    """Return the augmentation of the papers' code (arXiv 2508.19730: rand-m9-mstd0.5-inc1, erasing 0.25)."""
    from timm.data import create_transform

    return create_transform(
        SIZE,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        re_prob=0.25,
        re_mode="pixel",
    )


def epoch_of_files(paths: list[Path], transform: Callable) -> Callable[[], None]:
    loader = DataLoader(ImageFiles(paths, transform), BATCH, shuffle=True)
    return lambda: exhaust(loader)


def epoch_of_ours(store: FacesStore, work: Callable[[torch.Tensor], object]) -> Callable[[], None]:
    """An epoch of ours; `work` is done on every batch."""
    section = BatchesSection(batch_size=BATCH, sampling="all")
    sample = sample_faces(store.summaries(), "train", section)
    reader = FacesReader(store, sample, section)
    return lambda: exhaust(work(torch.from_numpy(batch.images)) for batch in reader.epoch(0))


def exhaust(batches) -> None:
    for _ in batches:
        pass


def read_plainly(store: FacesStore) -> None:
    """The same bytes from the same shards, in order, as pyarrow's own call reads them."""
    for uri in store.shards("train"):
        file = pq.ParquetFile(uri)
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=["image"], use_threads=False)


def ways_over(crops: np.ndarray, folder: Path) -> dict[str, Callable[[], object]]:
    """Write the crops in every form under `folder`; what reads them, by name."""
    from torchvision.transforms import PILToTensor

    videos = [
        ((fake_row if index % 2 else video_row)(f"{index:03d}"), list(person))
        for index, person in enumerate(crops)
    ]
    store = write_store(folder / "store", videos, FacesSection(size_px=SIZE))
    flat = crops.reshape(-1, SIZE, SIZE, 3)
    jpeg, png = write_files(flat, folder / "jpg", "jpg"), write_files(flat, folder / "png", "png")
    sizes = {"shard": list((folder / "store" / "faces").iterdir()), "JPEG": jpeg, "PNG": png}
    sizes_kb = [
        f"{name} {sum(path.stat().st_size for path in paths) / len(flat) / 1000:.0f} KB"
        for name, paths in sizes.items()
    ]
    print(f"{len(flat)} crops of {SIZE} x {SIZE}, batches of {BATCH}; an image in", *sizes_kb)
    augment = Augment(AUGMENT, Preprocess(ModelSection(size_px=SIZE)))
    copy = np.empty_like(flat)
    return {
        OURS: epoch_of_ours(store, lambda images: images),
        "JPEG files, PIL + timm": epoch_of_files(jpeg, timm_transform()),
        "PNG files, PIL + timm": epoch_of_files(png, timm_transform()),
        "JPEG files, PIL": epoch_of_files(jpeg, PILToTensor()),
        "PNG files, PIL": epoch_of_files(png, PILToTensor()),
        OURS_ON_CPU: epoch_of_ours(store, lambda faces: augment(channels_first(faces))),
        READ: lambda: read_plainly(store),
        COPY: lambda: np.copyto(copy, flat),
    }


AUGMENTED = {
    OURS: "none here: on the device",
    "JPEG files, PIL + timm": "on the host",
    "PNG files, PIL + timm": "on the host",
    "JPEG files, PIL": "off, as ours",
    "PNG files, PIL": "off, as ours",
    OURS_ON_CPU: "on the host, float32",
}


def report(seconds: dict[str, float], images: int) -> bool:
    """Print the table; whether the bound holds."""
    base = seconds[OURS]
    print(f"\n{'way':<32}{'augmentation':<26}{'us an image':>12}{'images/CPU s':>14}{'x ours':>8}")
    for name, spent in seconds.items():
        print(
            f"{name:<32}{AUGMENTED.get(name, ''):<26}{spent / images * 1e6:>12.0f}"
            f"{images / spent:>14,.0f}{spent / base:>7.1f}x"
        )
    limit = seconds[READ] + seconds[COPY]
    usual = seconds["JPEG files, PIL + timm"]
    print(
        f"\nOurs costs {base / limit:.2f} x its limit: reading the bytes and copying each once.\n"
        f"Augmented on the host on both sides, the usual way costs "
        f"{usual / seconds[OURS_ON_CPU]:.1f} x ours (the same crops, flips, "
        "RandAugment and erasing)."
    )
    return holds("x the host CPU of ours: JPEG files, PIL + timm", usual / base, at_least=BOUND)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=48, help=f"{FRAMES} crops of each")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    use_one_core()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        crops = draw_crops(options.people)
        seconds = interleaved(ways_over(crops, Path(folder)), options.repeats)
    return 0 if report(seconds, options.people * FRAMES) else 1


if __name__ == "__main__":
    sys.exit(main())
