"""The evaluation of a run: a decision fitted on validation and kept, and tables beside registered models."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from dfray import stages, storage
from dfray.config import CorpusSection, Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.errors import UserError
from dfray.evaluation.metrics import Metrics
from dfray.models.bundle_description import read_decision_rule, write_decision_rule
from dfray.registry.measurement_store import load_measurement
from dfray.registry.versions import Versions
from dfray.run_context import RunContext
from dfray.run_status import is_evaluated
from dfray.serving.package import downloaded_bundle
from dfray.stages.promotion import measure_version
from dfray.tracking.client import connect
from tests.helpers.evaluated import fit, save_model, untrained_run, with_evaluation
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

PROTOCOL = {
    "name": "toys",
    "title": "Toys",
    "source": "here",
    "scenarios": [
        {
            "name": "all",
            "average": "Avg",
            "collections": True,
            "columns": [{"name": "Toy", "dataset": "toy"}, {"name": "Gone", "dataset": "gone"}],
        }
    ],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, scored_in_process) -> Recipe:
    """A run with faces of every split and a model that was never trained."""
    return untrained_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def metrics(recipe) -> Metrics:
    return stages.evaluate(RunContext.of(recipe))


def test_the_decision_is_fitted_on_validation_and_kept_with_the_model(recipe, metrics):
    folder = RunContext.of(recipe).folder
    decision = read_decision_rule(folder.model)
    assert decision.fitted_on.startswith("val-")
    assert decision.temperature != 1.0
    assert metrics.threshold == decision.threshold
    evaluation_set = RunContext.of(recipe).evaluation_set
    scores = evaluation_set.score(folder.model, "val")
    videos = evaluation_set.video_scores(scores, "val", decision.video_rule).to_pylist()
    real = [row["fake_probability"] for row in videos if row["label"] == 0]
    assert np.mean(np.array(real) >= decision.threshold) <= 0.2
    assert sum(score < decision.threshold for score in real) < len(real)


def test_figures_that_were_removed_are_due_again(recipe, metrics):
    run = RunContext.of(recipe)
    file = Path(run.folder.metrics)
    assert is_evaluated(run)
    removed = file.rename(file.with_suffix(".removed"))
    assert not is_evaluated(run)
    removed.rename(file)


def test_a_decision_that_stands_is_not_fitted_again(recipe, metrics):
    before = storage.read_bytes(f"{RunContext.of(recipe).folder.model}/bundle.json")
    assert fit(recipe, RunContext.of(recipe).folder.model) == read_decision_rule(
        RunContext.of(recipe).folder.model
    )
    assert storage.read_bytes(f"{RunContext.of(recipe).folder.model}/bundle.json") == before


def test_another_evaluation_is_of_the_same_run_and_another_training_is_another_run(recipe, metrics):
    changed = RunContext.of(with_evaluation(recipe, threshold=0.7))
    assert changed.folder.root == RunContext.of(recipe).folder.root
    other_recipe = recipe.model_copy(update={"seed": 7})
    for stage in (stages.evaluate, stages.register, stages.compare_models):
        with pytest.raises(
            UserError, match=r"no model/bundle.json yet \(seed 0 -> 7\).*dfray train"
        ):
            stage(RunContext.of(other_recipe))


def test_a_model_is_not_registered_for_decision_criteria_it_was_not_evaluated_for(recipe, metrics):
    changed = with_evaluation(recipe, threshold=0.7)
    with pytest.raises(
        UserError, match=r"not yet evaluated for .*'threshold': 0.7.*dfray evaluate"
    ):
        stages.register(RunContext.of(changed))
    model = RunContext.of(recipe).folder.model
    before = read_decision_rule(model)
    fit(changed, model)  # as a comparison does: the figures are still those of before
    with pytest.raises(UserError, match="not yet evaluated"):
        stages.register(RunContext.of(changed))
    write_decision_rule(model, before)


def test_the_report_has_the_losses_and_the_maps(recipe, metrics):
    html = storage.read_bytes(RunContext.of(recipe).folder.report).decode()
    assert f"{recipe.model.backbone}, {recipe.model.size_px} px" in html
    assert "AUC under post-processing" in html
    assert re.search(r"views of a face\W.*?whole", html, re.DOTALL)
    assert 'alt="saliency map of face 1 of toy/' in html
    assert "robustness.json" in {
        uri.rsplit("/", 1)[-1]
        for uri in storage.list_files(RunContext.of(recipe).folder.evaluation)
    }


def test_an_audit_that_fails_costs_no_evaluation(recipe, metrics, monkeypatch, capsys):
    def fail(*_, **__):
        raise ValueError("n_splits=5 <is> too many")

    monkeypatch.setattr("dfray.audit.run.probe_metadata", fail)
    run = RunContext.of(with_evaluation(recipe, threshold=0.61))
    before = run.folder.state()
    written = {uri: storage.read_bytes(uri) for uri in storage.walk_files(run.folder.root)}
    stages.evaluate(run)
    assert is_evaluated(run)
    assert "The audit failed: ValueError: n_splits=5" in capsys.readouterr().err
    html = storage.read_bytes(run.folder.report).decode()
    assert "ValueError: n_splits=5 &lt;is&gt; too many" in html
    for uri, content in written.items():
        storage.write_bytes(content, uri)
    assert run.folder.state() == before


@pytest.fixture(scope="module")
def registered(recipe, tmp_path_factory) -> str:
    """models:/… of another model, with a threshold of its own."""
    from dfray.registry.measurements import HeadlineMetrics
    from dfray.serving.package import register
    from dfray.tracking.run import start_run

    tested_on = CorpusSection(reader="dfdc", root="elsewhere", only=["test"])
    other_recipe = with_evaluation(recipe, threshold=0.35)
    other_recipe = other_recipe.model_copy(
        update={
            "name": "other",
            "model": other_recipe.model.model_copy(update={"size_px": 64}),
            "corpora": [*other_recipe.corpora, tested_on],
        }
    )
    bundle = tmp_path_factory.mktemp("other")
    save_model(other_recipe, bundle, seed=1)
    uri = RunContext.of(recipe).tracking_uri
    with start_run(recipe, uri, manifest_fingerprint="m") as run:
        version = register(
            bundle,
            section=recipe.registry,
            tracking_uri=uri,
            run_id=run.run_id,
            registration="other",
            metrics=HeadlineMetrics(None, None, 1.0, 1, "none"),
        )
    return f"models:/{recipe.registry.model_name}/{version}"


def test_registered_models_stand_beside_the_runs_own(recipe, metrics, registered, tmp_path):
    (tmp_path / "toys.yaml").write_text(yaml.safe_dump(PROTOCOL))
    page = stages.compare_models(RunContext.of(recipe), str(tmp_path / "toys.yaml"), [registered])
    rows = csv.DictReader(io.StringIO(storage.read_bytes(page.replace(".html", ".csv")).decode()))
    cells = {(row["row"], row["metric"], row["column"]): row["percent"] for row in rows}
    names = {row for row, _, _ in cells}
    assert names == {"toy", "other (deepfake-detector version 1)"}
    percent = cells["toy", "auc", "Toy"]
    assert float(percent) == pytest.approx(100 * metrics.overall.video.auc.value, abs=0.051)
    assert cells["toy", "auc", "Avg"] == percent
    assert cells["toy", "auc", "Gone"] == ""
    text = storage.read_bytes(page.replace(".html", ".md")).decode()
    other_recipe = "other (deepfake-detector version 1)"
    assert f"{other_recipe}: its own threshold is 0.35, videos scored by mean" in text
    assert "toy: its own threshold is" in text
    assert "videos scored by max_of_persons" in text
    assert f"{other_recipe}: takes 64 px, and these faces are stored at 32 px" in text
    assert "† all / Avg: 1 of 2 columns" in text
    assert f"{other_recipe}: trained on training videos of toy\n" in text
    assert f"† all / Toy: {other_recipe} was trained on toy: no test of how it generalises" in text
    assert "toy: 8 real, 8 fake videos" in storage.read_bytes(page).decode()


def test_scores_of_a_file_stand_beside_them_paired_on_the_same_videos(
    recipe, metrics, registered, tmp_path
):
    run = RunContext.of(recipe)
    videos = [row for row in run.manifest.to_pylist() if row["split"] == "test"]
    name, version = registered.removeprefix("models:/").split("/")
    tags = {"trained_on": "everything", "datasets": "toy"}
    versions = Versions(name, run.tracking_uri)
    versions.tag(version, {f"dfray.published.{key}": value for key, value in tags.items()})
    lines = [f"{row['uri']},{0.1 + 0.8 * row['label']},{name},{version}" for row in videos]
    (tmp_path / "third.csv").write_text("\n".join(["uri,score,model,version", *lines]) + "\n")
    (tmp_path / "toys.yaml").write_text(yaml.safe_dump(PROTOCOL))
    unknown = [line.rpartition(",")[0] + ",99" for line in lines]
    (tmp_path / "fourth.csv").write_text("\n".join(["uri,score,model,version", *unknown]) + "\n")
    given = [(str(tmp_path / f"{file}.csv"), file.title()) for file in ("third", "fourth")]
    page = stages.compare_models(run, str(tmp_path / "toys.yaml"), [registered], given)
    text = storage.read_bytes(page.replace(".html", ".md")).decode()
    _, _, paired = text.partition("AUC less that of toy on the same videos")
    rows = [line.split("|")[1:3] for line in paired.splitlines() if line.startswith("| **")]
    assert [name.strip() for name, _ in rows] == [
        "**other (deepfake-detector version 1)**",
        "**Third**",
        "**Fourth**",
    ]
    assert "Fourth: trained on what is not stated" in text
    gap = 100 * (1 - metrics.overall.video.auc.value)
    assert float(rows[1][1].split()[0]) == pytest.approx(gap, abs=0.051)
    assert "Third: trained on everything" in text
    assert "† all / Toy: Third was trained on toy: no test of how it generalises" in text
    assert "toy: trained on training videos of toy" in text
    assert "† all / Toy: toy was trained on toy: no test of how it generalises" in text
    assert "AUC less that of toy on the same videos" in storage.read_bytes(page).decode()


def test_copies_and_videos_never_extracted_do_not_part_a_model_and_a_file_of_scores(
    scored_in_process, tmp_path
):
    recipe = toy_recipe(tmp_path, "toy", "model.backbone=test_resnet", "evaluation.threshold=0.5")
    rng = np.random.default_rng(0)
    rows = [
        (
            make(f"{make.__name__}{number}", split="test"),
            [*rng.integers(0, 256, (2, 32, 32, 3), np.uint8)],
        )
        for make in (video_row, fake_row)
        for number in range(6)
    ]
    rows.append((video_row("copy", split="test"), rows[0][1]))
    for place in (0, -1):
        rows[place][0]["faces_digest"] = "the same"
    write_faces(recipe, rows)
    run = RunContext.of(recipe)
    videos = [*(video for video, _ in rows), video_row("late", split="test")]
    write_manifest(Manifest(videos_table(videos)), run.runs.manifest)
    run.claim()
    save_model(recipe, Path(run.folder.model), seed=0)
    lines = [f"{row['uri']},{row['label']}" for row in videos]
    (tmp_path / "third.csv").write_text("\n".join(["uri,score", *lines]) + "\n")
    (tmp_path / "toys.yaml").write_text(yaml.safe_dump(PROTOCOL))
    page = stages.compare_models(
        run, str(tmp_path / "toys.yaml"), [], [(str(tmp_path / "third.csv"), None)]
    )
    table = csv.DictReader(io.StringIO(storage.read_bytes(page.replace(".html", ".csv")).decode()))
    counts = {(row["row"], row["n_real"], row["n_fake"]) for row in table if row["column"] == "Toy"}
    assert counts == {("toy", "6", "6"), ("third", "6", "6")}


def test_two_rows_of_one_name_are_refused(recipe, metrics, tmp_path):
    (tmp_path / "third.csv").write_text("uri,score\n/a,0.5\n")
    with pytest.raises(UserError, match=r"2 rows of the table would be named toy\. .*--as NAME"):
        stages.compare_models(
            RunContext.of(recipe), "paper", [], [(str(tmp_path / "third.csv"), "toy")]
        )


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ({"margin_ratio": 1.8}, r"faces.margin_ratio 1.3 \(here 1.8\)"),
        ({"align": "five_points"}, r"faces.align 'none' \(here 'five_points'\)"),
    ],
)
def test_a_model_trained_on_faces_cut_otherwise_is_refused(recipe, metrics, registered, cut, words):
    faces = recipe.faces.model_copy(update=cut)
    wide = recipe.model_copy(update={"name": "-".join(["wide", *cut]), "faces": faces})
    write_faces(wide, [])
    with pytest.raises(UserError, match=words):
        stages.compare_models(RunContext.of(wide), "paper", [registered])


def test_a_registered_model_is_scored_by_its_own_rule_and_threshold(recipe, metrics, registered):
    """The run's own model is scored by the highest person at a fitted threshold."""
    version = registered.rpartition("/")[2]
    with downloaded_bundle(
        recipe.registry.model_name, version, RunContext.of(recipe).tracking_uri
    ) as bundle:
        cells = measure_version(RunContext.of(recipe), version, Path(bundle))
    assert cells.metrics.threshold == 0.35
    assert cells.metrics.evaluation_set == RunContext.of(recipe).evaluation_set.name("mean")
    assert RunContext.of(recipe).evaluation_set.name(metrics.video_rule).endswith("-max_of_persons")
    assert cells.scores.num_rows == 16
    assert cells.metrics.worst_drop is None  # the gates do not ask for it


