"""YAML and JSON documents, whoever wrote them, read within limits.

A small document can stand for a huge one: an alias of YAML repeats what its anchor names, and what is nested
deeply exhausts the stack of whoever walks through it. So size, depth and the number of values, every alias
counted as what it stands for, have limits, and what is beyond one is refused before it is built. A key that
a mapping has twice is refused, too: one of its values would be dropped without a word.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dfray import storage
from dfray.errors import DfrayError, UserError

T = TypeVar("T")

YAML_BYTES = 2**18
JSON_BYTES = 2**26
DEPTH = 64
"""Levels of mappings and lists within each other; a recipe has six."""
VALUES = 10_000
"""Keys, values, mappings and lists of a YAML document, aliases expanded; the parser takes 50 us for each."""
DIGITS = 300
"""A number has fewer: the largest float has 309."""
_SHOWN = 80


@dataclass(frozen=True)
class Yaml:
    """A document: its value, and the node that it was made of, which has the lines; None: it is empty."""

    value: Any
    node: yaml.Node | None


class _LimitError(yaml.YAMLError):
    """A document beyond a limit, or with a key twice."""


def read_yaml(uri: str, failure: type[DfrayError] = UserError) -> Yaml:
    """Return the YAML document at `uri`.

    Raises:
        DfrayError: it is no YAML, has a key twice or is beyond a limit, as `failure`.
        StorageError: it cannot be read.
    """
    return parse_yaml(_content(uri, YAML_BYTES, failure), uri, failure)


def parse_yaml(content: bytes | str, source: str, failure: type[DfrayError] = UserError) -> Yaml:
    """Return the YAML document in `content`.

    Args:
        source: file, or other place, for the message.

    Raises:
        DfrayError: as `read_yaml`.
    """
    try:
        loader = _Loader(content)
        try:
            node = loader.get_single_node()
            if node is None:
                return Yaml(None, None)
            _Extent(loader).of(node)
            return Yaml(loader.construct_document(node), node)
        finally:
            loader.dispose()
    except _LimitError as error:
        raise failure(f"{source}{error}.") from None
    except yaml.YAMLError as error:
        raise failure(f"{source} is not valid YAML: {_sentence(error)}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        # PyYAML lets through what Python's own types say of a value, such as the date 2026-13-45.
        raise failure(f"{source} is not valid YAML: {_sentence(error)}.") from error


def read_json(
    uri: str, failure: type[DfrayError] = UserError, hint: str = "", *, with_nan: bool = False
) -> Any:
    """Return the JSON document at `uri`.

    Args:
        with_nan: take NaN and infinities, which are no JSON, as numbers.

    Raises:
        DfrayError: it is no JSON, has a key twice or is beyond a limit, as `failure`.
        StorageError: it cannot be read.
    """
    return parse_json(
        _content(uri, JSON_BYTES, failure, hint), uri, failure, hint, with_nan=with_nan
    )


def parse_json(
    content: bytes | str,
    source: str,
    failure: type[DfrayError] = UserError,
    hint: str = "",
    *,
    with_nan: bool = False,
) -> Any:
    """Return the JSON document in `content`.

    Raises:
        DfrayError: as `read_json`.
    """
    constant = float if with_nan else _refused_constant
    try:
        value = json.loads(content, object_pairs_hook=_without_doubles, parse_constant=constant)
    except RecursionError:
        raise failure(f"{source} is nested more than {DEPTH} levels deep.", hint) from None
    except ValueError as error:
        raise failure(f"{source} is not valid JSON: {_sentence(error)}.", hint) from error
    if _is_deep(value):
        raise failure(f"{source} is nested more than {DEPTH} levels deep.", hint)
    return value


def json_rows(
    lines: Iterable[str], source: str, failure: type[DfrayError] = UserError, hint: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the JSON object in each line that is not empty; NaN and infinities are numbers.

    Raises:
        DfrayError: as `parse_json`, or a line holds no object; the message has its number.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{source} line {number}"
            row = parse_json(line, place, failure, hint, with_nan=True)
            if not isinstance(row, dict):
                raise failure(f"{place} is no JSON object.", hint)
            yield row


def validated(
    kind: type[T], value: Any, source: str, failure: type[DfrayError] = UserError, hint: str = ""
) -> T:
    """Return a document's value as one of a pydantic model, or of a dataclass.

    Raises:
        DfrayError: it is none, as `failure`; the message names each key and its value.
    """
    adapter: TypeAdapter[T] = _adapter(cast(Any, kind))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise failure(f"{source}: {faults_in(error)}.", hint) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def faults_in(error: ValidationError) -> str:
    """Return what pydantic refuses, as clauses of a sentence."""
    return "; ".join(map(_fault, error.errors()))


def shown(value: object) -> str:
    """Return a value for a message: its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _fault(item: ErrorDetails) -> str:
    place = ".".join(map(str, item["loc"]))
    if item["type"] == "missing":
        return f"{place} is missing"
    message = item["msg"].removeprefix("Value error, ")
    value = "" if item["type"] == "value_error" else f" (got {shown(item['input'])})"
    return f"{place + ': ' if place else ''}{message}{value}"


