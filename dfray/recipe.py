"""Recipes in YAML, with overrides from the command line.

A recipe is named by a path, or by the name of one that is installed with dfray (jobs/recipes). It may
extend others: `extends: NAME` or `extends: [NAME, ...]`, each on top of the one before, the file's own keys
on top of all. NAME is a path, beside the file that names it, or the name of an installed recipe: the working
directory changes no recipe. Sections are merged key by key; lists and values are replaced. A file whose name
begins with _ is only to be extended. An error names the path in the recipe, the nearest valid key, and the
file and line, or the override, of the value.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from typing import Any, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dfray import storage
from dfray.config import Recipe
from dfray.config.keys import nested_section
from dfray.documents import parse_yaml, read_yaml, shown
from dfray.errors import RecipeError, did_you_mean
from dfray.installed_files import find_file, installed_file, installed_names

Location = tuple[str | int, ...]
"""Path of a value in a recipe, such as ("corpora", 0, "root")."""
Files = list[tuple[str, yaml.Node | None]]
"""Files that a recipe was read from, the topmost first: path and parsed nodes."""
MOST_FILES = 50
"""A recipe of more files is refused: files that extend each other twice double with every level."""


def load_recipe(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """Return the validated recipe.

    Args:
        name_or_path: a YAML file, local or s3://, or the name of an installed recipe.
        overrides: `section.key=value`, the value read as YAML.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, a wrong type or value.
    """
    values, files = _read(find_file("recipe", name_or_path, RecipeError))
    origins: dict[Location, str] = {}
    for override in overrides or []:
        origins[_apply(values, override)] = f"override {override!r}"
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_line(item, _origin(item["loc"], files, origins)) for item in error.errors()]
        raise RecipeError("\n".join(lines)) from None


def with_values(recipe: Recipe, values: Mapping[str, Any], origin: str) -> Recipe:
    """Return the recipe with other values at some of its keys, validated again.

    Args:
        values: `section.key` -> value.
        origin: source of the values, for error messages.

    Raises:
        RecipeError: an unknown key, a wrong type or value, or values that contradict each other.
    """
    changed = recipe.model_dump(mode="json")
    for key, value in values.items():
        _set(changed, key, value, origin)
    try:
        return Recipe.model_validate(changed)
    except ValidationError as error:
        raise RecipeError("\n".join(_line(item, origin) for item in error.errors())) from None


def dump_recipe(recipe: Recipe) -> str:
    """Return the whole recipe as YAML with its defaults; `load_recipe` reads back an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def named_recipes() -> list[str]:
    """Return the names of the recipes that are installed with dfray."""
    return installed_names("recipe")


def _read(path: str, extending: tuple[str, ...] = ()) -> tuple[dict[str, Any], Files]:
    """Return the values of a file on top of those it extends, and all files, this one first.

    Args:
        extending: files that lead to this one by `extends`.
    """
    if _identity(path) in map(_identity, extending):
        raise RecipeError(
            f"{path} extends itself: {' -> '.join((*extending, path))}.",
            "Remove one `extends`.",
        )
    document = read_yaml(path, RecipeError)
    values: Any = document.value
    if not isinstance(values, dict):
        raise RecipeError(f"{path} is not a recipe: it holds no keys.", "See jobs/recipes.")
    base: dict[str, Any] = {}
    files: Files = [(path, document.node)]
    for name in _extended(values, path):
        next_values, next_files = _read(_find_extended(name, path), (*extending, path))
        base, files = _merged(base, next_values), [files[0], *next_files, *files[1:]]
        if len(files) + len(extending) > MOST_FILES:
            raise RecipeError(f"{path} extends more than {MOST_FILES} files, by way of others.")
    return _merged(base, values), files


def _extended(values: dict[str, Any], path: str) -> list[str]:
    """Return the names in `extends`, which is taken out of the values of the file at `path`."""
    extended = values.pop("extends", [])
    names = [extended] if isinstance(extended, str) else extended
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(
            f"{path}: extends is {shown(extended)}, not the name of a recipe or a list of names.",
            "Write extends: NAME, or extends: [NAME, ...].",
        )
    return names


def _find_extended(name: str, path: str) -> str:
    """Return the path of the recipe that the one at `path` extends."""
    if storage.is_remote(name) or posixpath.isabs(name):
        return find_file("recipe", name, RecipeError)
    beside = _beside(path, name)
    is_there = storage.exists(beside) if storage.is_remote(beside) else os.path.isfile(beside)
    if is_there:
        return beside
    hint = f"A path in extends is looked for beside the file, here at {beside}."
    return installed_file("recipe", name, RecipeError, hint)


