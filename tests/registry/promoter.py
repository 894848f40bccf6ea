"""Work of a process that promotes one version (tests/helpers/forks.py)."""

import os
import sys
import time
from pathlib import Path

from dfray.config import GatesSection, RegistrySection
from dfray.errors import DfrayError
from dfray.registry.measurements import Measurement
from dfray.registry.promote import promote
from dfray.registry.versions import Versions
from tests.helpers.scored import measured


def promote_version(uri: str, name: str, version: str, folder: Path, *, die: bool = False) -> None:
    """Promote, once FOLDER/go exists; FOLDER/VERSION says that the history has been read.

    So several decide at the same time. With `die` the process ends as a killed one does, where the alias
    would be moved.
    """

    def measure(_: str, bundle: Path) -> Measurement:
        (folder / version).touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        return measured()

    if die:
        Versions.point = lambda *_: os._exit(9)  # type: ignore[method-assign]
    section = RegistrySection(model_name=name, gates=GatesSection(resamples=50))
    try:
        decision = promote(
            section, uri, version, measure=measure, slowdown=lambda *_: 1.0, who=f"user {version}"
        )
    except DfrayError as error:
        print(error)
        sys.exit(1)
    print(decision.sequence)
