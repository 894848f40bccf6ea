"""What cannot be learned is refused before any compute is spent."""

import pytest

from dfray import stages
from dfray.errors import CheckError, ManifestError, RecipeError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.training.classes import require_trainable_classes
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.runs import write_corpus_of
from tests.helpers.toy import toy_recipe


def videos(category="fake"):
    return videos_table(
        [
            make(f"{make.__name__}-{split}", split=split, **more)
            for split in ("train", "val")
            for make, more in ((video_row, {}), (fake_row, {"category": category}))
        ]
    )


def test_the_classes_are_those_of_the_recipes_scheme(tmp_path):
    assert require_trainable_classes(toy_recipe(tmp_path), videos()).class_names == ("real", "fake")


def test_corpora_that_are_only_tested_on_have_no_class(tmp_path):
    recipe = load_recipe("fsfm-dataset", [f"work_dir={tmp_path}"])
    assert require_trainable_classes(recipe, None).class_names == (
        "real",
        *("fake:celeb_df", "fake:dfdc", "fake:fakeavceleb", "fake:ffpp", "fake:forgerynet"),
    )


def test_nor_has_a_corpus_of_which_only_the_test_split_is_taken(tmp_path):
    recipe = load_recipe("fsfm-dataset", [f"work_dir={tmp_path}", "corpora.2.only=[test]"])
    assert recipe.corpora[2].reader == "dfdc"
    assert "fake:dfdc" not in require_trainable_classes(recipe, None).class_names


@pytest.mark.parametrize(
    ("override", "error", "told"),
    [
        ("batches.labels=category", ManifestError, "needs FS, RE or TF for every fake; 2 of 2"),
        ("batches.labels=dataset", ManifestError, "needs fakes of two datasets"),
        ("objective.metric={name: ArcFacLoss}", RecipeError, "Did you mean ArcFaceLoss"),
        (
            "objective.metric={name: ArcFaceLoss, options: {margn: 1}}",
            RecipeError,
            r"objective\.metric\.options: ArcFaceLoss cannot be built",
        ),
    ],
)
def test_training_refuses_it_before_anything_starts(tmp_path, override, error, told):
    recipe = toy_recipe(tmp_path, "toy", override)
    write_corpus_of(recipe, [(row, []) for row in videos().to_pylist()])
    with pytest.raises(CheckError, match=told):
        stages.train(RunContext.of(recipe))
    with pytest.raises(error, match=told):
        stages.plan_training(RunContext.of(recipe))
    assert not (tmp_path / "toy").exists()
