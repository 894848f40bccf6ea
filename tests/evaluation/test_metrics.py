import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from dfray.config import EvaluationSection
from dfray.errors import EvaluationError
from dfray.evaluation.metrics import Metrics, compute_metrics
from dfray.tables import SCORES

SECTION = EvaluationSection()
TWO = {"real": ["source"], "FS": ["swap", "blend"], "RE": ["mouth"]}
NAMES = ("auc", "balanced_accuracy", "eer", "average_precision")


def figures(scored, section=SECTION, seed=0) -> Metrics:
    return compute_metrics(scored.videos, scored.faces, section, seed)


def naive(rows, threshold=0.5) -> dict[str, float]:
    """From dicts with label and score, by pairs and by scikit-learn."""
    real = [row["score"] for row in rows if row["label"] == 0]
    fake = [row["score"] for row in rows if row["label"] == 1]
    pairs = np.mean([(f > r) + 0.5 * (f == r) for f in fake for r in real])
    labels = [row["label"] for row in rows]
    scores = np.array([row["score"] for row in rows])
    assert pairs == pytest.approx(roc_auc_score(labels, scores))
    return {
        "auc": pairs,
        "balanced_accuracy": balanced_accuracy_score(labels, scores >= threshold),
        "average_precision": average_precision_score(labels, scores),
    }


def values(level) -> dict[str, float]:
    return {name: getattr(level, name).value for name in NAMES if name != "eer"}


def video_rows(scored, **wanted):
    return [
        row | {"score": row["fake_probability"]}
        for row in scored.videos.to_pylist()
        if row["fake_probability"] is not None and row.items() >= wanted.items()
    ]


def frame_rows(scored):
    frames: dict[tuple, list[dict]] = {}
    for row in scored.faces.to_pylist():
        frames.setdefault((row["video_id"], row["frame_index"]), []).append(row)
    return [
        {"label": rows[0]["label"], "score": np.mean([r["fake_probability"] for r in rows])}
        for rows in frames.values()
    ]


def test_video_level_equals_a_naive_count_over_pairs(make_scored):
    scored = make_scored(15, methods=TWO, lost=("no_face", "unreadable"))
    assert values(figures(scored).overall.video) == pytest.approx(naive(video_rows(scored)))


def test_frame_level_equals_a_naive_count_over_pairs(make_scored):
    scored = make_scored(10)
    level = figures(scored).overall.frame
    assert values(level) == pytest.approx(naive(frame_rows(scored)))
    assert level.n_real + level.n_fake == len(frame_rows(scored))


def test_the_threshold_itself_counts_as_fake(make_scored):
    scored = make_scored(5)
    at = scored.faces.column_names.index("fake_probability")
    half = pa.array(np.full(scored.faces.num_rows, 0.5, np.float32))
    scored.faces = scored.faces.set_column(at, scored.faces.schema.field(at), half)
    level = figures(scored).overall.video
    assert level.balanced_accuracy.value == 0.5
    assert level.auc.value == 0.5
    assert level.eer.value == 0.5


def test_a_method_is_set_against_all_real_videos_of_its_dataset(make_scored):
    scored = make_scored(8, methods=TWO, datasets=("one", "two"))
    found = figures(scored)
    assert [(g.dataset, g.method) for g in found.methods] == [
        (dataset, method) for dataset in ("one", "two") for method in ("blend", "mouth", "swap")
    ]
    for group in found.methods:
        rows = video_rows(scored, dataset=group.dataset, label=0)
        rows += video_rows(scored, dataset=group.dataset, method=group.method)
        assert (group.video.n_real, group.video.n_fake) == (8, 8)
        assert values(group.video) == pytest.approx(naive(rows))
        assert group.counts.videos == 8
    for group in found.datasets:
        assert values(group.video) == pytest.approx(
            naive(video_rows(scored, dataset=group.dataset))
        )


def test_intervals_hold_the_figure_and_narrow_with_more_videos(make_scored):
    few, many = (figures(make_scored(n)).overall.video for n in (10, 160))
    for name in NAMES:
        for level in (few, many):
            figure = getattr(level, name)
            assert figure.low <= figure.value <= figure.high
            assert figure.low < figure.high
    assert many.auc.high - many.auc.low < 0.5 * (few.auc.high - few.auc.low)


