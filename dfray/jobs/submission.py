"""What is submitted: a stage with its recipe, resolved here, and everything the job takes along.

The recipe goes along as one file: what it extends and the overrides are in it, wherever they lay. The
dfray that submits goes along too, so that the job runs the same code; its packages are the cluster's.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dfray
from dfray import storage
from dfray.config import Recipe
from dfray.errors import StorageError, UserError
from dfray.jobs import environment
from dfray.jobs.package import Package, pack, tree
from dfray.recipe import dump_recipe, recipe_folder
from dfray.run_context import RunContext
from dfray.tracking.client import resolve_tracking_uri
from dfray.tracking.provenance import CODE_FILE, code_version, who

STAGES = ("extract", "train", "search", "evaluate", "register", "promote", "run", "score")
RECIPE_FILE = ".dfray/recipe.yaml"
_MEASURES = ("evaluate", "register", "promote")


@dataclass(frozen=True)
class Asked:
    """What the user asks for.

    Attributes:
        stage: one of STAGES.
        recipe: resolved; None for `score`, which takes files.
        options: of the stage's own command line, without the recipe and its overrides.
        working_dir: goes along.
        variables: names to add to those that every job gets.
        files: of `options`, what `score` reads.
    """

    stage: str
    recipe: Recipe | None
    options: list[str]
    working_dir: Path
    variables: list[str]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """A job as the cluster gets it."""

    job_id: str
    entrypoint: str
    package: Package
    variables: dict[str, str]
    metadata: dict[str, str]


def prepare(asked: Asked, *, here: bool) -> Submission:
    """Resolve what is asked into a job.

    Args:
        here: the cluster's nodes are this machine: the job runs in the current directory, and relative
            paths mean what they mean without a cluster.

    Raises:
        UserError: a path cannot be seen from the cluster, the name was used with another recipe, the
            working directory is too large, or a variable that is named is not set.
    """
    _require_visible(asked, here)
    if asked.recipe is not None:
        _require_unclaimed(asked.stage, asked.recipe)
    name = asked.recipe.name if asked.recipe else "files"
    stamp = datetime.now(UTC).strftime("%m%d-%H%M%S")
    metadata = {"dfray.stage": asked.stage, "dfray.recipe": name, "dfray.user": who()}
    if asked.recipe is not None:
        metadata["dfray.fingerprint"] = asked.recipe.fingerprint()
        metadata["dfray.folder"] = RunContext.of(asked.recipe).folder.root
    return Submission(
        job_id=f"{name}-{asked.stage}-{stamp}",
        entrypoint=_entrypoint(asked, here),
        package=pack(asked.working_dir, _added(asked.recipe)),
        variables=environment.variables(asked.variables),
        metadata=metadata,
    )


def _added(recipe: Recipe | None) -> dict[str, Path | bytes]:
    """dfray itself, the entry points with their recipes, and what says where the code is from."""
    package = Path(dfray.__file__).parent
    added = tree(package, "dfray") | tree(recipe_folder().parent, "jobs")
    added[CODE_FILE] = json.dumps(code_version()).encode()
    if recipe is not None:  # the job is on its cluster already
        cluster = recipe.cluster.model_copy(update={"address": None})
        added[RECIPE_FILE] = dump_recipe(recipe.model_copy(update={"cluster": cluster})).encode()
    return added


def _entrypoint(asked: Asked, here: bool) -> str:
    """The shell's command; it starts in the package. `exec` lets the stage have the stop signal."""
    recipe = [RECIPE_FILE] if asked.recipe else []
    script = f"jobs/{asked.stage}.py"
    if not here:
        return f"exec python {shlex.join([script, *recipe, *asked.options])}"
    files = " ".join(f'"$OLDPWD"/{file}' for file in [script, *recipe])
    python, options = shlex.quote(sys.executable), shlex.join(asked.options)
    return f"cd {shlex.quote(str(Path.cwd()))} && exec {python} {files} {options}".strip()


def _require_visible(asked: Asked, here: bool) -> None:
    """On other machines, what is read is remote, shared or in the package, and what is written is kept."""
    if here:
        return
    for file in asked.files:
        _require_remote(file, file, "s3://...")
    if (recipe := asked.recipe) is None:
        return
    _require_remote(f"work_dir {recipe.work_dir}", recipe.work_dir, "work_dir=s3://...")
    for number, corpus in enumerate(recipe.corpora):
        name = f"corpora.{number}.root"
        if not (asked.working_dir / corpus.root).is_file():  # a list of videos may go along
            _require_remote(f"{name} {corpus.root}", corpus.root, f"{name}=s3://...")
    if asked.stage != "extract":
        resolve_tracking_uri(recipe.registry, recipe.work_dir)


def _require_remote(what: str, path: str, hint: str) -> None:
    if not storage.is_remote(path) and not Path(path).is_absolute():
        raise UserError(
            f"{what} lies on this machine, where the cluster's nodes do not see it.",
            f"Name a place that all of them see: {hint} or a shared /path.",
        )


def _require_unclaimed(stage: str, recipe: Recipe) -> None:
    """Refuse a name that was used with another recipe, if the run's folder can be seen from here."""
    folder = RunContext.of(recipe).folder
    try:
        is_there = storage.exists(folder.recipe_file)
    except StorageError:
        return  # the job looks again, from where it runs
    if is_there and stage in _MEASURES:
        folder.claim_to_measure()
    elif is_there:
        folder.claim()
