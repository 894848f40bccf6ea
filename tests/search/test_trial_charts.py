"""The charts of a search: what is drawn, for which trials, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dfray.search import space_charts, trial_charts
from dfray.search import trial_charts as plots
from dfray.search.result import short_names
from dfray.search.space_charts import Axis
from tests.helpers.searches import EPOCHS, SPACE, M, W, ended_search


def test_short_names_keep_the_words_that_tell_keys_apart() -> None:
    keys = ["objective.triplet.weight", "objective.metric.weight", "training.lr", "seed"]
    assert list(short_names(keys).values()) == [
        "triplet.weight",
        "metric.weight",
        "training.lr",
        "seed",
    ]
    alike = ["a.b.weight", "c.b.weight"]
    assert short_names(alike) == {key: key for key in alike}


def test_every_trial_that_ended_an_epoch_has_a_curve_and_the_winner_s_is_drawn_last() -> None:
    result = ended_search(12, failed=2)
    figure = plots.curves_figure(result)
    assert len(figure.data) == 10
    winning = result.trials[int(result.winning_trial)]
    assert figure.data[-1].name == f"trial {winning.number}, whose parameters won"
    assert list(figure.data[-1].y) == [row["val_auc"] for row in winning.curve]
    assert list(figure.data[-1].x) == list(range(1, EPOCHS + 1))


def test_the_symbol_at_a_curve_s_end_says_how_the_trial_ended() -> None:
    result = ended_search(3)
    ends = {trace.name: trace.marker.symbol[-1] for trace in plots.curves_figure(result).data}
    assert ends["stopped"] == "diamond"
    assert ends["finished"] == "circle"


def test_the_legend_names_each_state_once() -> None:
    figure = plots.curves_figure(ended_search(12))
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert len(names) == len(set(names)) == 3


def test_epochs_are_bars_against_the_line_that_nothing_would_stop() -> None:
    figure = plots.epochs_figure(ended_search(12, failed=1))
    epochs = {bar.name: list(bar.y) for bar in figure.data}
    assert epochs == {"finished (6)": [8] * 6, "stopped (5)": [2] * 5, "failed (1)": [0]}
    assert figure.layout.shapes[0].y0 == EPOCHS


def test_finalists_show_every_seed_and_the_mean_with_its_spread() -> None:
    result = ended_search(12)
    seeds, means = plots.finalists_figure(result.finalists, "val_auc").data
    assert len(seeds.y) == 9
    assert list(means.y) == [finalist.mean for finalist in result.finalists]
    assert list(means.error_y.arrayminus) == [finalist.spread for finalist in result.finalists]


def test_neither_axis_nor_whisker_of_an_auc_goes_beyond_one() -> None:
    result = ended_search(12, finalists=1)
    runs = [
        replace(run, value=value)
        for run, value in zip(result.finalists[0].runs, (0.9, 1.0, 1.0), strict=True)
    ]
    chart = plots.finalists_figure([replace(result.finalists[0], runs=runs)], "val_auc")
    means = chart.data[1]
    assert means.y[0] + means.error_y.array[0] == pytest.approx(1)
    assert means.error_y.arrayminus[0] > 1 - means.y[0]
    for figure in (chart, plots.curves_figure(result)):
        assert figure.layout.yaxis.autorangeoptions.clipmax == 1


def test_a_finalist_whose_seeds_all_failed_has_no_point() -> None:
    result = ended_search(12, finalists=1)
    runs = [replace(run, value=None, state="failed") for run in result.finalists[0].runs]
    seeds, means = plots.finalists_figure([replace(result.finalists[0], runs=runs)], "val_auc").data
    assert not seeds.y
    assert list(means.y) == [None]


def test_importances_are_bars_with_whiskers_that_hold_the_share() -> None:
    bars = plots.importance_figure(ended_search(30), SPACE).data[0]
    assert list(bars.y) == ["triplet.margin", "triplet.weight"]
    assert sum(bars.x) == pytest.approx(1)
    assert min(bars.error_x.array) >= 0
    assert min(bars.error_x.arrayminus) >= 0


def test_coordinates_draw_the_best_trial_last_and_in_the_best_colour() -> None:
    for metric in ("val_auc", "val_log_loss"):
        lines = space_charts.coordinates_figure(ended_search(12, metric=metric), SPACE).data
        assert lines[-1].line.color == "rgb(224, 102, 26)"
        assert lines[0].line.color == "rgb(35, 137, 201)"
        assert lines[-1].y[-1] == (1 if metric == "val_auc" else 0)


def test_coordinates_have_an_axis_for_each_parameter_and_one_for_the_metric() -> None:
    figure = space_charts.coordinates_figure(ended_search(12), SPACE)
    assert figure.layout.xaxis.ticktext == ("triplet.weight", "triplet.margin", "validation AUC")
    assert {len(line.y) for line in figure.data} == {3}


@pytest.mark.parametrize(
    ("dist", "value", "height"),
    [
        (FloatDistribution(0.01, 1, log=True), 0.1, 0.5),
        (FloatDistribution(0, 2), 0.5, 0.25),
        (IntDistribution(2, 4), 3, 0.5),
        (CategoricalDistribution(["a", "b", "c"]), "c", 1.0),
        (CategoricalDistribution([False, True]), True, 1.0),
        (FloatDistribution(0.3, 0.3), 0.3, 0.5),
        (CategoricalDistribution(["a"]), "a", 0.5),
    ],
)
def test_a_value_lies_on_its_axis_where_the_whole_range_puts_it(dist, value, height) -> None:
    axis = Axis.of("x", dist)
    assert axis.height(value) == pytest.approx(height)
    assert all(0 <= at <= 1 and text for at, text in axis.ticks())


def test_the_map_is_of_the_triplet_s_weight_and_margin_if_both_are_searched() -> None:
    lr = FloatDistribution(1e-5, 1e-2, log=True)
    assert space_charts.map_axes({"training.lr": lr} | SPACE) == (W, M)
    assert space_charts.map_axes({"training.lr": lr, W: SPACE[W]}) == ("training.lr", W)
    choice = CategoricalDistribution(["a", "b"])
    assert space_charts.map_axes({"objective.triplet.strategy": choice, W: SPACE[W]}) is None


def test_the_map_is_coloured_near_trials_and_blank_away_from_them() -> None:
    result = ended_search(12)
    corner = [
        replace(trial, parameters={W: 0.012, M: 0.15}, value=0.9) for trial in result.trials[:5]
    ]
    figure = space_charts.map_figure(replace(result, trials=corner), SPACE, W, M)
    heat = figure.data[0].z
    assert heat[0, 0] == pytest.approx(0.9)
    assert str(heat[-1, -1]) == "nan"


def test_the_map_shows_failed_trials_too_and_too_few_trials_as_points_alone() -> None:
    figure = space_charts.map_figure(ended_search(3, failed=1), SPACE, W, M)
    assert [trace.type for trace in figure.data] == ["scatter"] * 3
    assert [trace.name for trace in figure.data] == ["finished", "stopped", "failed"]


def test_names_from_outside_are_escaped_in_labels() -> None:
    result = ended_search(3)
    trial = replace(result.trials[0], parameters={"model.backbone": "<b onclick=x>"})
    assert "<b onclick" not in trial_charts.hover_text(trial, result)
