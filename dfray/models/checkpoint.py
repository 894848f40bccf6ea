"""Published checkpoints: read without running their code, loaded with every key accounted for."""

from __future__ import annotations

import argparse
import hashlib
import math
import pickle
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from dfray.errors import ModelFileError, first_line

_NAMES_IN_MESSAGE = 8
_COPY_HINT = (
    "Copy it again from its publisher, and compare its size or SHA-256 with the published one."
)


@dataclass(frozen=True)
class LoadedWeights:
    """Keys of a checkpoint and of the backbone that loaded it.

    Attributes:
        source: path or URI of the checkpoint.
        ignored: keys of the checkpoint that are not loaded.
        fresh: keys of the backbone that the checkpoint lacks; they have their random start.
    """

    source: str
    ignored: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"weights from {self.source}; ignored: {by_module(self.ignored)}; "
            f"fresh: {by_module(self.fresh)}"
        )


def read_checkpoint(path: str, source: str) -> dict[str, Any]:
    """Return the content of a .safetensors file, or of a torch file of plain values and tensors, on the CPU.

    Of Python's classes only argparse.Namespace is allowed, as training scripts save their options in it;
    no other class that a pickle names is imported.

    Args:
        path: the local file.
        source: its name in messages.

    Raises:
        ModelFileError: it is truncated, no checkpoint at all, or pickled with code in it.
    """
    try:
        if path.endswith(".safetensors"):
            return dict(load_file(path))
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise _refusal(path, source, error) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"{source} cannot be read as a checkpoint: {first_line(error)}.", _COPY_HINT
        ) from error
    if not isinstance(content, dict):
        raise ModelFileError(
            f"{source} holds a {type(content).__name__}, not a dictionary of tensors.",
            "Save the state_dict of the model alone.",
        )
    return content


def load_exactly(
    backbone: nn.Module, tensors: Mapping[str, Any], fresh: Collection[str], source: str
) -> None:
    """Load `tensors` in place; they must be the backbone's parameters and buffers without `fresh`.

    Raises:
        ModelFileError: a key is missing, unexpected, no tensor or of another shape; the message names
            it, and nothing is loaded.
    """
    state = backbone.state_dict()
    shapes = {name: value.shape for name, value in state.items() if name not in fresh}
    faults = {
        "lacks": [name for name in shapes if name not in tensors],
        "has unexpected": [name for name in tensors if name not in shapes],
        "has the wrong shape in": [
            f"{name} {_shape(tensors[name])} for {tuple(shape)}"
            for name, shape in shapes.items()
            if name in tensors and _shape(tensors[name]) != tuple(shape)
        ],
    }
    listed = "; ".join(f"{fault} {first_few(names)}" for fault, names in faults.items() if names)
    if listed:
        raise ModelFileError(
            f"{source} does not fit the backbone: it {listed}.",
            "Check model.backbone, model.pool and model.weights_layout against the checkpoint.",
        )
    backbone.load_state_dict(dict(tensors), strict=False)


def digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 of named tensors: their names, shapes, dtypes and values."""
    sha256 = hashlib.sha256()
    for name, value in tensors:
        sha256.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
        sha256.update(value.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def _refusal(path: str, source: str, error: Exception) -> ModelFileError:
    """Return the error of an unpickler's refusal, without torch's advice to allow all code."""
    try:
        unsafe = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (RuntimeError, ValueError, OSError, pickle.UnpicklingError):
        unsafe = set()
    if classes := sorted(unsafe - {"argparse.Namespace"}):
        return ModelFileError(
            f"{source} is pickled with code in it ({first_few(classes)}), which is not run.",
            "Use a file of tensors alone, such as .safetensors, from a publisher you trust.",
        )
    return ModelFileError(
        f"{source} is no checkpoint, or is pickled with code in it, which is not run: "
        f"{first_line(error)}.",
        _COPY_HINT,
    )


def _shape(value: Any) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def first_few(names: list[str]) -> str:
    """Return the names in a line, those after the eighth counted."""
    more = f" and {len(names) - _NAMES_IN_MESSAGE} more" if len(names) > _NAMES_IN_MESSAGE else ""
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + more


def by_module(keys: Collection[str]) -> str:
    """Return keys by their first module, with counts: `decoder_blocks.* (96), mask_token`."""
    modules = Counter(key.partition(".")[0] + (".*" if "." in key else "") for key in keys)
    return ", ".join(f"{k} ({n})" if k.endswith("*") else k for k, n in modules.items()) or "none"


def on_grid(positions: Any, grid: tuple[int, int], n_prefix: int) -> Any:
    """Resample (1, P + G*G, D), P prefix tokens and a square grid, to (1, P + H*W, D); others stay."""
    if not isinstance(positions, Tensor) or positions.ndim != 3:
        return positions
    n_patches = positions.shape[1] - n_prefix
    if n_patches < 1 or math.isqrt(n_patches) ** 2 != n_patches:
        return positions
    return resample_abs_pos_embed(positions, new_size=list(grid), num_prefix_tokens=n_prefix)
