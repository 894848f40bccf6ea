"""What `dfray search` prints at its end."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dfray.render.search import show_search
from tests.helpers.searches import ended_search

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, **changes: object) -> str:
    show_search(replace(ended_search(12, failed=1), **changes), "runs/s/search.html", "demo seed=1")
    return capsys.readouterr().out


def test_the_best_trials_come_first_and_failed_ones_with_their_reason(capsys: Capture) -> None:
    lines = printed(capsys).splitlines()
    assert re.match(
        r"trial +triplet.weight +triplet.margin +validation AUC +epochs +state", lines[1]
    )
    assert re.match(r" +4 +0.235 +1.336 +0.9426 +8/8 +finished", lines[2])
    assert "  trial 11 failed: The loss is not finite at step 3: <nan>." in lines


def test_the_epochs_stand_against_running_all_to_the_end(capsys: Capture) -> None:
    result = (
        "6 finished, 5 stopped, 1 failed; 58 epochs of the 96 that all trials would take (60%)."
    )
    assert result in printed(capsys)


def test_finalists_are_told_with_mean_spread_and_number_of_seeds(capsys: Capture) -> None:
    assert re.search(r" +0 +0.1879 +0.6126 +0.9458 +0.0020 +3\n", printed(capsys))
    assert "finalists" not in printed(capsys, finalists=[])


def test_the_winner_is_told_as_overrides_to_copy_with_its_page_and_the_next_command(
    capsys: Capture,
) -> None:
    output = printed(capsys)
    copied = "objective.triplet.weight=0.1879 objective.triplet.margin=0.6126"
    assert re.search(rf"parameters +{copied}\n", output)
    assert re.search(r"page +runs/s/search.html\n", output)
    assert re.search(r"registered +version 3, alias candidate\n", output)
    assert output.endswith("dfray promote demo seed=1\n")


def test_nothing_is_to_be_promoted_where_nothing_was_registered(capsys: Capture) -> None:
    assert "promote" not in printed(capsys, version=None)
