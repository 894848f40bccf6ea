"""infra/README.md's table names every variable that the code reads or sets, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"(AWS|DFRAY|HF|MLFLOW|POSTGRES|RAY|REDIS)_\w+")
WORDS = re.compile(r"\b" + NAME.pattern + r"\b")


def in_python() -> Iterator[str]:
    for file in (ROOT / "dfray").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from [node.value] if NAME.fullmatch(node.value) else []


def in_text() -> Iterator[str]:
    """Of scripts and manifests, comments left out."""
    files = [*(ROOT / "infra").iterdir(), *(ROOT / "cluster").rglob("*.*")]
    for file in files:
        if file.suffix in (".sh", ".yaml", ".example") or file.name == "Dockerfile":
            for line in file.read_text().splitlines():
                yield from (found.group() for found in WORDS.finditer(line.partition("# ")[0]))


def in_table() -> set[str]:
    _, table = (ROOT / "infra" / "README.md").read_text().split("## Environment variables")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_variable_of_the_code_is_in_the_table():
    assert (set(in_python()) | set(in_text())) - in_table() == set()


def test_every_variable_of_the_table_is_one_of_the_code_or_of_a_message():
    sources = "".join(file.read_text() for file in (ROOT / "dfray").rglob("*.py"))
    assert {name for name in in_table() - set(in_text()) if name not in sources} == set()


def test_the_example_has_what_compose_and_kubernetes_ask_for():
    example = dict(
        line.split("=", 1)
        for line in (ROOT / "infra" / "env.example").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    required = re.findall(r"\$\{(\w+):\?", (ROOT / "infra" / "compose.yaml").read_text())
    cluster = yaml.safe_load((ROOT / "cluster" / "kuberay" / "raycluster.yaml").read_text())
    assert set(required) | {key["key"] for key in secret_keys(cluster)} <= example.keys()
    for name in ("POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY", "REDIS_PASSWORD"):
        assert example[name] == "", "no secret is committed"


def secret_keys(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        yield from [value["secretKeyRef"]] if "secretKeyRef" in value else []
        for inner in value.values():
            yield from secret_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secret_keys(inner)


def test_git_does_not_see_the_secrets():
    assert "/infra/.env" in (ROOT / ".gitignore").read_text().splitlines()
