"""Arguments of `dfray submit`: parsed as the stage's own command parses them."""

from __future__ import annotations

import pytest

from dfray.cli.stage_arguments import parse_stage_arguments


def test_recipe_and_overrides_are_resolved_here_and_the_options_are_forwarded():
    words = ["mine.yaml", "--protocol", "paper", "a.b=1", "--model", "m/1", "--model", "m/2", "-v"]
    arguments = parse_stage_arguments("evaluate", words)
    assert (arguments.recipe, arguments.overrides) == ("mine.yaml", ["a.b=1"])
    assert arguments.options == ["--protocol", "paper", "--model", "m/1", "--model", "m/2", "-v"]
    assert arguments.verbose
    assert not arguments.print_recipe


def test_score_takes_files_instead_of_a_recipe():
    arguments = parse_stage_arguments("score", ["s3://b/1.mp4", "s3://b/2.mp4", "--json"])
    assert arguments.recipe is None
    assert arguments.files == ("s3://b/1.mp4", "s3://b/2.mp4")
    assert arguments.options == ["s3://b/1.mp4", "s3://b/2.mp4", "--json"]


def test_an_option_of_0_is_forwarded():
    parsed = parse_stage_arguments("evaluate", ["--scores", "s3://b/s.csv", "--threshold", "0"])
    assert parsed.options == ["--scores", "s3://b/s.csv", "--threshold", "0.0"]


def test_files_of_options_are_ones_that_the_cluster_must_reach():
    words = [
        "s3://b/clips",
        "--out",
        "scores.csv",
        "--frames",
        "faces.csv",
        "--report",
        "page.html",
    ]
    arguments = parse_stage_arguments("score", words)
    assert arguments.files == ("s3://b/clips", "scores.csv", "faces.csv", "page.html")
    assert sorted(arguments.options) == sorted(words)
    evaluated = parse_stage_arguments("evaluate", ["--scores", "a.csv", "--labels", "b.csv"])
    assert evaluated.files == ("a.csv", "b.csv")
    several = parse_stage_arguments("evaluate", ["--scores", "a.csv", "--scores", "b.csv"])
    assert several.files == ("a.csv", "b.csv")


def test_an_option_that_the_stage_does_not_have_is_refused_before_anything_is_sent():
    with pytest.raises(Exception, match="No such option: --epochs"):
        parse_stage_arguments("train", ["mine.yaml", "--epochs", "3"])
