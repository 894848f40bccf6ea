"""A tiny detector that is the champion of a folder's database file, as a command in that folder finds it."""

from __future__ import annotations

import sys
from pathlib import Path

from dfray.config import ModelSection
from dfray.registry.versions import CHAMPION, Versions
from dfray.serving.package import register
from dfray.tracking.run import start_run
from tests.helpers.registry import section_of
from tests.helpers.tiny import FIGURES, RECIPE, save_bundle


def make_champion(folder: Path, name: str = "tiny") -> str:
    """Register a ResNet of 112 px under runs/mlflow.db and make it the champion; return the tracking URI."""
    uri, section = f"sqlite:///{folder}/runs/mlflow.db", section_of(name)
    network = ModelSection(backbone="resnet10t", size_px=112)
    recipe = RECIPE.model_copy(update={"registry": section, "model": network})
    bundle = save_bundle(folder / "bundle", recipe)
    with start_run(recipe, uri, manifest_fingerprint="champion") as run:
        number = register(
            bundle,
            section=section,
            tracking_uri=uri,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )
    Versions(name, uri).point(CHAMPION, number)
    return uri


if __name__ == "__main__":  # so that an earlier build can make one, which later ones read
    make_champion(Path(sys.argv[1]))
