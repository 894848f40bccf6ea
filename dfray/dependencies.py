"""Dependencies of each stage's result: recipe keys, the manifest's rows, the detector's file, versions.

A result lies under the key of its dependencies, so recipes that agree in them share it, and a changed recipe
finds what still holds. The keys of a recipe are declared in `config/stage_keys.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dfray.config import ModelSection, Recipe
from dfray.config.stage_keys import stage_values
from dfray.errors import RecipeError
from dfray.faces.settings import identifying_settings
from dfray.text import mask

_FACES = "faces."
_DATA = "videos."
"""Prefix of the dependency on the manifest's rows of a split."""
_TRAINED = ("video_id", "uri", "label", "category", "dataset")
PLAIN_VITS = ("vit_", "flexivit_", "aimv2_", "beit3_", "eva_large_", "test_vit")
"""How the names of timm's plain ViTs begin."""
_MEASURED = (*_TRAINED, "method", "identity", "identity_group")


@dataclass(frozen=True)
class Dependencies:
    """Name -> JSON value of all that a stage's result depends on; names are recipe keys where they are."""

    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        """First 12 hex digits of the SHA-256 of the values, by which the result is found."""
        canonical = json.dumps(self.values, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def changes(self, earlier: Mapping[str, Any]) -> list[str]:
        """Return what differs from the dependencies of another result, as `key old -> new`."""
        return [
            _change(name, earlier.get(name), self.values.get(name))
            for name in sorted(earlier.keys() | self.values.keys())
            if earlier.get(name) != self.values.get(name)
        ]

    def of_faces(self) -> Dependencies:
        """Return those of the faces among the dependencies of a training."""
        return Dependencies({k: v for k, v in self.values.items() if k.startswith(_FACES)})


def of_faces(recipe: Recipe) -> Dependencies:
    """Return the dependencies of stored faces, whatever the videos.

    Raises:
        StorageError: the detector's file cannot be read.
    """
    settings = identifying_settings(recipe.faces)
    return Dependencies({f"{_FACES}{name}": value for name, value in settings.items()})


def of_training(recipe: Recipe, videos: pa.Table) -> Dependencies:
    """Return the dependencies of a training on VIDEOS."""
    data = {f"{_DATA}{split}": _fingerprint(videos, split, _TRAINED) for split in ("train", "val")}
    values = stage_values(recipe, "training") | _network(recipe)
    return Dependencies({**of_faces(recipe).values, **values, **data})


def former_key(recipe: Recipe, training: Dependencies) -> str | None:
    """Return the other key under which an earlier dfray has the same training; None: there is none.

    It took a pretrained plain ViT's `model.pool` as written, though `avg` and null both stood for the mean of
    the patches.
    """
    pool = recipe.model.pool
    if pool is None or training.values["model.pool"] is not None:
        return None
    return Dependencies({**training.values, "model.pool": pool}).key


def of_figures(recipe: Recipe, videos: pa.Table) -> Dependencies:
    """Return what an evaluation depends on beside the trained model."""
    splits = {recipe.evaluation.split, recipe.evaluation.fit_split}
    data = {f"{_DATA}{split}": _fingerprint(videos, split, _MEASURED) for split in splits}
    return Dependencies({**stage_values(recipe, "figures"), **data})


def of_registration(recipe: Recipe, figures: Dependencies, tracking_uri: str) -> Dependencies:
    """Return what a registered version depends on beside the trained model."""
    place = {"tracking server": mask(tracking_uri)}
    return Dependencies({**figures.values, **stage_values(recipe, "registration"), **place})


def of_promotion(recipe: Recipe, registration: Dependencies) -> Dependencies:
    """Return what a decision about a version depends on beside the trained model."""
    return Dependencies({**registration.values, **stage_values(recipe, "promotion")})


def _network(recipe: Recipe) -> dict[str, Any]:
    """Return the keys of the network where weights decide them otherwise than they once did.

    Results are found under what a plain ViT's `model.pool: null` and an absent `model.num_heads` stood for:
    the mean of the patches and timm's heads, whatever the weights. A network that cannot be built has none.
    """
    section = recipe.model
    if not _may_differ(section):  # so that timm need not be imported
        return {}
    from dfray.models.network import former_pool, stated, stored

    try:
        former = stored(section.model_copy(update={"pool": None, "num_heads": None}))
        now, values = stated(section), dict[str, Any]()
    except RecipeError:  # the checks tell of it
        return {}
    if former_pool(section):
        values["model.pool"] = None if now.pool == former.pool else now.pool
    if now.num_heads != former.num_heads:
        values["model.num_heads"] = now.num_heads
    return values


def _may_differ(section: ModelSection) -> bool:
    """Return False if neither weights nor the recipe can have decided the pooling or the heads of a ViT."""
    name = section.backbone
    if section.num_heads is not None:
        return True
    if section.weights is None or "_clip_" in name or not name.startswith(PLAIN_VITS):
        return False
    is_fsfm = section.weights_layout == "fsfm" and section.pool is None
    return not is_fsfm or "_small_" in name


def _fingerprint(videos: pa.Table, split: str, columns: Sequence[str]) -> str:
    """Return 16 hex digits of the rows of a split, with what was added since if known, in any order."""
    rows = videos.filter(pc.equal(videos["split"], split))
    described = zip(*(map(str, rows[name].to_pylist()) for name in columns), strict=True)
    added = ("content", *(["attributes"] if columns == _MEASURED else []))
    stated = zip(*(rows[name].to_pylist() for name in added), strict=True)
    values = sorted(
        (*row, *filter(None, more)) for row, more in zip(described, stated, strict=True)
    )
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _change(name: str, old: Any, new: Any) -> str:
    if name.startswith(_DATA):
        return f"{name.removeprefix(_DATA)} videos"
    return f"{name} {json.dumps(old)} -> {json.dumps(new)}"
