"""Scores in a file are measured as a model's are: figures with intervals, coverage, tables and report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from dfray.errors import UserError
from dfray.evaluation.metrics import Metrics
from dfray.run_context import RunContext
from dfray.stages import evaluate_scores
from dfray.tables import VIDEOS
from tests.helpers.toy import toy_recipe

N = 60


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """Scores of 60 videos of two datasets, the last three without one; and labels."""
    draw = np.random.default_rng(0)
    truth = np.arange(N) % 2
    scores = np.clip(0.35 + 0.3 * truth + draw.normal(0, 0.25, N), 0, 1)
    names = [f"/videos/{k:02d}.mp4" for k in range(N)]
    given = {"input": names, "fake_probability": [*scores[:-3], None, None, None]}
    outcomes = ["ok"] * (N - 3) + ["no_face", "unreadable", "no_face"]
    model = {"model": ["det"] * N, "version": ["3"] * N, "threshold": [0.45] * N}
    pq.write_table(pa.table(given | model | {"outcome": outcomes}), tmp_path / "scores.parquet")
    labels = "uri,label,dataset,method\n" + "".join(
        f"{name},{'fake' if is_fake else 'real'},{'ab'[k % 4 < 2]},{'swap' if is_fake else ''}\n"
        for k, (name, is_fake) in enumerate(zip(names, truth, strict=True))
    )
    (tmp_path / "labels.csv").write_text(labels)
    return tmp_path / "scores.parquet", tmp_path / "labels.csv", truth[:-3], scores[:-3]


def test_figures_are_those_of_scikit_learn_over_the_videos_with_a_score(files) -> None:
    scores, labels, truth, values = files
    found = evaluate_scores(str(scores), str(labels))
    level = found.metrics.overall.video
    assert level.auc.value == pytest.approx(roc_auc_score(truth, values))
    assert level.auc.low < level.auc.value < level.auc.high
    accuracy = balanced_accuracy_score(truth, values >= 0.45)
    assert level.balanced_accuracy.value == pytest.approx(accuracy)
    counts = found.metrics.overall.counts
    assert (counts.videos, counts.scored, counts.no_face, counts.unreadable) == (60, 57, 2, 1)
    assert [group.dataset for group in found.metrics.datasets] == ["a", "b"]
    assert {group.method for group in found.metrics.methods} == {"swap"}
    folder = Path(found.report).parent
    assert folder == scores.parent / "scores.evaluation"
    stored = Metrics.model_validate_json((folder / "metrics.json").read_text())
    assert stored == found.metrics
    assert pq.read_table(folder / "video_scores.parquet").num_rows == N


def test_the_report_says_whose_scores_they_are_and_leaves_out_what_they_cannot_tell(files) -> None:
    scores, labels, *_ = files
    (labels.parent / "more.csv").write_text(labels.read_text() + "/videos/gone.mp4,real,a,\n")
    more = str(labels.parent / "more.csv")
    page = Path(evaluate_scores(str(scores), more, name="third", threshold=0.6).report).read_text()
    assert "third: scores of scores.parquet" in page
    assert "0.6, given with the scores" in page
    assert "1 label(s) have no row among the scores" in page
    assert "/videos/gone.mp4" in page
    for absent in ("Sampled frames", "at frame level", "<summary>Recipe"):
        assert absent not in page


def test_scores_without_a_truth_are_refused(files) -> None:
    with pytest.raises(UserError, match="no truth .*Add --labels FILE"):
        evaluate_scores(str(files[0]))


def test_neither_mlflow_nor_ray_nor_torch_is_loaded(files) -> None:
    scores, labels, *_ = files
    code = (
        "import sys; from dfray.stages import evaluate_scores; "
        f"evaluate_scores({str(scores)!r}, {str(labels)!r}); "
        "print([name for name in ('mlflow', 'ray', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_recipe_gives_the_truth_by_its_manifest(tmp_path: Path) -> None:
    run = RunContext.of(toy_recipe(str(tmp_path), "toy"))
    row = {"dataset": "ff", "category": "real", "method": "real", "label": 0}
    videos = [
        row | {"video_id": f"ff/real/{k}", "uri": f"/videos/{k}.mp4", "split": split}
        for k, split in enumerate(("test", "train", "test"))
    ]
    videos.append(videos[0] | {"video_id": "other/real/0", "dataset": "other"})
    run.look_at(VIDEOS.from_rows(videos))
    (tmp_path / "third.csv").write_text("uri,score\n/videos/0.mp4,0.5\n/videos/1.mp4,0.5\n")
    found = evaluate_scores(str(tmp_path / "third.csv"), run=run, to=str(tmp_path / "figures"))
    counts = found.metrics.overall.counts
    assert (counts.videos, counts.scored, counts.not_extracted) == (2, 1, 1)
    table = pq.read_table(tmp_path / "figures" / "video_scores.parquet")
    assert table["video_id"].to_pylist() == ["ff/real/0", "ff/real/2", "other/real/0"]
    assert [group.counts.scored for group in found.metrics.datasets] == [1, 1]
