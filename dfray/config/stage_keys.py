"""Recipe keys that each stage's result depends on, declared once, and those that change no result.

The corpora and the demo reach the stages as rows of the manifest. A stage also depends on what the stages
before it depend on.
"""

from __future__ import annotations

from typing import Any, Literal

from dfray.config.recipe import Recipe
from dfray.nested import flatten

Stage = Literal["manifest", "faces", "training", "figures", "registration", "promotion", "search"]

STAGE_KEYS: dict[Stage, tuple[str, ...]] = {
    "manifest": ("corpora", "demo"),
    "faces": ("faces",),
    "training": ("seed", "batches", "augment", "model", "objective", "training"),
    "figures": ("evaluation",),
    "registration": ("registry.model_name",),
    "promotion": ("registry.gates",),
    "search": ("search",),
}
"""Stage -> keys, or sections with all their keys, that only its result and later ones depend on."""

WITHOUT_EFFECT = (
    "name",
    "description",
    "work_dir",
    "cluster",
    "faces.shard_mb",
    "faces.stall_limit_s",
    "faces.attempts",
    "training.num_workers",  # the batch is the global one; only the order of the faces differs
    "training.min_workers",
    "training.use_gpu",
    "training.cpus_per_worker",
    "training.parallelism",  # the steps are the same but for rounding
    "training.activation_checkpointing",
    "training.compile",
    "training.max_failures",
    "evaluation.batch_size",
    "evaluation.bootstrap",
    "evaluation.num_workers",
    "registry.tracking_uri",
    "registry.experiment",
    "search.max_concurrent",
)
"""Keys, or sections, that say where and by how many something is done, and change no result."""


_OWNERS: dict[str, Stage | None] = dict.fromkeys(WITHOUT_EFFECT) | {
    name: stage for stage, names in STAGE_KEYS.items() for name in names
}


def stage_of(key: str) -> Stage | None:
    """Return the first stage whose result depends on a key; None for a key without effect.

    Args:
        key: dotted, as `dfray recipes keys` lists it, or of a resolved recipe.

    Raises:
        KeyError: the key is in neither list.
    """
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        if prefix in _OWNERS:
            return _OWNERS[prefix]
    raise KeyError(key)


def stage_values(recipe: Recipe, stage: Stage) -> dict[str, Any]:
    """Return dotted key -> value, as JSON, of the keys that come in with a stage.

    Younger keys at their default are left out, as results that are older than they do not have them.
    """
    values, unused = flatten(recipe.model_dump(mode="json")), recipe.unused_younger()
    return {key: value for key, value in values if stage_of(key) == stage and key not in unused}
