"""Attributes of the person or recording in a video, such as age or language: JSON in VIDEOS, a group each."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

IDENTITY_GROUP = "identity group"
"""Name under which the column `identity_group` is an attribute."""


def encoded(values: Mapping[str, str]) -> str | None:
    """Return attribute -> value as VIDEOS holds it, without empty values; None without any."""
    stated = {name: value.strip() for name, value in values.items() if value and value.strip()}
    return json.dumps(stated, sort_keys=True, ensure_ascii=False) if stated else None


def attributes_of(videos: pa.Table) -> dict[str, dict[str, str]]:
    """Return attribute -> video_id -> value, of the VIDEOS whose corpus states it."""
    found: dict[str, dict[str, str]] = {}
    columns = ("video_id", "identity_group", "attributes")
    for video, group, text in zip(*(videos[name].to_pylist() for name in columns), strict=True):
        stated = {IDENTITY_GROUP: group} if group else {}
        for name, value in (stated | (json.loads(text) if text else {})).items():
            found.setdefault(name, {})[video] = value
    return found