def _content(uri: str, limit: int, failure: type[DfrayError], hint: str = "") -> bytes:
    if not storage.is_remote(uri) and (reason := storage.why_not_regular(storage.absolute(uri))):
        raise failure(f"{uri} {reason}.", hint)
    content = storage.read_bytes(uri, at_most=limit + 1)
    if len(content) > limit:
        raise failure(f"{uri} has more than {limit:,} bytes.", hint)
    return content


class _Loader(yaml.SafeLoader):
    """SafeLoader that goes `DEPTH` levels deep, and takes `VALUES` nodes."""

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth > DEPTH:
            raise _LimitError(f":{self.line + 1} is nested more than {DEPTH} levels deep")
        self._nodes += 1
        if self._nodes > VALUES:
            raise _LimitError(f":{self.line + 1} is beyond the limit of {VALUES:,} values")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Extent:
    """Values and levels of nodes, aliases counted as what they stand for; each node is looked at once."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._known: dict[yaml.Node, tuple[int, int] | None] = {}

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """Return (values, levels).

        Raises:
            YAMLError: they are beyond a limit, a node contains itself, or a mapping has a key twice.
        """
        if node not in self._known:
            self._known[node] = None
            self._known[node] = self._measured(node)
        extent = self._known[node]
        if extent is None:
            raise _LimitError(f":{_line(node)} contains itself, by an alias")
        return extent

    def _measured(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.MappingNode):
            self._refuse_doubles(node)
        parts = [self.of(part) for part in _parts(node)]
        values = 1 + sum(part[0] for part in parts)
        levels = 1 + max((part[1] for part in parts), default=-1)
        if values > VALUES:
            raise _LimitError(
                f":{_line(node)} stands for more than {VALUES:,} values, by its aliases"
            )
        if levels > DEPTH:
            raise _LimitError(
                f":{_line(node)} is nested more than {DEPTH} levels deep, by its aliases"
            )
        if node.tag == "tag:yaml.org,2002:int" and len(str(node.value)) > DIGITS:
            raise _LimitError(f":{_line(node)} has a number of more than {DIGITS} digits")
        return values, levels

    def _refuse_doubles(self, node: yaml.MappingNode) -> None:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = (
                    key.value if key.tag.endswith(":merge") else self._loader.construct_object(key)
                )
                if name in first:
                    raise _LimitError(
                        f":{_line(key)} has the key {shown(name)} a second time; the first is in line "
                        f"{first[name]}"
                    )
                first[name] = _line(key)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _sentence(error: Exception) -> str:
    """Return an error's message on one line, without its full stop."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"a mapping has the key {shown(name)} twice")
    return values


def _refused_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH + 1):
        level = [part for whole in level for part in _contained(whole)]
        if not level:
            return False
    return True


def _contained(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in parts if isinstance(part, dict | list)]
