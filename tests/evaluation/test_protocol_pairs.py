"""Models against the first one in a protocol's columns, on the same videos; and what training spoils."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.paired import STORED_SCORES
from dfray.evaluation.protocol import apply_protocol, load_protocol
from dfray.evaluation.protocol_pairs import ScoredVideos, paired_rows, with_training_notes
from tests.evaluation.test_protocol import corpus

PAPER = load_protocol("paper")
AT = {heading: place for place, heading in enumerate(PAPER.headings)}


def scored(name, seed, rows=None):
    """Scores of FF++ (30 real, 30 fake) and of three real WildDeepfake videos with two fakes."""
    swaps = {f"swap{n}": "FS" for n in range(6)}
    rows = rows or corpus("ff++", swaps, 30) + corpus("wilddeepfake", {"a": "FS"}, 3)
    draw = np.random.default_rng(seed)
    rows = [row | {"fake_probability": float(draw.beta(2 + row["label"], 2))} for row in rows]
    videos = [row | {"person": row["video_id"]} for row in rows]
    return ScoredVideos(name, STORED_SCORES.from_rows(videos), 0.5)


def auc(model, dataset):
    rows = [row for row in model.videos.to_pylist() if row["dataset"] == dataset]
    return roc_auc_score([r["label"] for r in rows], [r["fake_probability"] for r in rows])


def test_a_column_has_the_difference_in_auc_with_its_interval():
    first, second = scored("mine", 1), scored("theirs", 2)
    (row,) = paired_rows(PAPER, [first, second], 0.95)
    assert (row.name, row.reference) == ("theirs", "mine")
    found = row.cells[AT["In-distribution", "FF++"]]
    assert found.candidate - found.champion == pytest.approx(
        auc(second, "ff++") - auc(first, "ff++")
    )
    assert found.low < found.candidate - found.champion < found.high


def test_a_column_with_too_few_videos_or_none_has_no_difference():
    (row,) = paired_rows(PAPER, [scored("mine", 1), scored("theirs", 2)], 0.95)
    for heading in (("In-the-wild", "WDF"), ("In-the-wild", "ITW"), ("In-distribution", "Avg")):
        assert row.cells[AT[heading]] is None


def test_a_model_alone_has_no_row():
    assert paired_rows(PAPER, [scored("mine", 1)], 0.95) == []
    assert paired_rows(PAPER, [], 0.95) == []


def test_scores_of_other_videos_are_refused():
    other = scored("theirs", 2, corpus("ff++", {"swap": "FS"}, 20))
    with pytest.raises(EvaluationError, match="scored on different videos"):
        paired_rows(PAPER, [scored("mine", 1), other], 0.95)


def test_columns_of_corpora_of_the_training_are_noted_and_means_over_them():
    rows = corpus("ff++", {"swap": "FS"}) + corpus("celeb-df-v2", {"swap": "FS"})
    figures = apply_protocol(PAPER, VIDEO_SCORES.from_rows(rows), 0.5)
    noted = with_training_notes(PAPER, figures, "theirs", ["ff++"])
    words = {heading: noted[place].note or "" for heading, place in AT.items()}
    assert words["In-distribution", "FF++"] == (
        "theirs was trained on ff++: no test of how it generalises"
    )
    assert words["In-distribution", "CDF"] == ""
    assert words["In-distribution", "Avg"].endswith("corpora that theirs was trained on")
    assert "theirs" not in words["In-distribution", "DFDC"], "it was not measured"
    assert with_training_notes(PAPER, figures, "theirs", []) == figures
