"""Keys of a recipe with type, default, unit and description, read from the settings' fields."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dfray.config.recipe import Recipe
from dfray.config.section import Section, Unit
from dfray.errors import UserError, did_you_mean

_LISTED = "N"
"""Index of a list in a path, as in corpora.N.root."""
_NAMED = "KEY"
"""Key of a mapping in a path, as in search.space.KEY.uniform."""


@dataclass(frozen=True)
class RecipeKey:
    """A key of a recipe.

    Attributes:
        path: dotted, such as training.lr; corpora.N.root for an item of a list.
        default: as YAML; none if the key is required.
        unit: such as s, px or MiB; empty if it has none.
    """

    path: str
    type: str
    default: str | None
    unit: str
    description: str


def recipe_keys(section: str = "") -> list[RecipeKey]:
    """Return all keys of a recipe in order, or those of one section.

    Raises:
        UserError: there is no such section or key; the nearest is suggested.
    """
    keys = list(_keys(Recipe, ""))
    if not section:
        return keys
    selected = [key for key in keys if f"{key.path}.".startswith(f"{section}.")]
    if not selected:
        prefixes = {key.path.rpartition(".")[0] for key in keys} | {key.path for key in keys}
        raise UserError(
            f"A recipe has no section {section!r}.",
            did_you_mean(section, prefixes) or f"There are: {', '.join(_sections())}.",
        )
    return selected


def nested_section(annotation: object) -> tuple[type[Section], str] | None:
    """Return the section inside a field's annotation, and its step in a path: "", N or KEY."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, ""
    origin = get_origin(annotation)
    step = _LISTED if origin is list else _NAMED if origin is dict else ""
    for inner in get_args(annotation):
        if section := nested_section(inner):
            return section[0], step or section[1]
    return None


def _sections() -> list[str]:
    return [name for name, field in Recipe.model_fields.items() if nested_section(field.annotation)]


def _keys(section: type[Section], prefix: str) -> Iterator[RecipeKey]:
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        inner = nested_section(field.annotation)
        is_plain_section = isinstance(field.annotation, type) and inner is not None
        if not is_plain_section:
            yield _key(path, field)
        if inner is not None:
            yield from _keys(inner[0], f"{path}.{inner[1]}." if inner[1] else f"{path}.")


def _key(path: str, field: FieldInfo) -> RecipeKey:
    units = [item.name for item in _metadata(field) if isinstance(item, Unit)]
    return RecipeKey(
        path=path,
        type=_type(field.annotation) + _bounds(field),
        default=None if field.default is PydanticUndefined else _value(field.default),
        unit=units[0] if units else "",
        description=field.description or "",
    )


def _value(value: Any) -> str:
    """Return a default as YAML writes it, on one line."""
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Section):
        fields = value.model_dump(mode="json", exclude_none=True)
        return _value(fields)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value) or "''"


_NAMES: dict[object, str] = {
    type(None): "null",
    bool: "true/false",
    int: "integer",
    float: "number",
    str: "text",
    Any: "any",
}


def _type(annotation: object) -> str:
    """Return a short name of a type, as a recipe's author reads it."""
    if (section := nested_section(annotation)) and section[0] is annotation:
        return "section"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(_type, arguments)))
    if origin in (list, tuple):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        if origin is tuple and Ellipsis not in arguments:
            return f"[{', '.join(map(_type, inner))}]"
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    return _NAMES.get(annotation, str(annotation))


_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}


def _bounds(field: FieldInfo) -> str:
    """Return the numeric bounds of a field, such as ` >= 0 <= 1`."""
    bounds = [
        f"{sign} {getattr(item, name):g}"
        for item in _metadata(field)
        for name, sign in _SIGNS.items()
        if getattr(item, name, None) is not None
    ]
    return f" {' '.join(dict.fromkeys(bounds))}" if bounds else ""


def _metadata(field: FieldInfo) -> list[object]:
    """Return the constraints and the unit of a field, also of an optional one."""
    metadata = list(field.metadata)
    for argument in get_args(field.annotation):
        if get_origin(argument) is Annotated:
            for item in argument.__metadata__:
                metadata += item.metadata if isinstance(item, FieldInfo) else [item]
    return metadata
