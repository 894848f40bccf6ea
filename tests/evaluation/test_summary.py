import json

import pytest

from dfray.config import EvaluationSection
from dfray.evaluation.metrics import Metrics, compute_metrics
from dfray.evaluation.robustness import PostProcessingDrop
from dfray.evaluation.summary import to_markdown, write_summary
from dfray.post_processing import POST_PROCESSINGS


def test_the_summary_holds_every_group_and_reads_back(make_scored, tmp_path):
    scored = make_scored(5, lost=("no_face",))
    metrics = compute_metrics(scored.videos, scored.faces, EvaluationSection(), 0)
    write_summary(str(tmp_path), metrics)
    assert Metrics.model_validate_json((tmp_path / "metrics.json").read_text()) == metrics
    lines = (tmp_path / "metrics.md").read_text().splitlines()
    auc = metrics.overall.video.auc
    assert lines[2].startswith(f"| all videos | 5 | 10 | {auc.value:.3f} [{auc.low:.3f}, ")
    assert lines[2].endswith("| 15/16 |")
    assert [line.split(" | ")[0] for line in lines[3:6]] == [
        "| demo",
        "| demo / mouth",
        "| demo / swap",
    ]


def test_a_figure_that_is_not_defined_is_a_dash(make_scored):
    scored = make_scored(3, methods={"real": ["source"]})
    metrics = compute_metrics(scored.videos, scored.faces, EvaluationSection(), 0)
    assert "| all videos | 3 | 0 | – | – | – | – | 3/3 |" in to_markdown(metrics)


def test_drops_under_post_processing_stand_with_their_strengths(make_scored, tmp_path):
    scored = make_scored(5)
    metrics = compute_metrics(scored.videos, scored.faces, EvaluationSection(), 0)
    drop = PostProcessingDrop(
        "blur",
        POST_PROCESSINGS["blur"].unit,
        0.9,
        POST_PROCESSINGS["blur"].strengths,
        (0.9, 0.88, 0.8, 0.7, 0.55),
    )
    write_summary(str(tmp_path), metrics, [drop])
    text = (tmp_path / "metrics.md").read_text()
    assert (
        "| Gaussian blur, sigma in px | 0.900 | 0.000 (0.5) | 0.020 (1) | 0.100 (2) "
        "| 0.200 (3) | 0.350 (5) |" in text
    )
    (row,) = json.loads((tmp_path / "robustness.json").read_text())
    assert row["drops"] == pytest.approx([0, 0.02, 0.1, 0.2, 0.35])


def test_groups_of_people_have_rows_of_their_own(make_scored):
    scored = make_scored(6)
    groups = {v: "ab"[int(v[-1]) % 2] for v in scored.videos["video_id"].to_pylist()}
    metrics = compute_metrics(
        scored.videos, scored.faces, EvaluationSection(), 0, attributes={"identity group": groups}
    )
    rows = [line.split(" | ")[0] for line in to_markdown(metrics).splitlines()[6:8]]
    assert rows == ["| a", "| b"]
