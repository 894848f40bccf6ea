"""A manifest without a file: as many videos as are published."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dfray.batches.choice import quotas
from dfray.config import CorpusSection, Recipe
from dfray.datasets.manifest import validate
from dfray.errors import ManifestError
from dfray.faces.shard_plan import expected_faces
from dfray.planning.published import published_videos
from dfray.recipe import load_recipe
from dfray.tables import FAKE, REAL


def recipe(*corpora: CorpusSection) -> Recipe:
    return Recipe(name="t", corpora=list(corpora))


@pytest.fixture(scope="module")
def paper() -> Recipe:
    return load_recipe("fsfm-ba")


@pytest.fixture(scope="module")
def published(paper: Recipe) -> tuple[pa.Table, list[str]]:
    """VIDEOS of the paper's corpora, and those of unknown size."""
    return published_videos(paper)


def test_table_1_has_226_000_videos_to_train_and_validate_on(
    published: tuple[pa.Table, list[str]],
) -> None:
    videos, unknown = published
    counts = Counter(videos["split"].to_pylist())
    assert counts["train"] + counts["val"] == 226_372
    assert unknown == ["itw"]


def test_an_epoch_takes_the_real_faces_of_table_1(
    paper: Recipe, published: tuple[pa.Table, list[str]]
) -> None:
    """And of three corpora its fakes; how those of DFDC and ForgeryNet were thinned is not published."""
    videos, _ = published
    train = videos.filter(pc.equal(videos["split"], "train"))
    dataset, label = np.asarray(train["dataset"].to_pylist()), train["label"].to_numpy()
    quota = quotas(dataset, label, expected_faces(train, paper.faces), paper.batches.sampling)
    taken = {
        name: [round(quota[(dataset == name) & (label == one)].sum(), -3) for one in (REAL, FAKE)]
        for name in np.unique(dataset).tolist()
    }
    assert [taken[name] for name in ("ffpp", "celeb_df", "fakeavceleb")] == [
        [12_000, 14_000],
        [9_000, 10_000],
        [3_000, 14_000],
    ]
    assert sum(real for real, _ in taken.values()) == 304_000


def test_a_corpus_of_which_one_class_is_counted_is_of_unknown_size() -> None:
    known = CorpusSection(reader="celeb_df_pp", root="/nowhere")
    videos, unknown = published_videos(recipe(known, CorpusSection(reader="idforge", root="/x")))
    assert unknown == ["idforge"]
    assert videos.num_rows == 890 + 53_196


def test_splits_and_classes_are_those_published() -> None:
    videos, _ = published_videos(recipe(CorpusSection(reader="ffpp", root="nowhere")))
    splits = Counter(videos["split"].to_pylist())
    assert splits == {"train": 4320, "val": 840, "test": 840}
    assert Counter(videos["category"].to_pylist()) == {"fake": 5000, "real": 1000}
    validate(videos.to_pylist())


def test_only_and_split_are_kept() -> None:
    corpus = CorpusSection(reader="ffpp", root="nowhere", only=["train", "val"], dataset="mine")
    videos, _ = published_videos(recipe(corpus))
    assert videos.num_rows == 4320 + 840
    assert set(videos["dataset"].to_pylist()) == {"mine"}
    tested, _ = published_videos(recipe(CorpusSection(reader="ffpp", root="nowhere", split="test")))
    assert set(tested["split"].to_pylist()) == {"test"}


def test_a_corpus_without_published_splits_is_for_testing() -> None:
    videos, _ = published_videos(recipe(CorpusSection(reader="wilddeepfake", root="nowhere")))
    assert Counter(videos["split"].to_pylist()) == {"test": 3805 + 3509}


def test_a_recipe_of_unpublished_corpora_is_refused() -> None:
    with pytest.raises(ManifestError, match="no counts are published of folder"):
        published_videos(recipe(CorpusSection(reader="folder", root="nowhere")))
