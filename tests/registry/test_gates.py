"""Gates: which figures let a candidate through, and what is said."""

import re
from dataclasses import replace

import pyarrow as pa
import pytest

from dfray.config import GatesSection
from dfray.evaluation.protocol import Protocol, load_protocol
from dfray.recipe import load_recipe
from dfray.registry.gate import GateResult
from dfray.registry.gates import GATES, check_gates
from dfray.registry.measurements import HeadlineMetrics, Measurement, headline_metrics
from tests.helpers.scored import corpus_scorer, measured

LIMITS = GatesSection(
    min_auc=0.85,
    min_balanced_accuracy=0.7,
    min_coverage=0.9,
    min_videos=20,
    max_calibration_error=0.2,
    max_post_processing_drop=0.1,
    auc_margin=0.03,
    balanced_accuracy_margin=0.1,
    max_coverage_drop=0.05,
    max_slowdown=1.5,
    resamples=300,
)
GOOD = HeadlineMetrics(
    auc=0.9,
    balanced_accuracy=0.8,
    coverage=0.95,
    n_videos=60,
    evaluation_set="s",
    calibration_error=0.05,
    worst_drop=0.05,
    worst_kind="jpeg",
    worst_group_error=0.2,
    worst_group="age old",
)
ONE = Protocol.model_validate(
    {
        "name": "one",
        "title": "One",
        "source": "here",
        "scenarios": [
            {
                "name": "all",
                "columns": [
                    {"name": "Toys", "dataset": "toy"},
                    {"name": "Mean", "dataset": "toy", "over": "methods"},
                ],
            }
        ],
    }
)


def check(
    candidate: Measurement, champion: Measurement | None = None, **more
) -> dict[str, GateResult]:
    gates = more.pop("gates", LIMITS)
    ratio = more.pop("slowdown", 1.0)
    results = check_gates(
        gates, candidate, champion, slowdown=None if ratio is None else lambda: ratio, **more
    )
    return {f"{gate.name}, {gate.scope}" if gate.scope else gate.name: gate for gate in results}


def failed(candidate: Measurement, champion: Measurement | None = None, **more) -> list[str]:
    found = check(candidate, champion, **more)
    return [name for name, result in found.items() if not result.passed]


def alone(**change) -> Measurement:
    return Measurement(replace(GOOD, **change), measured().scores)


@pytest.mark.parametrize(
    ("change", "gates"),
    [
        ({}, []),
        ({"coverage": 0.89}, ["min_coverage"]),
        ({"n_videos": 19}, ["min_videos"]),
        ({"calibration_error": 0.21}, ["max_calibration_error"]),
        ({"calibration_error": None}, ["max_calibration_error"]),
        ({"worst_drop": 0.11}, ["max_post_processing_drop"]),
        ({"worst_drop": None}, ["max_post_processing_drop"]),
        ({"n_videos": 5, "coverage": 0.5}, ["min_coverage", "min_videos"]),
    ],
)
def test_absolute_gates(change: dict, gates: list[str]) -> None:
    assert failed(alone(**change)) == gates


def limited(**limits: float | None) -> GatesSection:
    return LIMITS.model_copy(update=limits)


def test_the_worst_group_is_held_to_a_limit_that_is_asked_for() -> None:
    gates = limited(max_group_error_rate=0.3)
    result = check(alone(), gates=gates)["max_group_error_rate"]
    assert result.sentence == (
        "error rate of the worst group (age old) 0.2000 is within the 0.3000 allowed"
    )
    assert failed(alone(worst_group_error=0.31), gates=gates) == ["max_group_error_rate"]
    unknown = check(alone(worst_group_error=None), gates=gates)["max_group_error_rate"]
    assert unknown.outcome == "fails"
    assert "corpora.N.attributes" in unknown.sentence


@pytest.mark.parametrize("gate", ["min_auc", "min_balanced_accuracy"])
def test_a_mean_must_reach_its_limit(gate: str) -> None:
    value = check(alone())[gate].candidate
    assert failed(alone(), gates=limited(**{gate: value})) == []
    assert failed(alone(), gates=limited(**{gate: value + 1e-6})) == [gate]


def test_without_a_dataset_of_both_classes_the_means_are_missed() -> None:
    fakes = Measurement(GOOD, _only_fakes(measured().scores))
    assert failed(fakes) == ["min_auc", "min_balanced_accuracy"]
    assert "needs a dataset with scored videos of both classes" in check(fakes)["min_auc"].sentence


