"""The fields of a YAML file: whether each is explained, and the same file with each misspelt in turn."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def unexplained(file: Path) -> set[str]:
    """The keys that no comment stands behind on any line where they stand."""
    told = set[str]()
    for line in file.read_text().splitlines():
        code, _, comment = line.partition(" #")
        if comment.strip():
            words = code.replace("{", " ").replace(",", " ").split()
            told |= {word[:-1] for word in words if word.endswith(":")}
    return {path[-1] for path in paths(yaml.safe_load(file.read_text()))} - told


def misspelt(document: Any) -> Iterator[tuple[str, Any]]:
    """(where, the document with one key misspelt), for every key in it."""
    for *above, key in paths(document):
        wrong = copy.deepcopy(document)
        place = wrong
        for step in above:
            place = place[step]
        place[f"{key}s"] = place.pop(key)
        yield ".".join(map(str, [*above, key])), wrong


def paths(value: Any, above: tuple = ()) -> Iterator[tuple]:
    """The way to every key: keys and indices from the root on, the key itself last."""
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for step, inner in items:
        if isinstance(value, dict):
            yield (*above, step)
        yield from paths(inner, (*above, step))
