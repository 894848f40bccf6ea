"""A protocol's table: what its figures are over, what is missing from them, and what was published."""

import numpy as np
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from dfray.errors import UserError
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.protocol import (
    Protocol,
    apply_protocol,
    load_protocol,
    method_metrics,
    named_protocols,
)

PAPER = load_protocol("paper")
ROUNDING = 0.05
SCENARIOS = {"FS": 8, "RE": 7, "TF": 7}
"""Methods of Celeb-DF++'s scenarios (arXiv 2507.18015)."""


def video(dataset: str, category: str, method: str, number: int, score: float | None) -> dict:
    return {
        "video_id": f"{dataset}/{method}/{number}",
        "dataset": dataset,
        "split": "test",
        "label": int(category != "real"),
        "category": category,
        "method": method,
        "status": "no_face" if score is None else "ok",
        "reason": None,
        "n_faces": int(score is not None),
        "fake_probability": score,
    }


def corpus(dataset: str, methods: dict[str, str], n_real: int = 6, seed: int = 0) -> list[dict]:
    """`n_real` real videos and some fakes of each method, never as many of two."""
    rng = np.random.default_rng([seed, len(methods)])
    rows = [video(dataset, "real", "source", n, rng.beta(2, 3)) for n in range(n_real)]
    for size, (method, category) in enumerate(methods.items(), 2):
        rows += [video(dataset, category, method, n, rng.beta(3, 2)) for n in range(size)]
    return rows


def df40(n_swap: int = 9, n_reenact: int = 12, n_real: int = 178) -> list[dict]:
    swaps = {f"swap{n}": "FS" for n in range(n_swap)}
    return corpus("df40", swaps | {f"re{n}": "RE" for n in range(n_reenact)}, n_real)


def figures(rows: list[dict], protocol: Protocol = PAPER, threshold: float = 0.5) -> dict:
    found = apply_protocol(protocol, VIDEO_SCORES.from_rows(rows), threshold)
    return dict(zip(protocol.headings, found, strict=True))


def by_hand(rows: list[dict], threshold: float = 0.5) -> tuple[float, float]:
    label, score = (np.array([row[c] for row in rows]) for c in ("label", "fake_probability"))
    return roc_auc_score(label, score), balanced_accuracy_score(label, score >= threshold)


def test_the_published_averages_recompute_from_their_parts_but_one():
    """Printed figures are rounded to 0.1, so a mean of them may be off by 0.05 more."""
    off = set()
    for row in PAPER.published.rows:
        for metric in ("auc", "balanced_accuracy"):
            v = getattr(row, metric)
            means = {5: np.mean(v[:5]), 8: (9 * v[6] + 12 * v[7]) / 21, 12: np.mean(v[9:12])}
            for place, mean in means.items():
                if abs(mean - v[place]) > 2 * ROUNDING + 1e-9:
                    off.add((row.name, metric, place, v[place], round(mean, 1)))
    assert off == {("FSFM + Att_dataset", "auc", 5, 96.0, 96.2)}
    assert any("96.2" in note and "96.0" in note for note in PAPER.published.notes)


def test_no_other_number_of_methods_explains_the_published_total():
    """With FS the mean of 9 and RE of 12 the total fits; weighing them alike is off by far more."""
    rows = [v for row in PAPER.published.rows for v in (row.auc, row.balanced_accuracy)]
    worst = max(abs((9 * v[6] + 12 * v[7]) / 21 - v[8]) for v in rows)
    alike = max(abs((v[6] + v[7]) / 2 - v[8]) for v in rows)
    assert worst < 2 * ROUNDING < 1 < alike


def test_the_paper_has_ten_rows_of_thirteen_figures():
    assert len(PAPER.published.rows) == 10
    assert len(PAPER.headings) == 13
    assert PAPER.headings[5] == ("In-distribution", "Avg")


def test_a_dataset_is_measured_over_all_its_videos():
    rows = corpus("ff++", {"Deepfakes": "FS", "Face2Face": "RE"})
    found = figures(rows, threshold=0.4)["In-distribution", "FF++"]
    assert (found.auc, found.own_balanced_accuracy) == pytest.approx(by_hand(rows, 0.4))
    assert (found.n_real, found.n_fake, found.note) == (6, 5, None)


def test_balanced_accuracy_is_at_the_papers_threshold_and_at_the_models_own_beside_it():
    rows = corpus("itw", {"a": "fake", "b": "fake"}, 40)
    found = figures(rows, threshold=0.2)["In-the-wild", "ITW"]
    assert found.balanced_accuracy == pytest.approx(by_hand(rows, 0.5)[1])
    assert found.own_balanced_accuracy == pytest.approx(by_hand(rows, 0.2)[1])
    assert found.balanced_accuracy != found.own_balanced_accuracy


def test_a_method_of_df40_is_set_against_every_real_video_and_the_means_are_over_methods():
    rows = df40()
    real = [row for row in rows if row["label"] == 0]
    methods = sorted({row["method"] for row in rows if row["label"] == 1})
    each = {m: by_hand(real + [row for row in rows if row["method"] == m]) for m in methods}
    found = figures(rows)
    for name, prefix, count in (("FS avg", "swap", 9), ("RE avg", "re", 12), ("Avg", "", 21)):
        parts = [value for method, value in each.items() if method.startswith(prefix)]
        assert len(parts) == count
        column = found["Out-of-distribution", name]
        assert (column.auc, column.balanced_accuracy) == pytest.approx(np.mean(parts, axis=0))
        assert (column.n_real, column.note) == (178, None)
    pooled = by_hand(rows)
    assert found["Out-of-distribution", "Avg"].auc != pytest.approx(pooled[0], abs=1e-6)