def test_a_scorer_that_knows_only_the_corpus_of_a_video_fails_by_name() -> None:
    """Pooled over the nine test sets it reached both limits of the papers' recipes."""
    recipe = load_recipe("fsfm")
    scores = corpus_scorer()
    metrics = headline_metrics(scores, threshold=0.5, evaluation_set="nine")
    assert metrics.auc > recipe.registry.gates.min_auc
    assert metrics.balanced_accuracy > recipe.registry.gates.min_balanced_accuracy
    protocol = load_protocol(recipe.evaluation.protocol)
    found = check(Measurement(metrics, scores), gates=recipe.registry.gates, protocol=protocol)
    assert [name for name, gate in found.items() if not gate.passed] == [
        "min_auc",
        "min_balanced_accuracy",
    ]
    assert found["min_auc"].sentence == (
        "AUC, mean over 9 columns 0.5000 is below the 0.7500 required"
    )
    floors = [gate for name, gate in found.items() if name.startswith("min_column_auc")]
    assert [gate.candidate for gate in floors] == pytest.approx([0.5] * 9)


def two_datasets(first: float, second: float, *, own: int = 0, videos: int = 40) -> Measurement:
    """Return what a model was measured to do on `toy`, and on so many videos of `other`."""
    parts = [measured(first, own=own), measured(second, own=own, dataset="other", videos=videos)]
    return Measurement(STRONG.metrics, pa.concat_tables([part.scores for part in parts]))


def test_a_column_below_its_floor_fails_whatever_the_mean() -> None:
    gates = limited(min_column_auc=0.5, min_auc=0.6, min_balanced_accuracy=0.5)
    found = check(two_datasets(3.0, -1.0), gates=gates)
    assert [name for name, gate in found.items() if not gate.passed] == ["min_column_auc, other"]
    assert found["min_auc"].outcome == "holds"
    assert "AUC of other" in found["min_column_auc, other"].sentence


def test_a_column_of_few_videos_has_no_floor_and_that_is_said() -> None:
    gates = limited(min_column_auc=0.5, min_auc=0.6)
    result = check(two_datasets(3.0, -1.0, videos=12), gates=gates)["min_column_auc, other"]
    assert result.outcome == "does not apply"
    assert result.sentence == ("AUC of other has no floor: a class has 6 of the 10 videos needed")


def test_a_dataset_of_one_class_is_named_with_the_mean() -> None:
    parts = [measured().scores, _only_fakes(measured(dataset="fakes").scores)]
    parts.append(measured(dataset="more").scores)
    found = check(Measurement(GOOD, pa.concat_tables(parts)))["min_auc"]
    assert found.sentence.startswith("AUC, mean over 2 columns (none of fakes: one class) 0.")


def test_without_a_champion_the_comparisons_do_not_apply_and_say_why() -> None:
    found = check(alone())
    for name in ("auc_margin", "balanced_accuracy_margin", "max_coverage_drop", "max_slowdown"):
        assert found[name].outcome == "does not apply"
        assert found[name].sentence == f"{name} does not apply: there is no champion"


def test_every_gate_has_its_key_in_the_recipe_and_every_key_its_gate() -> None:
    settings = {"protocols", "min_per_class", "resamples", "confidence"}
    assert {gate.name for gate in GATES} == GatesSection.model_fields.keys() - settings
    assert len({gate.name for gate in GATES}) == len(GATES)


def test_models_are_timed_only_if_a_gate_asks_for_it() -> None:
    def slowdown() -> float:
        raise AssertionError("timed")

    gates = LIMITS.model_copy(update={"max_slowdown": None})
    check_gates(gates, STRONG, STRONG, slowdown=slowdown)
    check_gates(LIMITS, STRONG, None, slowdown=slowdown)


def test_gates_that_are_not_asked_for_are_not_in_the_table() -> None:
    gates = GatesSection(max_slowdown=None)
    names = {"max_calibration_error", "max_post_processing_drop", "max_slowdown", "min_column_auc"}
    assert not names & check(alone(), gates=gates).keys()
    assert not names & check(measured(), measured(), gates=gates).keys()


STRONG = measured(3.0, worst_drop=0.0)


def test_the_same_model_passes_every_comparison() -> None:
    found = check(STRONG, STRONG)
    assert not failed(STRONG, STRONG)
    assert found["auc_margin, all videos"].low == found["auc_margin, all videos"].high == 0


def test_a_clearly_worse_model_fails_with_the_bound_that_counts() -> None:
    worse = measured(2.0, own=1, worst_drop=0.0, auc=0.9, balanced_accuracy=0.8)
    result = check(worse, STRONG)["auc_margin, all videos"]
    assert result.outcome == "fails"
    assert result.low < -0.03
    assert result.low < result.candidate - result.champion < result.high
    assert f"lower bound {result.low:+.4f} is not above -0.0300" in result.sentence
    assert "40 real and 40 fake videos of 40 people or sources" in result.sentence


