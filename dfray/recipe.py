"""Read a recipe from YAML, with overrides from the command line; say where a mistake stands.

A recipe is named by a path, or by the name of one that comes with dfray (jobs/recipes). It may extend
others: `extends: NAME` or `extends: [NAME, ...]`, each on top of the one before it, the file's own keys on
top of all; sections are merged key by key, lists and values replaced. A file whose name begins with _
is a part for others to extend, no recipe. A mistake is told with its path in the recipe, the nearest
valid name, and the file and line (or the override) it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from dfray import storage
from dfray.config import Recipe
from dfray.errors import RecipeError, did_you_mean
from dfray.installed_files import find_file, installed_names

Location = tuple[str | int, ...]
Files = list[tuple[str, yaml.Node | None]]
"""What a recipe was read from, the topmost file first: path and parsed nodes."""


def load_recipe(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """The validated recipe.

    Args:
        name_or_path: a YAML file, local or s3://, or the name of a recipe that comes with dfray.
        overrides: `section.key=value`, the value read as YAML.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, a wrong type or value.
    """
    values, files = _read(_find(name_or_path))
    origins: dict[Location, str] = {}
    for override in overrides or []:
        origins[_apply(values, override)] = f"override {override!r}"
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        told = [_tell(item, _origin(item["loc"], files, origins)) for item in error.errors()]
        raise RecipeError("\n".join(told)) from None


def with_values(recipe: Recipe, values: Mapping[str, Any], origin: str) -> Recipe:
    """The recipe with other values at some of its keys, validated anew.

    Args:
        values: `section.key` -> value.
        origin: what asks for them, for the message of an error.

    Raises:
        RecipeError: an unknown key, a wrong type or value, or values that do not go together.
    """
    changed = recipe.model_dump(mode="json")
    for key, value in values.items():
        _set(changed, key, value, origin)
    try:
        return Recipe.model_validate(changed)
    except ValidationError as error:
        told = [_tell(item, origin) for item in error.errors()]
        raise RecipeError("\n".join(told)) from None


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as YAML, defaults included; `load_recipe` reads it back to the same."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def named_recipes() -> list[str]:
    """Return the names of the recipes that are installed with dfray."""
    return installed_names("recipe")


def _read(path: str, inner: tuple[str, ...] = ()) -> tuple[dict[str, Any], Files]:
    """The values of the file at `path` on top of those that it extends, and all the files, it first."""
    if path in inner:
        raise RecipeError(f"{path} extends itself, by way of {' and '.join(inner)}.")
    text = storage.read_bytes(path).decode()
    try:
        root, own = yaml.compose(text), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {error}.") from error
    if not isinstance(own, dict):
        raise RecipeError(f"{path} is not a recipe: it holds no keys.", "See jobs/recipes.")
    extended = own.pop("extends", [])
    values: dict[str, Any] = {}
    files: Files = []
    for name in [extended] if isinstance(extended, str) else extended:
        there, theirs = _read(_find(str(name), beside=path), (*inner, path))
        values, files = _merged(values, there), theirs + files
    return _merged(values, own), [(path, root), *files]


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` on top of `below`: sections key by key, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        there = merged.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merged[key] = _merged(there, value)
        else:
            merged[key] = value
    return merged


def _find(name_or_path: str, beside: str | None = None) -> str:
    """Return the file of that path, also relative to the file `beside`, or the installed recipe's."""
    if beside and not storage.is_remote(beside) and not storage.is_remote(name_or_path):
        sibling = Path(beside).parent / name_or_path
        if not Path(name_or_path).is_file() and sibling.is_file():
            return str(sibling)
    return find_file("recipe", name_or_path, RecipeError)


def _apply(values: dict[str, Any], override: str) -> Location:
    """Set one `a.b.c=value` in place; return its location."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise RecipeError(f"Override {override!r} is not of the form section.key=value.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"Override {override!r}: the value is not valid YAML: {error}.") from None
    return _set(values, path.strip(), value, f"Override {override!r}")


def _set(values: dict[str, Any], path: str, value: Any, origin: str) -> Location:
    """Set the value at `a.b.c` in place; return its location."""
    location: Location = tuple(int(p) if p.isdigit() else p for p in path.split("."))
    here: Any = values
    for part in location[:-1]:
        if isinstance(here, dict) and isinstance(part, str):
            here[part] = {} if here.get(part) is None else here[part]
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            raise RecipeError(f"{origin}: there is no {path.rpartition('.')[0]}.")
    try:
        here[location[-1]] = value
    except (TypeError, IndexError, KeyError):
        raise RecipeError(f"{origin}: there is no {path}.") from None
    return location


def _origin(location: Location, files: Files, origins: dict[Location, str]) -> str:
    """What a value came from: an override, or else file:line."""
    origin = [told for at, told in origins.items() if location and _meet(at, location)]
    return origin[-1] if origin else _place(files, location)


def _meet(one: Location, other: Location) -> bool:
    """Whether one is the other, or lies within it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _tell(item: Any, where: str) -> str:
    """One pydantic error as one line."""
    location: Location = item["loc"]
    dotted = ".".join(map(str, location))
    if item["type"] == "extra_forbidden":
        return f"{where}: unknown key {dotted}.{_nearest(location)}"
    if item["type"] == "missing":
        return f"{where}: {dotted} is missing."
    message = item["msg"].removeprefix("Value error, ")
    value = "" if item["type"] == "value_error" else f" (got {item['input']!r})"
    return f"{where}: {dotted + ': ' if dotted else ''}{message}{value}."


def _nearest(location: Location) -> str:
    section = _section_at(location[:-1])
    if section is None:
        return ""
    names = list(section.model_fields)
    near = did_you_mean(str(location[-1]), names, cutoff=0.5)
    return f" {near or 'There are: ' + ', '.join(names) + '.'}"


def _section_at(location: Location) -> type[BaseModel] | None:
    """The section that a location leads to, through optional, listed and named sections."""
    section: type[BaseModel] = Recipe
    named = False
    for part in location:
        if isinstance(part, int) or named:  # its place in a list, or its name
            named = False
            continue
        field = section.model_fields.get(part)
        found = _sections_in(field.annotation) if field else []
        if field is None or not found:
            return None
        section, named = found[0], get_origin(field.annotation) is dict
    return section


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _place(files: Files, location: Location) -> str:
    """file:line of the deepest key of `location`, in the topmost of the files that has most of it."""
    found = [(path, *_line_of(root, location)) for path, root in files]
    path, line, _ = max(found, key=lambda place: place[2])
    return f"{path}:{line}"


def _line_of(node: yaml.Node | None, location: Location) -> tuple[int, int]:
    """Line of the deepest key of `location` that the file has, and how deep that is."""
    line = node.start_mark.line + 1 if node else 1
    for depth, part in enumerate(location):
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                return line, depth
            key, node = found[0]
            line = key.start_mark.line + 1
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line, depth
    return line, len(location)
