"""What the recipe's self-blending makes of the run's faces, as a picture."""

from __future__ import annotations

import io

from dfray import storage
from dfray.config import Recipe, SelfBlendSection
from dfray.errors import UserError
from dfray.faces.shards import FacesStore
from dfray.run_folder import RunFolder


def self_blend(recipe: Recipe, out: str, *, count: int = 12, seed: int = 0) -> str:
    """Write a contact sheet (PNG) of `count` real training faces to `out`; returns where it lies.

    Raises:
        UserError: `out` does not end in .png, or the run has no faces yet.
        ManifestError: no real face of the run's training split has landmarks.
    """
    if not out.endswith(".png"):
        raise UserError(f"A contact sheet is a PNG file, and {out} does not end in .png.")
    from dfray.batches.self_blend.sheet import contact_sheet
    from dfray.models.preprocess import Preprocess

    folder = RunFolder(recipe)
    folder.require("faces/extraction.json", "extract")
    section = recipe.batches.self_blend or SelfBlendSection()
    page = contact_sheet(
        FacesStore(folder.faces), "train", Preprocess(recipe.model), section, count=count, seed=seed
    )
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    storage.write_bytes(buffer.getvalue(), storage.absolute(out))
    return storage.absolute(out)
