"""Keys of a recipe, as `dfray recipes keys` lists them."""

from __future__ import annotations

import re

import pytest

from dfray.config.keys import RecipeKey, recipe_keys
from dfray.errors import UserError

UNIT_OF = {
    "_px": "px",
    "duration_s": "s",
    "limit_s": "s",
    "wait_s": "s",
    "_mb": "MiB",
    "_fps": "frames/s",
    "epochs": "epochs",
}
"""End of a key's name -> its unit."""


@pytest.mark.parametrize("key", recipe_keys(), ids=lambda key: key.path)
def test_every_key_has_a_type_and_a_description_and_a_unit_if_its_name_has_one(
    key: RecipeKey,
) -> None:
    assert key.type
    assert len(key.description) > 15
    assert not key.description.endswith(".")
    assert not re.match(r"(what|whether|how|which|of|likewise)\b", key.description)
    for end, unit in UNIT_OF.items():
        if key.path.endswith(end):
            assert key.unit == unit


def test_a_key_has_its_bounds_unit_and_default() -> None:
    keys = {key.path: key for key in recipe_keys()}
    size = keys["faces.size_px"]
    assert (size.type, size.default, size.unit) == ("integer >= 1 <= 4096", "224", "px")
    workers = keys["training.min_workers"]
    assert (workers.type, workers.default, workers.unit) == (
        "integer | null >= 1",
        "null",
        "workers",
    )
    assert keys["corpora.N.root"].default is None, "it is required"
    assert keys["search.space.KEY.uniform"].type == "[number, number] | null"


def test_a_section_lists_its_keys_and_those_of_its_sections() -> None:
    paths = [key.path for key in recipe_keys("augment.affine")]
    assert paths == [
        "augment.affine",
        "augment.affine.degrees",
        "augment.affine.shift",
        "augment.affine.scale",
    ]
    assert [key.path for key in recipe_keys("training.lr")] == ["training.lr"]


def test_an_unknown_section_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no section 'trainig'. Did you mean training\?"):
        recipe_keys("trainig")
