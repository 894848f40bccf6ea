"""A process that promotes one version: `python -m tests.registry.promoter URI NAME VERSION FOLDER [die]`.

Once it knows the history it leaves FOLDER/VERSION and waits for FOLDER/go, so that several decide at the
same time. With `die` it ends as a killed process does, where the alias would be moved.
"""

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


def main(uri: str, name: str, version: str, folder: str, *die: str) -> None:
    def measure(_: str, bundle: Path) -> Measurement:
        Path(folder, version).touch()
        while not Path(folder, "go").exists():
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


if __name__ == "__main__":
    main(*sys.argv[1:])