def test_the_drop_under_post_processing_is_measured_if_the_gates_ask_for_it(
    recipe, metrics, registered
):
    gates = recipe.registry.gates.model_copy(update={"max_post_processing_drop": 0.5})
    registry = recipe.registry.model_copy(update={"gates": gates})
    asking = recipe.model_copy(update={"registry": registry})
    version = registered.rpartition("/")[2]
    with downloaded_bundle(
        recipe.registry.model_name, version, RunContext.of(recipe).tracking_uri
    ) as bundle:
        figures = measure_version(RunContext.of(asking), version, Path(bundle)).metrics
    assert figures.worst_kind == "noise"
    assert -1 < figures.worst_drop < 1


def test_the_mlflow_run_of_a_registration_that_is_cut_off_ends(recipe, metrics, monkeypatch):
    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dfray.serving.registration.register_model", cut_off)
    run = RunContext.of(recipe)
    with pytest.raises(KeyboardInterrupt):
        stages.register(run)
    tracked = connect(run.tracking_uri).get_run(str(run.folder.state().run_id))
    assert tracked.info.status == "KILLED"


def test_a_model_evaluated_anew_is_registered_anew_with_its_own_figures(recipe, metrics):
    """Last: it changes the run."""
    first = stages.register(RunContext.of(recipe))
    assert stages.register(RunContext.of(recipe)) == first
    changed = with_evaluation(recipe, threshold=0.7)
    assert stages.evaluate(RunContext.of(changed)).threshold == 0.7
    second = stages.register(RunContext.of(changed))
    assert second != first
    versions = Versions(recipe.registry.model_name, RunContext.of(recipe).tracking_uri)
    before, after = load_measurement(versions, first), load_measurement(versions, second)
    assert before.metrics.evaluation_set.endswith("-max_of_persons")
    assert after.metrics.evaluation_set.endswith("-mean")
    assert before.metrics.auc == pytest.approx(metrics.overall.video.auc.value)
    assert before.metrics.worst_drop is not None  # as `evaluate` found it
    assert after.metrics.threshold == 0.7
    assert after.scores.num_rows == before.scores.num_rows == 16
    with downloaded_bundle(versions.name, second, RunContext.of(recipe).tracking_uri) as bundle:
        assert read_decision_rule(bundle).threshold == 0.7
