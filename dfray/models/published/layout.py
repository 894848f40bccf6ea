"""Key for key: the parameters of a network from the tensors of a published file.

Names are those of the file in every message, as whoever has the file knows no others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from dfray.errors import ModelFileError, did_you_mean
from dfray.models.checkpoint import first_few

_WRAPPERS = ("state_dict", "model")
_PARALLEL = "module."  # in front of every key that torch's DataParallel saves


def same(tensor: Tensor) -> Tensor:
    """Return the tensor as it is."""
    return tensor


@dataclass(frozen=True)
class Source:
    """Tensors of a file that one parameter of the network is made of.

    Attributes:
        names: keys of the file.
        combine: the tensors in the order of `names` -> the parameter.
    """

    names: tuple[str, ...]
    combine: Callable[..., Tensor] = same


def stacked(*parts: Source) -> Source:
    """Return the source of a parameter that several others make, one below the other."""

    def combine(*tensors: Tensor) -> Tensor:
        rest = iter(tensors)
        return torch.cat([part.combine(*islice(rest, len(part.names))) for part in parts])

    return Source(tuple(name for part in parts for name in part.names), combine)


def unwrapped(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of the network in a checkpoint's content, without what its training kept."""
    for wrapper in _WRAPPERS:
        if isinstance(inner := content.get(wrapper), Mapping):
            content = inner
    if content and all(name.startswith(_PARALLEL) for name in content):
        content = {name.removeprefix(_PARALLEL): value for name, value in content.items()}
    return dict(content)


def parameters_of(
    tensors: Mapping[str, Any],
    sources: Mapping[str, Source],
    state: Mapping[str, Tensor],
    *,
    ignored: str,
    file: str,
) -> dict[str, Tensor]:
    """Return the network's parameters and buffers, made of the file's tensors with every key accounted for.

    Args:
        tensors: of the file.
        sources: parameter -> what it is made of, for each of `state`.
        state: the network's parameters and buffers, whose shapes and types are kept.
        ignored: pattern of keys of the file that are left.
        file: its name in messages.

    Raises:
        ModelFileError: a key is missing, unexpected, no tensor, of another shape or not finite; the message
            names it, and for an unexpected one the nearest that is missing.
    """
    _require_keys(tensors, sources, ignored, file)
    made = {name: _made(tensors, source) for name, source in sources.items()}
    wrong = [
        f"{', '.join(sources[name].names)} (expected {tuple(state[name].shape)}, found "
        f"{_shapes(tensors, sources[name])})"
        for name, value in made.items()
        if value is None or value.shape != state[name].shape
    ]
    if wrong:
        raise _misfit(file, f"it has the wrong shape in {first_few(wrong)}")
    values = {
        name: value.to(state[name].dtype) for name, value in made.items() if value is not None
    }
    broken = [
        ", ".join(sources[name].names)
        for name, value in values.items()
        if not torch.isfinite(value).all()
    ]
    if broken:
        raise _misfit(file, f"it has values that are no finite numbers in {first_few(broken)}")
    return values


def _require_keys(
    tensors: Mapping[str, Any], sources: Mapping[str, Source], ignored: str, file: str
) -> None:
    wanted = dict.fromkeys(name for source in sources.values() for name in source.names)
    missing = [name for name in wanted if name not in tensors]
    faults = []
    if missing:
        faults.append(f"lacks {first_few(missing)}")
    unexpected = [
        name for name in tensors if name not in wanted and not re.fullmatch(ignored, str(name))
    ]
    if unexpected:
        near = did_you_mean(str(unexpected[0]), missing or wanted)
        faults.append(f"has unexpected {first_few(list(map(str, unexpected)))}. {near}".strip(". "))
    if faults:
        raise _misfit(file, f"it {'; '.join(faults)}")


def _made(tensors: Mapping[str, Any], source: Source) -> Tensor | None:
    """Return the parameter; None: its tensors are none, or do not fit each other."""
    parts = [tensors[name] for name in source.names]
    if not all(isinstance(part, Tensor) for part in parts):
        return None
    try:
        return source.combine(*(p.float() if p.is_floating_point() else p for p in parts))
    except (RuntimeError, IndexError):
        return None


def _shapes(tensors: Mapping[str, Any], source: Source) -> str:
    parts = (tensors[name] for name in source.names)
    return ", ".join(
        str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__
        for part in parts
    )


def _misfit(file: str, fault: str) -> ModelFileError:
    return ModelFileError(
        f"{file} is not of this detector: {fault}.",
        "Give the file that its authors publish, or the detector that it is of: `dfray import --list`.",
    )