def test_a_higher_confidence_widens_the_interval(make_scored):
    scored = make_scored(20)
    narrow, wide = (
        figures(scored, SECTION.model_copy(update={"confidence": c})).overall.video.auc
        for c in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_group_of_few_videos_has_no_figure_and_says_why(make_scored):
    level = figures(make_scored(4)).overall.video
    assert (level.n_real, level.n_fake, level.auc) == (4, 8, None)
    assert level.reason == "too few to tell: 4 real and 8 fake, of 5 videos needed of each"
    section = SECTION.model_copy(update={"min_per_class": 4})
    scored = make_scored(4)
    assert compute_metrics(scored.videos, scored.faces, section, 0).overall.video.auc is not None


def test_frames_are_as_sure_as_their_videos(make_scored):
    """Ten frames of each video are no ten times the evidence."""
    group = figures(make_scored(10)).overall
    assert group.frame.n_real > group.video.n_real
    of_videos, of_frames = (level.auc.high - level.auc.low for level in (group.video, group.frame))
    assert of_frames > 0.7 * of_videos


def test_another_method_does_not_change_the_intervals_of_the_first(make_scored):
    scored = make_scored(8, methods=TWO)
    kept = [method != "blend" for method in scored.summaries.column("method").to_pylist()]
    faces = [method != "blend" for method in scored.faces.column("method").to_pylist()]
    fewer = type(scored)(
        scored.summaries.filter(pa.array(kept)),
        scored.outcomes,
        scored.faces.filter(pa.array(faces)),
    )
    of = {group.method: group for group in figures(scored).methods}
    assert figures(fewer).methods == [of["mouth"], of["swap"]]


def test_one_class_gives_no_figures_but_a_reason(make_scored):
    only_real = figures(make_scored(5, methods={"real": ["source"]})).overall
    for level in (only_real.video, only_real.frame):
        assert (level.auc, level.eer) == (None, None)
        assert level.reason == "no scored fake video to compare with"
    only_fake = figures(make_scored(5, methods={"FS": ["swap"]}))
    assert only_fake.methods[0].video.reason == "no scored real video to compare with"


def test_nothing_scored_gives_no_figures_but_counts(make_scored):
    scored = make_scored(0, lost=("no_face", "crashed"))
    found = figures(scored).overall
    assert found.video.reason == "no scored real and no scored fake video to compare with"
    assert (found.counts.videos, found.counts.scored, found.counts.coverage) == (2, 0, 0.0)


def test_no_videos_at_all_have_no_coverage(make_scored):
    scored = make_scored(0)
    assert figures(scored).overall.counts.coverage is None


def test_videos_without_a_score_are_counted_by_what_became_of_them(make_scored):
    lost = ("no_face", "no_face", "unreadable", "crashed", "timed_out")
    counts = figures(make_scored(5, lost=lost)).overall.counts
    assert counts.model_dump() == {
        "videos": 20,
        "scored": 15,
        "no_face": 2,
        "unreadable": 1,
        "crashed": 1,
        "timed_out": 1,
        "not_extracted": 0,
        "coverage": 0.75,
    }


def test_videos_without_a_score_change_no_figure(make_scored):
    bare, lossy = (figures(make_scored(6, lost=lost)) for lost in ((), ("no_face",) * 3))
    assert bare.overall.video == lossy.overall.video
    assert bare.overall.frame == lossy.overall.frame


def test_nan_is_refused(make_scored):
    scored = make_scored(2)
    rows = scored.faces.to_pylist()
    rows[0]["fake_probability"] = float("nan")
    with pytest.raises(EvaluationError, match="no number in 0..1: nan for demo/"):
        compute_metrics(scored.videos, SCORES.from_rows(rows), SECTION, 0)


def test_metrics_survive_json(make_scored):
    found = figures(make_scored(6, lost=("no_face",)))
    text = found.model_dump_json()
    assert Metrics.model_validate_json(text) == found
    assert json.loads(text)["overall"]["video"]["auc"]["value"] == found.overall.video.auc.value


def test_a_group_of_people_is_measured_on_its_own_videos_of_all_datasets(make_scored):
    scored = make_scored(8, datasets=("one", "two"))
    ids = scored.videos["video_id"].to_pylist()
    groups = {video: f"g{int(video[-1]) % 2}" for video in ids if video[-1] != "7"}
    metrics = compute_metrics(
        scored.videos, scored.faces, SECTION, 0, attributes={"identity group": groups}
    )
    assert [group.identity_group for group in metrics.identity_groups] == ["g0", "g1"]
    for found in metrics.identity_groups:
        rows = [
            row
            for row in scored.videos.to_pylist()
            if groups.get(row["video_id"]) == found.identity_group
        ]
        labels = [row["label"] for row in rows]
        scores = [row["fake_probability"] for row in rows]
        assert found.counts.videos == len(rows)
        assert found.video.auc.value == pytest.approx(roc_auc_score(labels, scores))


def test_without_groups_there_are_no_rows_of_groups(make_scored):
    scored = make_scored(4)
    assert compute_metrics(scored.videos, scored.faces, SECTION, 0).identity_groups == []


def test_the_models_own_threshold_goes_before_the_recipes(make_scored):
    scored = make_scored(20, skill=0.5)
    own = compute_metrics(scored.videos, scored.faces, SECTION, 0, threshold=0.8)
    fixed = compute_metrics(
        scored.videos, scored.faces, SECTION.model_copy(update={"threshold": 0.8}), 0
    )
    assert own == fixed
    assert own.threshold == 0.8
    at_half = compute_metrics(scored.videos, scored.faces, SECTION, 0).overall.video
    assert own.overall.video.balanced_accuracy != at_half.balanced_accuracy
    assert own.overall.video.auc == at_half.auc
