"""Contact sheet of the fakes that the recipe's self-blending makes of the run's faces."""

from __future__ import annotations

import io

from dfray import storage
from dfray.config import SelfBlendSection
from dfray.errors import UserError
from dfray.run_context import RunContext


def self_blend(run: RunContext, out: str, *, count: int = 12, seed: int = 0) -> str:
    """Write a contact sheet (PNG) of `count` real training faces to `out`, and return its URI.

    Raises:
        UserError: `out` does not end in .png, or the run has no faces yet.
        ManifestError: no real face of the run's training split has landmarks.
    """
    if not out.endswith(".png"):
        raise UserError(f"A contact sheet is a PNG file, and {out} does not end in .png.")
    from dfray.batches.self_blend.sheet import contact_sheet
    from dfray.models.preprocess import Preprocess

    if not run.extracted().done:
        raise UserError(
            f"{run.folder.faces} has no faces of the recipe's videos yet.",
            "Run `dfray extract` with this recipe first.",
        )
    section = run.recipe.batches.self_blend or SelfBlendSection()
    sheet = contact_sheet(
        run.faces, "train", Preprocess(run.recipe.model), section, count=count, seed=seed
    )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    storage.write_bytes(buffer.getvalue(), storage.absolute(out))
    return storage.absolute(out)