def test_a_scenario_averages_over_datasets_not_over_videos():
    methods = {"a": "FS"}
    names = ("wilddeepfake", "itw", "deepfake-eval-2024")
    sets = [corpus(name, methods, 4 * (n + 1), seed=n) for n, name in enumerate(names)]
    average = figures([row for rows in sets for row in rows])["In-the-wild", "Avg"]
    expected = np.mean([by_hand(rows) for rows in sets], axis=0)
    assert (average.auc, average.balanced_accuracy) == pytest.approx(expected)
    assert average.note is None


def test_an_absent_dataset_is_absent_and_its_scenarios_average_is_marked():
    found = figures(corpus("itw", {"a": "fake"}))
    assert found["In-the-wild", "WDF"].auc is None
    assert found["In-the-wild", "WDF"].note == "no video of wilddeepfake"
    assert found["In-the-wild", "Avg"].auc == found["In-the-wild", "ITW"].auc
    assert found["In-the-wild", "Avg"].note == "1 of 3 columns"
    assert found["In-distribution", "Avg"].auc is None
    assert found["In-distribution", "Avg"].note == "none of 5 columns"


@pytest.mark.parametrize(
    ("made", "note"),
    [((8, 12, 178), "20 of 21 methods"), ((9, 12, 100), "100 of 178 real videos")],
)
def test_a_mean_over_fewer_methods_or_real_videos_than_the_protocol_names_is_marked(made, note):
    assert figures(df40(*made))["Out-of-distribution", "Avg"].note == note


def test_one_class_alone_gives_no_figure_and_says_why():
    found = figures(corpus("itw", {}))["In-the-wild", "ITW"]
    assert (found.auc, found.note) == (None, "itw has no scored fake video")


def test_videos_without_a_score_are_counted_and_enter_no_figure():
    rows = corpus("itw", {"a": "fake"})
    lost = [video("itw", "real", "source", 100 + n, None) for n in range(3)]
    found = figures(rows + lost)["In-the-wild", "ITW"]
    assert found.auc == pytest.approx(by_hand(rows)[0])
    assert (found.n_real, found.n_unscored) == (6, 3)


def test_a_real_video_without_a_score_is_counted_once_beside_all_methods():
    rows = [*df40(n_real=177), video("df40", "real", "source", 500, None)]
    found = figures(rows)["Out-of-distribution", "Avg"]
    assert (found.n_real, found.n_unscored, found.note) == (177, 1, None)


def test_ffpp_also_stands_by_method():
    methods = dict.fromkeys(("Deepfakes", "FaceSwap", "FaceShifter"), "FS")
    rows = corpus("ff++", methods | dict.fromkeys(("Face2Face", "NeuralTextures"), "RE"))
    found = method_metrics(PAPER, VIDEO_SCORES.from_rows(rows), 0.5)
    assert [(column, method) for column, method, _ in found] == [
        ("FF++", method)
        for method in ("Deepfakes", "Face2Face", "FaceShifter", "FaceSwap", "NeuralTextures")
    ]
    alone = [row for row in rows if row["method"] in ("source", "FaceSwap")]
    assert found[3][2].auc == pytest.approx(by_hand(alone)[0])


def test_a_protocol_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    columns = [{"name": "a", "dataset": "itw"}]
    scenarios = [{"name": "one", "columns": columns}]
    path.write_text(
        yaml.safe_dump({"name": "m", "title": "t", "source": "me", "scenarios": scenarios})
    )
    mine = load_protocol(str(path))
    assert mine.headings == [("one", "a")]
    assert figures(corpus("itw", {"a": "fake"}), mine)["one", "a"].auc is not None


def test_an_unknown_protocol_names_those_there_are():
    assert "paper" in named_protocols()
    with pytest.raises(UserError, match=r"No protocol is called 'papr'.*Did you mean paper\?"):
        load_protocol("papr")


def test_a_published_row_of_another_length_is_refused(tmp_path):
    values = PAPER.model_dump()
    values["published"]["rows"][0]["auc"].pop()
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="'SBI' has 12 figures for 13 columns"):
        load_protocol(str(tmp_path / "p.yaml"))


def test_celeb_df_pp_has_a_mean_for_swaps_reenactments_and_talking_faces():
    methods = {f"{kind}{n}": kind for kind, count in SCENARIOS.items() for n in range(count)}
    rows = corpus("celeb-df++", methods, n_real=178)
    found = figures(rows, load_protocol("celeb-df-pp"))
    assert all(metrics.note is None for metrics in found.values())
    of = {name: metrics.auc for (_, name), metrics in found.items()}
    assert of.keys() == {"FS avg", "RE avg", "TF avg", "Avg"}
    weighted = sum(of[f"{kind} avg"] * count for kind, count in SCENARIOS.items())
    assert of["Avg"] == pytest.approx(weighted / 22)
    assert len({round(auc, 6) for auc in of.values()}) == 4


def test_celeb_df_pp_names_the_methods_that_a_mean_lacks():
    rows = corpus("celeb-df++", {"FLOAT": "TF", "SadTalker": "TF"}, n_real=178)
    found = {name: m for (_, name), m in figures(rows, load_protocol("celeb-df-pp")).items()}
    assert "2 of 7" in found["TF avg"].note
    assert found["FS avg"].auc is None


@pytest.mark.parametrize("name", named_protocols())
def test_spans_and_firsts_are_those_of_the_headings(name: str) -> None:
    protocol = load_protocol(name)
    scenarios = [scenario for scenario, _ in protocol.headings]
    assert protocol.spans == [(s.name, scenarios.count(s.name)) for s in protocol.scenarios]
    assert protocol.firsts == {scenarios.index(scenario) for scenario in scenarios}
