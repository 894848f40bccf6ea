"""Nested mappings as dotted keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


def flatten(values: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, value) for every leaf of nested mappings, in order.

    A list of mappings is entered by its indices (`corpora.0.root`); any other list is a value. An empty
    mapping yields nothing.
    """
    items: Iterable[tuple[object, object]]
    if isinstance(values, Mapping):
        items = values.items()
    elif isinstance(values, list) and any(isinstance(value, Mapping) for value in values):
        items = enumerate(values)
    else:
        yield prefix, values
        return
    for key, value in items:
        yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
