"""The command line of `dfray submit`: the stage's own words, read as the stage would read them."""

from __future__ import annotations

import pytest

from dfray.cli.jobs import _stage_arguments


def test_recipe_and_overrides_are_resolved_here_and_the_options_go_along():
    words = ["mine.yaml", "--protocol", "paper", "a.b=1", "--model", "m/1", "--model", "m/2", "-v"]
    given, options = _stage_arguments("evaluate", words)
    assert (given["recipe"], given["overrides"]) == ("mine.yaml", ["a.b=1"])
    sent = ["--protocol", "paper", "--model", "m/1", "--model", "m/2", "-v"]
    assert options == sent


def test_score_takes_files_instead_of_a_recipe():
    given, options = _stage_arguments("score", ["s3://b/1.mp4", "s3://b/2.mp4", "--json"])
    assert "recipe" not in given
    assert options == ["s3://b/1.mp4", "s3://b/2.mp4", "--json"]


def test_an_option_that_the_stage_does_not_have_is_refused_before_anything_is_sent():
    with pytest.raises(Exception, match="No such option: --epochs"):
        _stage_arguments("train", ["mine.yaml", "--epochs", "3"])
