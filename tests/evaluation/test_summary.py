from dfray.config import EvaluationSection
from dfray.evaluation.metrics import Metrics, evaluate
from dfray.evaluation.summary import to_markdown, write_summary


def test_the_summary_holds_every_group_and_reads_back(make_scored, tmp_path):
    scored = make_scored(5, lost=("no_face",))
    metrics = evaluate(scored.videos, scored.faces, EvaluationSection(bootstrap=20), 0)
    write_summary(str(tmp_path), metrics)
    assert Metrics.model_validate_json((tmp_path / "metrics.json").read_text()) == metrics
    lines = (tmp_path / "metrics.md").read_text().splitlines()
    auc = metrics.overall.video.auc
    assert lines[2].startswith(f"| overall | 5 | 10 | {auc.value:.3f} [{auc.low:.3f}, ")
    assert lines[2].endswith("| 15/16 |")
    assert [line.split(" | ")[0] for line in lines[3:6]] == [
        "| demo",
        "| demo / mouth",
        "| demo / swap",
    ]


def test_a_figure_that_is_not_defined_is_a_dash(make_scored):
    scored = make_scored(3, methods={"real": ["source"]})
    metrics = evaluate(scored.videos, scored.faces, EvaluationSection(bootstrap=20), 0)
    assert "| overall | 3 | 0 | – | – | – | – | 3/3 |" in to_markdown(metrics)
