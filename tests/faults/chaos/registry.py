"""Registrations, promotions and rollbacks that are killed at a drawn call to MLflow, and run again.

Afterwards the registry must be what one undisturbed run of each command would have left: a version for each
run, a record for each decision, aliases that agree with the last one.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.registry.measurement_store import load_measurement
from dfray.registry.versions import CANDIDATE, CHAMPION, PREVIOUS, DamagedPackageError, Versions
from dfray.serving.package import MODEL_ID
from dfray.tracking.run import start_run
from tests.faults.chaos.tally import Tally
from tests.helpers.kills import NEVER, calls_of, run_until
from tests.helpers.tiny import RECIPE
from tests.registry.commands import ToyModel

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MAX_DECISIONS = 20
"""Decisions about one model, after which the next one is begun: long histories take long to read."""
KILLED = -signal.SIGKILL


class RegistryChaos:
    """Toy models in one registry, whose commands are killed.

    Args:
        folder: of outputs.
        bundle: of the toy model.
    """

    def __init__(self, folder: Path, tracking_uri: str, bundle: Path, draw: random.Random) -> None:
        self.tracking_uri, self.bundle, self.draw = tracking_uri, str(bundle), draw
        self.out = folder / "out"
        self.tally = Tally()
        self._calls: dict[str, list[int]] = {}  # those at which a command has yet to be killed
        self._longest: dict[str, int] = {}  # most calls that a command was seen to make
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        """Begin a model without versions."""
        self._number += 1
        self.toy = ToyModel(f"toy {self._number} ä#%41", self.tracking_uri, self.bundle)
        self.versions = Versions(self.toy.name, self.tracking_uri)
        self.runs: list[str] = []  # each registered once, in order
        self.decisions: list[tuple[str, str]] = []  # (action, version)
        self.champions: list[
            str
        ] = []  # the last is the champion, the one before it the previous one

    def strike(self) -> None:
        """Kill a drawn command at a drawn call, run it again, and check the registry."""
        if len(self.decisions) >= MAX_DECISIONS:
            self._begin()
        command = self.draw.choice(self._possible())
        arguments = (self._new_run(),) if command == "register" else ()
        call = self._next_call(command)
        code = self._run(call, command, *arguments)
        faults = []
        if code == KILLED:
            code = self._run_again(command, *arguments)
            self.tally.add(command, "at a call to MLflow", [])
        if code:
            faults.append(f"it ended with {code}: {self.out.read_text()}")
        self._expect(command)
        faults += self._faults()
        self.tally.faults += [f"{command}, killed at call {call}: {fault}" for fault in faults]

    def _run(self, call: int, command: str, *arguments: str) -> int:
        """Run a command until it is killed at a call, and return its exit code."""
        code = run_until(call, getattr(self.toy, command), *arguments, out=self.out)
        if code == 0:
            self._longest[command] = max(self._longest.get(command, 0), calls_of(self.out))
        return code

    def _run_again(self, command: str, *arguments: str) -> int:
        """Run a killed command to its end, sometimes after another command, or killed once more."""
        code = 0
        between = self.draw.choice(["nothing", "nothing", "a look", "a kill"])
        if between == "a look" and self.champions:
            code = self._run(NEVER, "history")
        elif between == "a kill":
            code = self._run(self.draw.randint(1, self._longest[command]), command, *arguments)
            if code == 0:
                return 0
        return self._run(NEVER, command, *arguments) if code in (0, KILLED) else code

    def _possible(self) -> list[str]:
        """Return the commands that have something to do; the first of its kind is always possible."""
        promotable = self.runs and self.champions[-1:] != [str(len(self.runs))]
        return [
            "register",
            *(["promote"] * 2 if promotable else []),
            *(["rollback"] * 2 if self.champions[1:] else []),
        ]

    def _new_run(self) -> str:
        with start_run(RECIPE, self.tracking_uri, manifest_fingerprint="m") as run:
            self.runs.append(run.run_id)
        return run.run_id

    def _next_call(self, command: str) -> int:
        """Return a call at which the command was not yet killed; all come before one comes again.

        The first run of a command is not killed: its calls are counted.
        """
        if command not in self._longest:
            return NEVER
        if not self._calls.get(command):
            self._calls[command] = list(range(1, self._longest[command] + 1))
            self.draw.shuffle(self._calls[command])
        return self._calls[command].pop()

    def _expect(self, command: str) -> None:
        """Take down what one undisturbed run of the command leaves."""
        if command == "promote":
            self.champions.append(str(len(self.runs)))
        elif command == "rollback":
            self.champions.pop()
        if command != "register":
            self.decisions.append((command, self.champions[-1]))

    def _faults(self) -> Iterator[str]:
        """Yield what is not as one undisturbed run of each command leaves it."""
        versions = self.versions.all()
        numbers = {run: [str(v.version) for v in versions if v.run_id == run] for run in self.runs}
        expected = {run: [str(place)] for place, run in enumerate(self.runs, 1)}
        yield from _difference("versions of runs", numbers, expected)
        records = [(one.action, one.version.number) for one in self.versions.history.read()]
        yield from _difference("records", records, self.decisions)
        aliases = dict(zip((CHAMPION, PREVIOUS), reversed(self.champions), strict=False))
        aliases[CANDIDATE] = str(len(self.runs))
        yield from _difference("aliases", self.versions.aliases(), aliases)
        yield from self._faults_of_files(versions[-1])

    def _faults_of_files(self, version: ModelVersion) -> Iterator[str]:
        """Yield what is wrong with the package, scores and logged models of a version and its run."""
        client, run_id = self.versions.client, version.run_id
        if load_measurement(self.versions, str(version.version)) is None:
            yield f"version {version.version} has no scores"
        outputs = [o.model_id for o in client.get_run(run_id).outputs.model_outputs]
        yield from _difference("models of the run", outputs, [version.tags[MODEL_ID]])
        experiment = client.get_run(run_id).info.experiment_id
        logged = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        yield from _difference("logged models", [m.model_id for m in logged], outputs)
        try:
            with self.versions.downloaded(str(version.version)):
                pass
        except DamagedPackageError as error:
            yield str(error)


def _difference(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what} are {found}, not {expected}"
