"""`dfray evaluate` also measures scores that are in a file."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.commands import Command


def test_evaluate_measures_scores_in_a_file_against_labels(dfray: Command, tmp_path: Path) -> None:
    rows = [(f"/videos/{k}.mp4", k % 2, 0.4 * (k % 2) + 0.05 * (k % 7)) for k in range(20)]
    scores = "".join(f"{name},{value}\n" for name, _, value in rows)
    (tmp_path / "scores.csv").write_text(f"uri,score\n{scores}/videos/none.mp4,\n")
    labels = "".join(f"{name},{label}\n" for name, label, _ in rows)
    (tmp_path / "labels.csv").write_text(f"uri,label\n{labels}/videos/none.mp4,real\n")
    words = ("evaluate", "--scores", "scores.csv")
    done = dfray(tmp_path, *words, "--labels", "labels.csv", "--as", "third")
    assert (done.code, done.err) == (0, "")
    assert "20/21" in done.out
    report = tmp_path / "scores.evaluation" / "report.html"
    assert f"Report: {report}" in done.out
    assert "third: scores of scores.csv" in report.read_text()
    for arguments, told in {
        words: "Add --labels FILE",
        ("evaluate", "--labels", "labels.csv"): "Add --scores FILE.",
        ("evaluate",): "Name a recipe, or --scores FILE",
        (*words, "--model", "models:/a/1"): "--scores measures a file, without a model.",
        (*words, "--protocol", "paper"): "There is nothing to evaluate.",
        (
            *words,
            "--protocol",
            "paper",
            "--labels",
            "labels.csv",
        ): "With --protocol, leave them out.",
        (*words, "--scores", "more.csv"): "--scores names 2 files.",
        (*words, "--as", "a", "--as", "b"): "--as names 2 detectors, and --scores 1 files.",
        ("evaluate", "--scores", "gone.csv", "--labels", "labels.csv"): "gone.csv",
    }.items():
        refused = dfray(tmp_path, *arguments)
        assert refused.code != 0
        assert told in refused.err, arguments
