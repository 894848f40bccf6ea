"""A recipe is read, overridden and refused with the place of the mistake."""

import pytest

from dfray.errors import RecipeError
from dfray.recipe import dump_recipe, load_recipe, named_recipes

MINIMAL = "name: mine\ncorpora:\n  - reader: folder\n    root: /videos\n"


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return str(path)

    return _write


@pytest.mark.parametrize("name", named_recipes())
def test_every_recipe_that_comes_with_dfray_is_valid(name):
    assert load_recipe(name).name == name


def test_what_is_printed_is_read_back_to_the_same(write):
    recipe = load_recipe(write(MINIMAL), ["training.epochs=3"])
    assert load_recipe(write(dump_recipe(recipe))) == recipe


def test_overrides_reach_sections_lists_and_optional_values(write):
    changes = ["objective.triplet.margin=0.3", "corpora.0.root=/other", "training.layer_decay=0.75"]
    recipe = load_recipe(write(MINIMAL), changes)
    assert recipe.objective.triplet.margin == 0.3
    assert recipe.corpora[0].root == "/other"
    assert recipe.training.layer_decay == 0.75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "faces:\n  rate_fp: 2\n", r"recipe.yaml:6: unknown key faces.rate_fp.*rate_fps"),
        (MINIMAL + "training:\n  epochs: many\n", r"recipe.yaml:6: training.epochs: .*got 'many'"),
        (MINIMAL + "trainning: {}\n", r"recipe.yaml:5: unknown key trainning. Did you mean train"),
        ("name: x\n", r"corpora is missing"),
        (MINIMAL + "  - reader: csv\n", r"recipe.yaml:5: corpora.1.root is missing"),
        (MINIMAL + "faces: {rate_fps: -1}\n", r"recipe.yaml:5: faces.rate_fps: .*greater than 0"),
        (MINIMAL + "a: [\n", r"not valid YAML"),
        ("", r"holds no keys"),
    ],
)
def test_a_mistake_is_told_with_its_path_and_line(write, text, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"override 'training.epoch=3': unknown key .*Did you mean epochs"),
        ("training.epochs", r"not of the form"),
        ("corpora.5.root=x", r"there is no corpora.5"),
        ("name.first=x", r"there is no name"),
        ("batches.batch_size=33", r"multiple of training.num_workers 2"),
    ],
)
def test_a_wrong_override_is_named(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("demo", [override])


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(RecipeError, match="Did you mean demo"):
        load_recipe("dmeo")


def test_the_fingerprint_names_content_and_not_place(write):
    recipe = load_recipe(write(MINIMAL))
    moved = load_recipe(write(MINIMAL), ["work_dir=/elsewhere", "cluster.num_cpus=64"])
    changed = load_recipe(write(MINIMAL), ["objective.triplet.weight=0.1"])
    assert recipe.fingerprint() == moved.fingerprint()
    assert recipe.fingerprint() != changed.fingerprint()
