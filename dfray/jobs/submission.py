"""Preparation of a job: a stage, its resolved recipe, and the files and variables that it needs.

The recipe is uploaded as one file with its overrides and everything it extends. The submitting dfray is
uploaded too, so that the job runs the same code; its dependencies are the cluster's.
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
from dfray.errors import UserError
from dfray.installed_files import installed_folder
from dfray.jobs import environment
from dfray.jobs.package import Package, pack, tree
from dfray.recipe import dump_recipe
from dfray.run_context import RunContext
from dfray.tracking.client import resolve_tracking_uri
from dfray.tracking.provenance import CODE_FILE, code_version, who

STAGES = ("extract", "train", "search", "evaluate", "register", "promote", "run", "score")
RECIPE_FILE = ".dfray/recipe.yaml"


@dataclass(frozen=True)
class JobRequest:
    """A stage to run as a job, as the user requests it.

    Attributes:
        stage: one of STAGES.
        recipe: resolved; None for `score`, which takes files.
        options: of the stage's own command line, without the recipe and its overrides.
        working_dir: folder to upload.
        variables: names of environment variables besides those that every job gets.
        files: those of `options` that are read or written.
    """

    stage: str
    recipe: Recipe | None
    options: list[str]
    working_dir: Path
    variables: list[str]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """A job, ready to be sent to the cluster.

    Attributes:
        withheld: names of variables that hold secrets and stay here.
    """

    job_id: str
    entrypoint: str
    package: Package
    variables: dict[str, str]
    metadata: dict[str, str]
    withheld: tuple[str, ...] = ()


def prepare(request: JobRequest, *, same_machine: bool) -> Submission:
    """Return the job of a request.

    Args:
        same_machine: all nodes of the cluster are this machine: the job runs in the current directory,
            and relative paths mean the same as without a cluster.

    Raises:
        UserError: a path cannot be seen from the cluster, the working directory is too large, or a
            requested variable is not set.
    """
    _require_visible(request, same_machine)
    name = request.recipe.name if request.recipe else "files"
    stamp = datetime.now(UTC).strftime("%m%d-%H%M%S")
    metadata = {"dfray.stage": request.stage, "dfray.recipe": name, "dfray.user": who()}
    if request.recipe is not None:
        metadata["dfray.fingerprint"] = request.recipe.fingerprint()
        metadata["dfray.folder"] = RunContext.of(request.recipe).runs.root
    return Submission(
        job_id=f"{name}-{request.stage}-{stamp}",
        entrypoint=_entrypoint(request, same_machine),
        package=package_of(request),
        variables=environment.variables(request.variables),
        metadata=metadata,
        withheld=tuple(environment.withheld(request.variables)),
    )


def package_of(request: JobRequest) -> Package:
    """Return the files of a request's job.

    Raises:
        UserError: the working directory is none, or too large.
    """
    return pack(request.working_dir, _uploads(request.recipe))


def _uploads(recipe: Recipe | None) -> dict[str, Path | bytes]:
    """Return dfray itself, the entry points and recipes, the code's version and the resolved recipe."""
    package = Path(dfray.__file__).parent
    uploads = tree(package, "dfray") | tree(installed_folder("recipe").parent, "jobs")
    uploads[CODE_FILE] = json.dumps(code_version()).encode()
    if recipe is not None:  # the job is on its cluster already
        cluster = recipe.cluster.model_copy(update={"address": None})
        uploads[RECIPE_FILE] = dump_recipe(recipe.model_copy(update={"cluster": cluster})).encode()
    return uploads


def _entrypoint(request: JobRequest, same_machine: bool) -> str:
    """Return the shell command, which starts in the package; `exec` passes the stop signal to the stage."""
    recipe = [RECIPE_FILE] if request.recipe else []
    script = f"jobs/{request.stage}.py"
    if not same_machine:
        return f"exec python {shlex.join([script, *recipe, *request.options])}"
    files = " ".join(f'"$OLDPWD"/{file}' for file in [script, *recipe])
    python, options = shlex.quote(sys.executable), shlex.join(request.options)
    return f"cd {shlex.quote(str(Path.cwd()))} && exec {python} {files} {options}".strip()


def _require_visible(request: JobRequest, same_machine: bool) -> None:
    """Check that the nodes of another machine see all inputs, and outputs go to shared storage."""
    if "-" in request.files:
        raise UserError(
            "A job has no standard input.", "Name the files in a CSV list, s3:// or shared."
        )
    if same_machine:
        return
    for file in request.files:
        _require_remote(file, file, "s3://...")
    if (recipe := request.recipe) is None:
        return
    _require_remote(f"work_dir {recipe.work_dir}", recipe.work_dir, "work_dir=s3://...")
    for number, corpus in enumerate(recipe.corpora):
        name = f"corpora.{number}.root"
        if not (request.working_dir / corpus.root).is_file():  # a list of videos may be uploaded
            _require_remote(f"{name} {corpus.root}", corpus.root, f"{name}=s3://...")
    if request.stage != "extract":
        resolve_tracking_uri(recipe.registry, recipe.work_dir)


def _require_remote(name: str, path: str, example: str) -> None:
    if not storage.is_remote(path) and not Path(path).is_absolute():
        raise UserError(
            f"{name} lies on this machine, where the cluster's nodes cannot read it.",
            f"Use storage that all nodes can read: {example} or a shared /path.",
        )