def test_a_better_point_figure_that_could_be_chance_is_not_enough() -> None:
    """Few videos: the candidate's AUC is higher, and the interval still reaches below the margin."""
    champion = measured(1.0, own=1, videos=30, worst_drop=0.0)
    candidate = measured(1.4, own=4, videos=30, worst_drop=0.0)
    result = check(candidate, champion)["auc_margin, all videos"]
    assert result.candidate > result.champion
    assert result.outcome == "fails"


def test_each_dataset_is_compared_and_one_that_got_worse_fails() -> None:
    """In the mean, the gain on one dataset hides the loss on the other."""
    found = check(two_datasets(4.0, 0.5), two_datasets(2.0, 2.5))
    assert "auc_margin, mean over 2 columns" in found
    assert found["auc_margin, toy"].outcome == "holds"
    assert found["auc_margin, other"].outcome == "fails"


def test_a_dataset_of_few_videos_is_left_out_and_the_whole_set_must_be_compared() -> None:
    few = measured(3.0, videos=12, worst_drop=0.0, n_videos=60)
    result = check(few, few)["auc_margin, all videos"]
    assert result.outcome == "fails"
    assert "a class has 6 of the 10 videos needed; evaluate on more videos" in result.sentence
    gates = LIMITS.model_copy(update={"min_per_class": 6})
    assert check(few, few, gates=gates)["auc_margin, all videos"].outcome == "holds"


def test_the_columns_of_a_protocol_are_compared_and_named() -> None:
    found = check(STRONG, STRONG, compared=[ONE])
    # Toys covers all videos, and so does its only method: each thing is compared once.
    assert "auc_margin, all videos" in found
    assert not [name for name in found if "one /" in name]
    two = measured(3.0, method="reenact").scores
    mixed = Measurement(STRONG.metrics, pa.concat_tables([STRONG.scores, _only_fakes(two)]))
    assert "auc_margin, one / all / Mean" in check(mixed, mixed, compared=[ONE])


def _only_fakes(scores):
    return scores.filter([label == 1 for label in scores["label"].to_pylist()])


def test_columns_of_a_protocol_that_no_video_belongs_to_are_told() -> None:
    """Else a table of gates that all hold would hide what was never compared."""
    columns = [
        {"name": "Toys", "dataset": "toy"},
        {"name": "Gone", "dataset": "gone"},
        {"name": "Reenacted", "dataset": "toy", "over": "methods", "category": "RE"},
    ]
    scenarios = [{"name": "all", "columns": columns, "average": "Mean"}]
    partly = ONE.model_validate(ONE.model_dump() | {"scenarios": scenarios})
    found = check(STRONG, STRONG, compared=[partly])
    for metric in ("auc", "balanced_accuracy"):
        result = found[f"{metric}_margin, 2 of 3 columns of one"]
        assert result.outcome == "does not apply"
        assert result.sentence.endswith("no scored video of all / Gone, all / Reenacted")
    assert not [name for name in found if "Mean" in name], "a mean of what is there is another"


def test_a_protocol_of_which_nothing_is_there_fails_and_says_what_to_do() -> None:
    elsewhere = ONE.model_validate(
        ONE.model_dump()
        | {"scenarios": [{"name": "all", "columns": [{"name": "Gone", "dataset": "gone"}]}]}
    )
    result = check(STRONG, STRONG, compared=[elsewhere])["auc_margin, one"]
    assert result.outcome == "fails"
    assert "no scored video of its datasets; add a corpus" in result.sentence


def test_coverage_lost_against_the_champion() -> None:
    less = measured(3.0, unscored=6, worst_drop=0.0)  # of 80
    assert failed(less, STRONG) == ["max_coverage_drop"]
    exactly = Measurement(replace(STRONG.metrics, coverage=0.95), STRONG.scores)
    assert failed(exactly, STRONG) == []  # 1 - 0.95 lies a hair above 0.05 in floats


def test_speed_against_the_champion() -> None:
    assert failed(STRONG, STRONG, slowdown=1.51) == ["max_slowdown"]
    assert failed(STRONG, STRONG, slowdown=1.5) == []
    unknown = check(STRONG, STRONG, slowdown=None)["max_slowdown"]
    assert unknown.outcome == "fails"
    assert "could not be measured" in unknown.sentence


def test_every_absolute_gate_says_what_it_compared() -> None:
    sentences = {
        name: one.sentence for name, one in check(alone(), gates=limited(min_auc=0.99)).items()
    }
    assert re.fullmatch(r"AUC 0\.9\d{3} is below the 0\.9900 required", sentences["min_auc"])
    assert sentences["min_videos"] == "scored videos 60 reaches the 20 required"
    assert sentences["max_post_processing_drop"] == (
        "worst drop of AUC under post-processing (jpeg) 0.0500 is within the 0.1000 allowed"
    )


def test_figures_of_different_sets_do_not_compare() -> None:
    with pytest.raises(ValueError, match="do not compare"):
        check(measured(), measured(evaluation_set="another"))
