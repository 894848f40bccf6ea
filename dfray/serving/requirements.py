"""Requirements of a served model, read off the source that it runs.

From the model's entry module every `import` in dfray is followed, also those inside functions; what is not
ours and not Python's own is a requirement, pinned to the version installed here. Training's libraries
(Ray, scikit-learn, plotly) are not reached, so they are not asked for.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import sys
from collections.abc import Iterator
from functools import cache

from packaging.version import Version

ENTRY = "dfray.serving.scorer"
_BY_NAME_ONLY = {
    "timm": ("torchvision",),  # must be torch's pair, so it is not left to timm's own range
}


@cache
def inference_requirements() -> tuple[str, ...]:
    """Return the pinned requirements ("torch==2.15.0") of a served model, in order of name."""
    packages = {"mlflow", "pandas"}  # the model itself, and its result
    packages |= {name for name in imported_packages(ENTRY) if name not in sys.stdlib_module_names}
    for name in tuple(packages):
        packages.update(_BY_NAME_ONLY.get(name, ()))
    providers = importlib.metadata.packages_distributions()
    distributions = {provider for name in packages for provider in providers[name]}
    return tuple(
        f"{name}=={Version(importlib.metadata.version(name)).public}"
        for name in sorted(distributions)
    )


def imported_packages(entry: str) -> set[str]:
    """Return the top-level packages that are imported from `entry` on, through all modules of dfray."""
    outside: set[str] = set()
    waiting, visited = [entry], {entry}
    while waiting:
        for name in _imported_by(waiting.pop()):
            top = name.partition(".")[0]
            if top != "dfray":
                outside.add(top)
            elif name not in visited and _source(name) is not None:
                visited.add(name)
                waiting.append(name)
    return outside


def _imported_by(module: str) -> Iterator[str]:
    """Yield the names of the modules that `module` may import when it runs, its parent packages too."""
    yield from (module[:end] for end, sign in enumerate(module) if sign == ".")
    waiting: list[ast.AST] = [ast.parse(_source(module) or "")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def _source(module: str) -> str | None:
    """Return the source of a module of dfray; None if there is no such module (a class, say)."""
    file = importlib.resources.files("dfray").joinpath(*module.split(".")[1:])
    if file.is_dir():
        return file.joinpath("__init__.py").read_text()
    file = importlib.resources.files("dfray").joinpath(*module.split(".")[1:-1]) / (
        module.rpartition(".")[2] + ".py"
    )
    return file.read_text() if file.is_file() else None
