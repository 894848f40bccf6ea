"""Checkpoints of others: read without running their code, loaded with every key accounted for."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dfray.errors import ModelFileError, first_line

_TOLD = 8  # names in a message
_AGAIN = "Copy it again from where it was published, and compare its size or SHA-256 with theirs."


@dataclass(frozen=True)
class Loaded:
    """What became of a checkpoint's keys.

    Attributes:
        source: where the checkpoint lies.
        ignored: its keys that the backbone has no use for.
        fresh: the backbone's keys that it does not hold and that start anew.
    """

    source: str
    ignored: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"weights from {self.source}; ignored: {_by_module(self.ignored)}; "
            f"fresh: {_by_module(self.fresh)}"
        )


def read_checkpoint(path: str, source: str) -> dict[str, Any]:
    """The content of a .safetensors file, or of a torch file of plain values and tensors, on the CPU.

    Of Python's classes only argparse.Namespace is let through, which training scripts keep their options
    in; whatever else a pickle names is never imported.

    Args:
        path: the local file.
        source: what to call it in a message.

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
            f"{source} cannot be read as a checkpoint: {first_line(error)}.", _AGAIN
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
        ModelFileError: a key is missing, unexpected, no tensor or of another shape; it is named, and
            nothing is loaded.
    """
    there = backbone.state_dict()
    wanted = {name: value.shape for name, value in there.items() if name not in fresh}
    faults = {
        "lacks": [name for name in wanted if name not in tensors],
        "has unexpected": [name for name in tensors if name not in wanted],
        "has the wrong shape in": [
            f"{name} {_shape(tensors[name])} for {tuple(shape)}"
            for name, shape in wanted.items()
            if name in tensors and _shape(tensors[name]) != tuple(shape)
        ],
    }
    told = "; ".join(f"{what} {_some(names)}" for what, names in faults.items() if names)
    if told:
        raise ModelFileError(
            f"{source} does not fit the backbone: it {told}.",
            "Check model.backbone, model.pool and model.weights_layout against the checkpoint.",
        )
    backbone.load_state_dict(dict(tensors), strict=False)


def _refusal(path: str, source: str, error: Exception) -> ModelFileError:
    """An unpickler's refusal, without torch's advice to lower its guard."""
    try:
        named = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (RuntimeError, ValueError, OSError, pickle.UnpicklingError):
        named = set()
    if classes := sorted(named - {"argparse.Namespace"}):
        return ModelFileError(
            f"{source} is pickled with code in it ({_some(classes)}), which is not run.",
            "Use a file of tensors alone, such as .safetensors, from a publisher you trust.",
        )
    return ModelFileError(
        f"{source} is no checkpoint, or is pickled with code in it, which is not run: "
        f"{first_line(error)}.",
        _AGAIN,
    )


def _shape(value: Any) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def _by_module(keys: Collection[str]) -> str:
    """Keys by their first part, with counts: `decoder_blocks.* (96), mask_token`."""
    parts = Counter(key.partition(".")[0] + (".*" if "." in key else "") for key in keys)
    return ", ".join(f"{k} ({n})" if k.endswith("*") else k for k, n in parts.items()) or "none"
