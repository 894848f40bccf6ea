"""The page of a search: self-contained, for one trial as for two hundred, nothing hidden."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import plotly.io
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from dfray.config import CorpusSection, Recipe, RegistrySection
from dfray.search.page import page_of, publish, to_csv, to_html
from dfray.search.result import ValidationVideos
from dfray.tracking.client import resolve_tracking_uri
from dfray.tracking.run import start_run
from tests.helpers.searches import SPACE, M, W, ended_search


@cache
def page(trials: int, failed: int = 0) -> str:
    """The page of a search that has ended."""
    return to_html(ended_search(trials, failed=failed), SPACE)


@pytest.mark.parametrize(("trials", "failed"), [(1, 0), (3, 1), (12, 1), (200, 5)])
def test_a_search_of_any_size_has_a_page_with_every_trial(trials: int, failed: int) -> None:
    result = ended_search(trials, failed=failed)
    html = page(trials, failed)
    for trial in result.trials:
        assert f'<td title="{trial.id}">{trial.number}</td>' in html
    assert html.count("The loss is not finite at step 3: &lt;nan&gt;.") == failed


def test_only_the_best_stand_open_and_the_others_are_folded() -> None:
    html = page(200)
    assert "<summary>The other 175</summary>" in html
    assert "<summary>" not in page(12)


def test_the_page_needs_no_network() -> None:
    html = page(12)
    assert "default-src 'none'" in html
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html)


def test_every_chart_is_valid_json_with_something_drawn() -> None:
    html = page(12, 1)
    charts = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert len(charts) == 6
    assert all(json.loads(chart)["data"] for chart in charts)
    assert "The validation AUC over triplet.weight and triplet.margin" in html


def test_the_page_says_why_there_is_no_importance() -> None:
    html = page(1)
    assert "is not computed: it takes 6 trials with a value, and there are 1." in html


def test_the_winner_is_the_mean_over_its_seeds_with_the_spread() -> None:
    best = ended_search(12).finalists[0]
    html = page(12)
    assert f'<div class="value">{best.mean:.4f}</div>' in html
    assert f"± {best.spread:.4f} (standard deviation of 3 seeds)" in html
    assert "registered as version 3" in html


def test_the_page_names_the_validation_videos_and_how_well_they_tell_an_auc() -> None:
    result = replace(ended_search(12), validation=ValidationVideos(20, 24, 1))
    html = to_html(result, SPACE)
    assert "over 44 validation videos (20 real, 24 fake)." in html
    low, high = map(float, re.findall(r"tell this AUC to (\S+) – (\S+) \(95", html)[0])
    assert low < result.finalists[0].mean < high <= 1
    assert high - low > 0.05
    several = to_html(replace(result, validation=ValidationVideos(20, 24, 2)), SPACE)
    assert "over 44 validation videos of 2 datasets (20 real, 24 fake)." in several
    assert "tell this AUC" not in several + page(12)


def test_choices_constants_and_whole_numbers_have_a_page_too() -> None:
    space: dict[str, BaseDistribution] = {
        "objective.triplet.strategy": CategoricalDistribution(["batch_all", "hard"]),
        "model.size_px": CategoricalDistribution([112]),
        "batches.batch_size": IntDistribution(16, 64),
    }
    result = ended_search(12)
    trials = [
        replace(
            trial,
            parameters={
                "objective.triplet.strategy": ["batch_all", "hard"][trial.number % 2],
                "model.size_px": 112,
                "batches.batch_size": 16 + 4 * trial.number,
            },
        )
        for trial in result.trials
    ]
    changed = replace(result, trials=trials, winner=trials[0], finalists=[])
    html = to_html(changed, space)
    assert "<td>batch_all</td><td>112</td><td>16</td>" in html
    assert "Parallel coordinates" in html
    assert "The validation AUC over" not in html  # one number alone


def test_without_finalists_the_page_says_that_one_seed_is_all_there_is() -> None:
    result = ended_search(12, finalists=0)
    html = to_html(result, SPACE)
    assert "not trained again with other seeds" in html
    assert 'id="finalists"' not in html


def test_epochs_taken_stand_against_running_all_to_the_end() -> None:
    html = page(12)
    assert '<div class="value">62 %</div>' in html
    assert "60 of 96" in html


def test_a_run_links_to_mlflow_where_the_server_has_a_web_page() -> None:
    result = ended_search(3)
    run = result.trials[0].run_id
    assert f"http://127.0.0.1:5000/#/experiments/9/runs/{run}" in to_html(result, SPACE, "9")
    in_file = replace(result, tracking_uri="sqlite:///runs/mlflow.db")
    assert f'<code title="{run}">' in to_html(in_file, SPACE, "9")
    assert "/#/experiments" not in to_html(in_file, SPACE, "9")


def test_strings_from_outside_are_escaped() -> None:
    result = ended_search(3, failed=1)
    evil = replace(result.trials[2], error="</script><script>alert(1)</script>")
    html = to_html(replace(result, trials=[*result.trials[:2], evil]), SPACE)
    assert "<script>alert" not in html


def test_the_table_has_a_line_for_each_training_with_bare_numbers() -> None:
    result = ended_search(12, failed=1)
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert [row["kind"] for row in rows] == ["search"] * 12 + ["finalist"] * 9
    assert float(rows[0][W]) == result.trials[0].parameters[W]
    assert float(rows[0][M]) == result.trials[0].parameters[M]
    assert float(rows[0]["val_auc"]) == result.trials[0].value
    assert rows[11]["val_auc"] == ""
    assert rows[11]["error"] == "The loss is not finite at step 3: <nan>."


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_page_table_and_plots_lie_in_the_search_s_folder_and_with_its_mlflow_run(
    tmp_path: Path,
) -> None:
    tracking_uri = resolve_tracking_uri(RegistrySection(), str(tmp_path))
    corpus = CorpusSection(reader="folder", root="clips")
    run = start_run(Recipe(name="s", corpora=[corpus]), tracking_uri, manifest_fingerprint="m" * 16)
    result = replace(ended_search(12), folder=str(tmp_path / "search"), tracking_uri=tracking_uri)
    written = publish(run, result, SPACE)
    assert written == str(tmp_path / "search/search.html") == page_of(result)
    assert (tmp_path / "search/trials.csv").read_text() == to_csv(result)
    artifacts = {file.path for file in run.client.list_artifacts(run.run_id)}
    assert artifacts >= {"search.html", "trials.csv", "plots"}
    plots = {file.path for file in run.client.list_artifacts(run.run_id, "plots")}
    names = ("coordinates", "curves", "epochs", "finalists", "importance", "map")
    assert plots == {f"plots/{name}.json" for name in names}
    downloaded = Path(run.client.download_artifacts(run.run_id, "plots/map.json", str(tmp_path)))
    assert plotly.io.from_json(downloaded.read_text()).data[0].type == "heatmap"


def test_a_result_read_back_from_json_gives_the_same_page(tmp_path: Path) -> None:
    result = ended_search(12)
    result.save(str(tmp_path / "result.json"))
    again = type(result).load(str(tmp_path / "result.json"))
    assert to_html(again, SPACE) == page(12)
