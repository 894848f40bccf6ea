"""Recipe for videos of one's own: reader, counts and the keys that matter, by a look at the folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from dfray import storage
from dfray.config import ClusterSection, CorpusSection, FacesSection, GatesSection
from dfray.datasets.files import Files
from dfray.datasets.manifest import Manifest, build_manifest
from dfray.datasets.readers import READERS, reader
from dfray.errors import DfrayError, UserError
from dfray.faces.shard_plan import expected_faces
from dfray.session import local_node

_RATE_FPS = 1
_OPENED = 50
"""Files that are opened for their lengths."""
_BATCHES_PER_EPOCH = 8
"""Batches that a small corpus is cut into at least."""
_BATCH_SIZES = (64, 32, 16, 8, 4)
_COMMENTED = re.compile(r'^((?: *[^#"\s][^#"\n]*?)(?:"(?:[^"\\\n]|\\.)*")?) *# (.*)$', re.MULTILINE)
"""Line with a value, which may be a JSON string, and a comment behind it."""
_COMMENT_COLUMN = 33
_TEMPLATE = """\
# Written by `dfray recipes new` for {root}: {counts}.
# `dfray recipes keys` lists every key with its default; `dfray manifest check` says what a run would refuse.
name: {name}  # of the run and of its folder in work_dir
work_dir: runs  # or s3://bucket/folder

corpora:
  - reader: {reader}  # {title}
    root: {root_yaml}
    # split: test                # put every video into one split; else {splits}

faces:
  rate_fps: {rate_fps}  # sampled frames per second of video: about {faces} faces in all
  size_px: 224  # side of the stored crop
  # margin_ratio: 1.3            # side of the crop over the side of the detected box

batches:
  batch_size: {batch_size}  # faces per optimizer step, over all workers together

model:
{model}

training:
  num_workers: {workers}  # data-parallel workers
  epochs: 10
  lr: {lr}  # highest learning rate, after the warm-up
  warmup_epochs: 1
  # use_gpu: false               # default: one GPU a worker, if the cluster has any

# objective:                     # metric learning beside cross-entropy; `dfray search` tunes both
#   triplet: {{weight: 0.2, margin: 1.0}}

evaluation:
  split: {split}
  # threshold: {{fpr: 0.05}}       # at most 5 % false alarms on validation; default: balanced_accuracy

registry:
  model_name: {name}  # of the registered model
  gates:  # a model that fails one is not promoted
    min_auc: 0.8
    min_balanced_accuracy: 0.7
    min_videos: {min_videos}  # split {split} has {measured} videos
"""
_ON_GPU = """\
  backbone: vit_base_patch16_224  # any timm name; jobs/recipes/fsfm-ba.yaml has a face foundation model
  weights: timm  # fetched at the first training; or a path, s3:// or hf://
  size_px: 224"""
_ON_CPU = """\
  backbone: resnet10t  # small, for CPUs; any timm name, such as vit_base_patch16_224 on a GPU
  # weights: timm                # those that timm publishes, fetched at the first training; default: random
  size_px: 112"""


@dataclass(frozen=True)
class Collection:
    """Videos below a folder, as the reader that takes the most of them reads them.

    Attributes:
        root: folder, or the CSV file that lists the videos; absolute.
    """

    root: str
    reader: str
    manifest: Manifest

    @cached_property
    def videos(self) -> Counter[str]:
        """Number of videos of each split."""
        return Counter(self.manifest.videos["split"].to_pylist())


def write_recipe(path: str, videos: str) -> Collection:
    """Write a recipe for the videos of a folder, or of a CSV file, to a new file; return what is there.

    Raises:
        UserError: the file is there already, or the folder is not.
        ManifestError: no reader takes a video of the folder; the message is that of the plain folder's.
    """
    if storage.exists(path):
        raise UserError(f"{path} is there already.", "Give the new recipe another name.")
    collection = look_at(videos)
    gpus = int(local_node(ClusterSection()).resources["GPU"])
    storage.write_bytes(recipe_text(run_name(path), collection, gpus=gpus).encode(), path)
    return collection


def look_at(root: str) -> Collection:
    """Return the videos below a folder, or those that a CSV file lists.

    Raises:
        ManifestError, UserError: as `write_recipe`.
    """
    root = storage.absolute(root)
    if not storage.exists(root):
        raise UserError(f"--videos: there is no {root}.", "Name the folder that holds the videos.")
    name = "csv" if root.endswith(".csv") else _best_reader(root)
    corpus = CorpusSection(reader=name, root=root)
    return Collection(root, name, build_manifest([corpus], opened=_OPENED))


def _best_reader(root: str) -> str:
    """Return the reader that takes the most of the files below `root`, which are listed once."""
    files = Files(root)
    names = [name for name in READERS if name not in ("csv", "demo")]
    n_videos = {name: _n_videos(CorpusSection(reader=name, root=root), files) for name in names}
    return max(names, key=lambda name: n_videos[name])  # the plain folder's is the first


def _n_videos(corpus: CorpusSection, files: Files) -> int:
    """Return the number of present videos that a corpus's reader takes; 0: it refuses the layout."""
    try:
        rows = [row for row in reader(corpus.reader).read(corpus, files) if isinstance(row, dict)]
        return sum(files.has(row["uri"]) or files.image_count(row["uri"]) > 0 for row in rows)
    except DfrayError:
        return 0


def recipe_text(name: str, collection: Collection, *, gpus: int) -> str:
    """Return the recipe as YAML with comments.

    Args:
        name: of the run and of the registered model.
        gpus: of this machine, for which network and workers are chosen.
    """
    videos = collection.manifest.videos
    faces = expected_faces(videos, FacesSection(rate_fps=_RATE_FPS))
    is_train = [split == "train" for split in videos["split"].to_pylist()]
    split = "test" if collection.videos["test"] else "val"
    measured = collection.videos[split]
    text = _TEMPLATE.format(
        name=json.dumps(name),
        root=collection.root,
        root_yaml=json.dumps(collection.root, ensure_ascii=False),
        counts=_counts(collection),
        reader=collection.reader,
        title=reader(collection.reader).title.rstrip("."),
        splits=_splits(collection),
        rate_fps=_RATE_FPS,
        faces=f"{faces.sum():,}",
        batch_size=_batch_size(int(faces[is_train].sum())),
        model=_ON_GPU if gpus else _ON_CPU,
        workers=max(gpus, 1),
        lr="1.0e-4" if gpus else "1.0e-3",
        split=split,
        min_videos=max(1, min(measured, GatesSection().min_videos)),
        measured=measured,
    )
    return _COMMENTED.sub(lambda line: f"{line[1]:<{_COMMENT_COLUMN}}# {line[2]}", text)


def run_name(path: str) -> str:
    """Return the name of a recipe file's run: its stem, as far as a name may hold its letters."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(path).stem).strip("-._")
    if not stem:
        raise UserError(f"{path} gives no name of a run.", "Name the file with letters.")
    return stem


def _batch_size(faces: int) -> int:
    """Return the largest batch of which a small corpus gives some in an epoch."""
    fitting = (size for size in _BATCH_SIZES if size * _BATCHES_PER_EPOCH <= faces)
    return next(fitting, _BATCH_SIZES[-1])


def _counts(collection: Collection) -> str:
    return ", ".join(
        f"{count:,} {category} in {split}"
        for _, split, category, count in collection.manifest.counts()
    )


def _splits(collection: Collection) -> str:
    """Return where the splits come from, as the reader remarks it."""
    remarks = sorted({remark.text for remark in collection.manifest.remarks})
    return "; ".join(remarks) or "the corpus's own splits"
