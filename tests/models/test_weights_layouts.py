"""The layouts of published checkpoints: a module for each, registered in one place."""

from typing import get_args

from dfray.config import ModelSection
from dfray.models.weights import LAYOUTS, weights_licence


def test_every_layout_that_a_recipe_can_name_has_a_module():
    names = get_args(ModelSection.model_fields["weights_layout"].annotation)
    assert {*LAYOUTS, "timm"} == set(names)


def test_a_layout_states_its_default_file_and_its_licence():
    for name, layout in LAYOUTS.items():
        section = ModelSection(weights="hf://owner/repo", weights_layout=name)
        assert weights_licence(section) == layout.LICENCE
        assert layout.DEFAULT_FILE
