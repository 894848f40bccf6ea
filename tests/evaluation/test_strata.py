"""AUC within like videos: an advantage by the size of faces alone is gone there, a true one stays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dfray.config import EvaluationSection
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.strata import STRATIFIED, StratifiedAuc, stratified_aucs

SECTION = EvaluationSection()


def tables(
    sizes: np.ndarray, scores: np.ndarray, labels: np.ndarray, dataset: str = "toy"
) -> tuple[pa.Table, pa.Table]:
    """Return VIDEO_SCORES and the properties of videos with these face sizes."""
    plain = {"split": "test", "method": "m", "status": "ok", "n_faces": 1, "dataset": dataset}
    ids = [f"{dataset}/m/{number:03d}" for number in range(len(sizes))]
    videos = VIDEO_SCORES.from_rows(
        [
            {"video_id": video, "label": int(label), "category": "FS" if label else "real"}
            | {"fake_probability": float(score)}
            | plain
            for video, label, score in zip(ids, labels, scores, strict=True)
        ]
    )
    values = {"video_id": ids, "face_px": sizes, "length_s": [10.0] * len(ids)}
    return videos, pa.table(values | {"quality": pa.nulls(len(ids), pa.float64())})


def entry(videos: pa.Table, properties: pa.Table, name: str = "face_px") -> StratifiedAuc:
    found = stratified_aucs(videos, properties, SECTION)
    return next(one for one in found if one.property == name)


@pytest.fixture
def by_size() -> tuple[pa.Table, pa.Table]:
    """Scores that follow the size of faces, which fakes have larger ones of, and nothing else."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    classes = (rng.random(300) < np.where(labels, 0.2, 0.8)).astype(int)
    sizes = np.where(classes, 100.0, 200.0) + np.arange(300) * 1e-3
    return tables(sizes, 1 / (1 + np.exp(-(sizes - 150) / 50 - rng.normal(0, 0.1, 300))), labels)


def test_an_advantage_by_size_alone_is_gone_within_like_sizes(by_size) -> None:
    found = entry(*by_size)
    assert found.plain is not None
    assert found.stratified is not None
    assert found.plain.low > 0.65
    assert found.stratified.value < found.plain.value - 0.1
    assert found.stratified.high < found.plain.value


def test_an_advantage_within_every_size_stays() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    scores = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1)))
    found = entry(*tables(rng.uniform(50, 300, 300), scores, labels))
    assert found.stratified.value == pytest.approx(found.plain.value, abs=0.03)


def test_the_stratified_auc_is_the_mean_over_the_parts_by_their_pairs(by_size) -> None:
    videos, properties = by_size
    sizes, labels = properties["face_px"].to_numpy(), videos["label"].to_numpy()
    scores, found = videos["fake_probability"].to_numpy(), entry(videos, properties)
    aucs, pairs = [], []
    for part in found.strata:
        low, high = part.low or -np.inf, part.high or np.inf
        mask = (sizes > low) & (sizes <= high)
        aucs.append(roc_auc_score(labels[mask], scores[mask]))
        pairs.append(part.n_real * part.n_fake)
        assert part.auc.value == pytest.approx(aucs[-1])
        assert (part.n_real, part.n_fake) == (np.sum(labels[mask] == 0), np.sum(labels[mask]))
    assert len(aucs) == 3
    assert found.stratified.value == pytest.approx(np.average(aucs, weights=pairs))


def test_both_aucs_are_of_the_videos_of_which_the_property_is_known(by_size) -> None:
    videos, properties = by_size
    sizes = properties["face_px"].to_numpy().copy()
    sizes[200:] = np.nan
    known = properties.set_column(1, "face_px", pa.array(sizes))
    found, alone = entry(videos, known), entry(videos.slice(0, 200), properties.slice(0, 200))
    assert (found.n_real, found.n_fake, found.n_unknown) == (100, 100, 100)
    assert found.plain == alone.plain
    assert found.stratified == alone.stratified
    assert entry(videos, properties).plain != found.plain


def test_a_part_with_few_videos_has_no_figure_of_its_own() -> None:
    labels = np.arange(24) % 2
    sizes = np.r_[np.full(8, 10.0), np.full(8, 20.0), np.full(8, 30.0)]
    found = entry(*tables(sizes, np.linspace(0, 1, 24), labels))
    assert all(part.auc is None for part in found.strata)
    assert found.strata[0].reason == "too few to tell: 4 real and 4 fake"
    assert found.stratified is not None


def test_a_property_that_all_videos_have_alike_stratifies_nothing(by_size) -> None:
    found = entry(*by_size, "length_s")
    assert (found.n_real, found.n_fake, found.strata) == (150, 150, [])
    assert found.stratified is None
    assert found.reason == "the same of all videos"


def test_a_property_that_is_not_known_has_a_reason_and_no_figure(by_size) -> None:
    found = entry(*by_size, "quality")
    assert found.stratified is None
    assert (found.n_unknown, found.reason) == (300, "not known of any video")


def test_each_dataset_has_an_entry_for_each_property(by_size) -> None:
    other = tables(np.full(6, 9.0), np.linspace(0, 1, 6), np.arange(6) % 2, "small")
    both = [pa.concat_tables(pair) for pair in zip(by_size, other, strict=True)]
    found = stratified_aucs(*both, SECTION)
    assert [(one.dataset, one.property) for one in found] == [
        (dataset, name) for dataset in ("small", "toy") for name in STRATIFIED
    ]
    assert found[0].plain is None
    assert found[0].reason == "too few to tell: 3 real and 3 fake"
