"""What a recipe may take of a corpus, by its settings and published counts."""

from __future__ import annotations

import pytest

from dfray.config import CorpusSection
from dfray.datasets.corpus import TRAINED, may_hold


@pytest.mark.parametrize(
    ("corpus", "trained"),
    [
        ({"reader": "ffpp"}, True),
        ({"reader": "ffpp", "only": ["test"]}, False),
        ({"reader": "ffpp", "only": ["val", "test"]}, True),
        ({"reader": "csv", "split": "test"}, False),
        ({"reader": "csv"}, True),
        ({"reader": "df40"}, False),
        ({"reader": "deepfake_eval_2024"}, True),
        ({"reader": "deepfake_eval_2024", "split": "test"}, False),
        ({"reader": "dfdc_preview"}, True),
        ({"reader": "ffiw", "only": ["test"]}, False),
    ],
)
def test_a_recipe_trains_on_what_may_have_videos_of_training_or_validation(
    corpus: dict[str, object], trained: bool
) -> None:
    assert may_hold(CorpusSection(root="corpus", **corpus), TRAINED) == trained