def _beside(path: str, name: str) -> str:
    """Return the path of the file `name`, relative to the folder of the file at `path`."""
    scheme, marker, place = path.rpartition("://")
    joined = posixpath.join(posixpath.dirname(place), name)
    return f"{scheme}{marker}{posixpath.normpath(joined)}" if scheme else joined


def _identity(path: str) -> str:
    return path if storage.is_remote(path) else os.path.realpath(storage.absolute(path))


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `above` on top of `below`: sections key by key, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        section = merged.get(key)
        if isinstance(section, dict) and isinstance(value, dict):
            merged[key] = _merged(section, value)
        else:
            merged[key] = value
    return merged


def _apply(values: dict[str, Any], override: str) -> Location:
    """Set the value of one override `a.b.c=value` in place; return its location."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise RecipeError(f"Override {override!r} is not of the form section.key=value.")
    value = parse_yaml(text, f"override {override!r}: the value", RecipeError).value
    return _set(values, path.strip(), value, f"override {override!r}")


def _set(values: dict[str, Any], path: str, value: Any, origin: str) -> Location:
    """Set the value at `a.b.c` in place; return its location."""
    location: Location = tuple(int(p) if p.isdecimal() else p for p in path.split("."))
    parent: Any = values
    for step in location[:-1]:
        if isinstance(parent, dict) and isinstance(step, str):
            parent[step] = {} if parent.get(step) is None else parent[step]
            parent = parent[step]
        elif isinstance(parent, list) and isinstance(step, int) and step < len(parent):
            parent = parent[step]
        else:
            raise RecipeError(f"{origin}: there is no {path.rpartition('.')[0]}.")
    try:
        parent[location[-1]] = value
    except (TypeError, IndexError, KeyError):
        raise RecipeError(f"{origin}: there is no {path}.") from None
    return location


def _origin(location: Location, files: Files, origins: dict[Location, str]) -> str:
    """Return the source of a value: the last override at, above or below it, or file:line."""
    overrides = [
        override
        for overridden, override in origins.items()
        if location and _overlap(overridden, location)
    ]
    return overrides[-1] if overrides else _place(files, location)


def _overlap(first: Location, second: Location) -> bool:
    """Return whether one location equals or contains the other."""
    return all(a == b for a, b in zip(first, second, strict=False))


def _line(item: ErrorDetails, origin: str) -> str:
    """Return one of pydantic's errors as a line of a message."""
    location: Location = item["loc"]
    dotted = ".".join(map(str, location))
    if item["type"] == "extra_forbidden":
        return f"{origin}: unknown key {dotted}.{_nearest(location)}"
    if item["type"] == "missing":
        return f"{origin}: {dotted} is missing."
    message = item["msg"].removeprefix("Value error, ")
    value = "" if item["type"] == "value_error" else f" (got {shown(item['input'])})"
    return f"{origin}: {dotted + ': ' if dotted else ''}{message}{value}."


def _nearest(location: Location) -> str:
    """Return the key nearest to an unknown one, or all keys of its section, as a sentence."""
    section = _section_at(location[:-1])
    if section is None:
        return ""
    names = list(section.model_fields)
    near = did_you_mean(str(location[-1]), names, cutoff=0.5)
    return f" {near or 'There are: ' + ', '.join(names) + '.'}"


def _section_at(location: Location) -> type[BaseModel] | None:
    """Return the section at a location, through optional, listed and mapped sections."""
    section: type[BaseModel] = Recipe
    is_mapped = False
    for step in location:
        if isinstance(step, int) or is_mapped:  # an index of a list, or a key of a mapping
            is_mapped = False
            continue
        field = section.model_fields.get(step)
        inner = nested_section(field.annotation) if field else None
        if field is None or inner is None:
            return None
        section, is_mapped = inner[0], get_origin(field.annotation) is dict
    return section


def _place(files: Files, location: Location) -> str:
    """Return file:line of the deepest key of `location`, in the topmost file that has most of it."""
    places = [(path, *_line_of(root, location)) for path, root in files]
    path, line, _ = max(places, key=lambda place: place[2])
    return f"{path}:{line}"


def _line_of(node: yaml.Node | None, location: Location) -> tuple[int, int]:
    """Return the line of the deepest key of `location` that the file has, and its depth."""
    line = node.start_mark.line + 1 if node else 1
    for depth, step in enumerate(location):
        if isinstance(node, yaml.MappingNode):
            entries = [(key, value) for key, value in node.value if key.value == step]
            if not entries:
                return line, depth
            key, node = entries[0]
            line = key.start_mark.line + 1
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value)
        ):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line, depth
    return line, len(location)
