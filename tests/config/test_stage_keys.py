"""Each recipe key comes in with one stage, or changes no result."""

from __future__ import annotations

import pytest

from dfray.config.keys import recipe_keys
from dfray.config.stage_keys import STAGE_KEYS, WITHOUT_EFFECT, stage_of, stage_values
from dfray.recipe import load_recipe
from tests.helpers.toy import toy_recipe


@pytest.mark.parametrize("path", [key.path for key in recipe_keys()])
def test_every_key_is_of_a_stage_or_without_effect(path: str) -> None:
    assert stage_of(path) in (*STAGE_KEYS, None)


def test_every_declared_key_exists() -> None:
    paths = {key.path for key in recipe_keys()}
    sections = {path.rpartition(".")[0] for path in paths}
    declared = [*WITHOUT_EFFECT, *(name for names in STAGE_KEYS.values() for name in names)]
    assert set(declared) <= paths | sections
    assert len(declared) == len(set(declared))


def test_a_key_without_effect_is_taken_out_of_its_section() -> None:
    assert stage_of("training.lr") == "training"
    assert stage_of("training.max_failures") is None
    assert stage_of("cluster.num_cpus") is None
    assert stage_of("batches.self_blend.rgb") == "training"
    with pytest.raises(KeyError):
        stage_of("trainig.lr")


def test_values_are_those_of_the_resolved_recipe() -> None:
    values = stage_values(toy_recipe("runs", "toy", "registry.gates.min_auc=0.7"), "promotion")
    assert values["registry.gates.min_auc"] == 0.7
    assert all(key.startswith("registry.gates.") for key in values)


def test_the_resamples_of_earlier_recipes_are_read_and_change_nothing() -> None:
    assert load_recipe("demo", ["evaluation.bootstrap=1000"]).evaluation.bootstrap == 1000
    assert stage_of("evaluation.bootstrap") is None
