"""A recipe for one's own videos, written by a look at the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.checks import Subject, find_problems
from dfray.errors import ManifestError, UserError
from dfray.planning.new_recipe import look_at, recipe_text, run_name, write_recipe
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.corpora import touch
from tests.helpers.corpus import write_corpus

SPLITS = ("train", "train", "train", "val", "test")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my clips: ü") / "videos"
    write_corpus(folder, 10, seconds=1, splits=SPLITS)
    return folder


def test_the_recipe_is_one_that_a_run_does_not_refuse(clips: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "mine.yaml")
    write_recipe(path, str(clips))
    recipe = load_recipe(path, [f"work_dir={tmp_path}/runs"])
    (corpus,) = recipe.corpora
    assert (recipe.name, corpus.reader, corpus.root) == ("mine", "folder", str(clips))
    assert recipe.registry.model_name == "mine"
    assert recipe.registry.gates.min_videos == 2
    assert recipe.batches.batch_size == 4
    assert find_problems(Subject(RunContext.of(recipe)), "run") == []


def test_a_machine_with_gpus_gets_a_worker_for_each_and_a_larger_network(
    clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(recipe_text("a", look_at(str(clips)), gpus=4))
    recipe = load_recipe(str(tmp_path / "a.yaml"))
    assert recipe.training.num_workers == 4
    assert (recipe.model.backbone, recipe.model.weights) == ("vit_base_patch16_224", "timm")


def test_the_comments_state_counts_and_how_splits_were_made(tmp_path: Path) -> None:
    touch(tmp_path, [f"{kind}/{n}.mp4" for kind in ("real", "fake") for n in range(40)])
    text = recipe_text("a", look_at(str(tmp_path)), gpus=0)
    assert "real in train" in text.splitlines()[0]
    assert "else no split is stated: drawn by a hash" in text


def test_comments_are_aligned_and_a_name_with_their_sign_is_not_taken_for_one(
    tmp_path: Path,
) -> None:
    root = tmp_path / 'a" # b'
    touch(root, ["train/real/a.mp4"])
    text = recipe_text("a", look_at(str(root)), gpus=0)
    (tmp_path / "a.yaml").write_text(text)
    assert load_recipe(str(tmp_path / "a.yaml")).corpora[0].root == str(root)
    columns = {
        line.index(" # ")
        for line in text.splitlines()
        if " # " in line and not line.strip().startswith("#") and "root" not in line
    }
    assert columns == {32}


def test_a_published_corpus_is_read_by_its_own_reader(tmp_path: Path) -> None:
    touch(tmp_path, ["Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4"])
    (tmp_path / "List_of_testing_videos.txt").write_text("1 Celeb-real/id0_0000.mp4\n")
    assert look_at(str(tmp_path)).reader == "celeb_df"


def test_a_csv_file_is_read_as_a_list(tmp_path: Path) -> None:
    touch(tmp_path, ["a.mp4"])
    (tmp_path / "list.csv").write_text("uri,label,split\na.mp4,real,test\n")
    assert look_at(str(tmp_path / "list.csv")).reader == "csv"


def test_nothing_is_written_over_and_nothing_is_written_for_no_videos(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine")
    with pytest.raises(UserError, match=r"mine.yaml is there already"):
        write_recipe(str(tmp_path / "mine.yaml"), str(tmp_path))
    with pytest.raises(UserError, match="--videos: there is no"):
        write_recipe(str(tmp_path / "new.yaml"), str(tmp_path / "gone"))
    touch(tmp_path, ["clips/a.mp4"])
    with pytest.raises(ManifestError, match=r"real|fake"):
        write_recipe(str(tmp_path / "new.yaml"), str(tmp_path / "clips"))
    assert not (tmp_path / "new.yaml").exists()


def test_a_name_keeps_the_letters_that_a_run_may_have() -> None:
    assert [run_name(p) for p in ("a/mine.yaml", "two words.yaml", "s3://b/007.yaml")] == [
        "mine",
        "two-words",
        "007",
    ]
    with pytest.raises(UserError, match="gives no name"):
        run_name("___.yaml")
