"""Whatever an edit or damage makes of a file that dfray reads, dfray's own error tells of it, on one line.

Each file is changed in each place in each way of `tests.helpers.mutations`; what is still valid is read, used
and taken no notice of.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from dfray import recipe as recipes
from dfray.config import Recipe
from dfray.documents import Yaml
from dfray.errors import DfrayError, ModelFileError, RecipeError, RegistryError, UserError
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import (
    read_decision_rule,
    read_description,
    read_faces,
    read_faces_version,
    read_recipe,
)
from dfray.recipe import load_recipe
from dfray.registry.history import PromotionRecord, VersionId
from dfray.registry.measurements import HeadlineMetrics
from dfray.run_folder import RunFolder, RunState
from dfray.search.folder import SearchFolder
from dfray.search.result import SearchResult
from dfray.serving.model_card import CardContext, write_card
from dfray.serving.scorer import MediaScorer
from tests.helpers.mutations import CONTENTS, mutations
from tests.helpers.tiny import FIGURES, RECIPE, save_bundle

Read = Callable[[], object]


@contextmanager
def told(*kinds: type[DfrayError], what: object) -> Iterator[None]:
    """Let pass dfray's errors of these kinds, on one line; any other fails with what was changed."""
    try:
        yield
    except kinds as error:
        for line in str(error).splitlines():  # of a recipe one for each mistake
            assert len(line) < 1500, what
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "model"))


@pytest.mark.filterwarnings("ignore:This model learned from faces")
def test_an_edited_bundle_is_a_model_or_an_error_of_dfray(copied: Path) -> None:
    """What describes it is read by promotion, listing and card; the network is built where it may differ."""
    file = copied / "bundle.json"
    before = json.loads(file.read_text())
    read = ("name", "description", "model", "evaluation")
    before["recipe"] = {key: before["recipe"][key] for key in read}
    crops = np.zeros((1, 64, 64, 3), np.uint8)
    for path, change, changed in mutations(before):
        file.write_text(json.dumps(changed))
        with told(ModelFileError, RecipeError, what=(path, change)):
            description = read_description(str(copied))
            rule = read_decision_rule(copied)
            assert 0 <= rule.threshold <= math.nextafter(1, 2)
            assert rule.video_rule in ("mean", "max_of_persons")
            read_faces(copied), read_faces_version(copied), read_recipe(copied)
            write_card("m", description, {}, FIGURES, CardContext())
            if path[0] != "recipe" or path[:2] == ("recipe", "model"):
                scorer = MediaScorer(str(copied), str(copied))
                scores, _ = scorer.bundle.predict(crops)
                assert np.isfinite(scores).all()


def test_a_bundle_whose_files_hold_something_else_is_refused(copied: Path) -> None:
    for name in ("bundle.json", "model.safetensors"):
        whole = (copied / name).read_bytes()
        for content in (*CONTENTS, whole[: len(whole) // 2]):
            (copied / name).write_bytes(content)
            with pytest.raises(ModelFileError):
                Bundle.load(copied)
        (copied / name).write_bytes(whole)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -0.1, 1.1, None, "0.5", True])
def test_a_threshold_that_is_none_is_refused_in_a_bundle(copied: Path, threshold: object) -> None:
    file = copied / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"threshold": threshold}))
    with pytest.raises(ModelFileError, match=r"bundle.json.*(threshold|NaN|Infinity)"):
        read_decision_rule(copied)


def test_the_threshold_that_calls_nothing_fake_is_taken(copied: Path) -> None:
    file = copied / "bundle.json"
    above = math.nextafter(1, 2)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"threshold": above}))
    assert read_decision_rule(copied).threshold == above


FULL = """
name: full
seed: 1
demo: {train_identities: 4}
cluster: {num_cpus: 2, extract_on: {role: cpu}}
corpora:
  - {reader: demo, root: x, only: [train, val]}
  - {reader: csv, root: list.csv, split: test}
faces: {rate_fps: 2, landmarks: true, jpeg_quality: 90}
batches: {batch_size: 12, self_blend: {ratios: [0.5, 1]}}
augment: {crop_scale: [0.5, 1.0], randaugment: rand-m9-mstd0.5-inc1}
model: {backbone: resnet10t, size_px: 64, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}
objective:
  triplet: {strategy: batch_hard, weight: 0.1}
  hypersphere: {alignment: 0.1, uniformity: 0.5}
  metric: {name: SupConLoss, options: {temperature: 0.1}}
training: {epochs: 2, lr: 0.1, min_workers: 1, layer_decay: 0.75}
evaluation: {threshold: {fpr: 0.05}, calibrate: true, post_processing: [jpeg]}
registry: {model_name: m, gates: {min_auc: 0.9}}
search: {trials: 3, metric: auc, space: {training.lr: {uniform: [0.1, 1]}, seed: {choice: [1, 2]}}}
"""


def test_an_edited_recipe_is_a_recipe_or_an_error_of_dfray(monkeypatch: pytest.MonkeyPatch) -> None:
    values = yaml.safe_load(FULL)
    node = yaml.compose(FULL)
    Recipe.model_validate(yaml.safe_load(FULL))
    monkeypatch.setattr(recipes, "find_file", lambda *_: "mine.yaml")
    changes = list(mutations(values))
    taken = []
    for path, change, changed in changes:
        monkeypatch.setattr(recipes, "read_yaml", lambda *_, changed=changed: Yaml(changed, node))
        with told(RecipeError, what=(path, change)):
            recipe = load_recipe("mine.yaml")
            assert Recipe.model_validate(recipe.model_dump()).fingerprint() == recipe.fingerprint()
            taken.append(change)
    assert 0 < len(taken) < len(changes)


def test_a_file_of_something_else_is_no_recipe(tmp_path: Path) -> None:
    for content in CONTENTS:
        (tmp_path / "mine.yaml").write_bytes(content)
        with pytest.raises(RecipeError):
            load_recipe(str(tmp_path / "mine.yaml"))


RECORD = PromotionRecord(
    action="promote",
    promoted=True,
    model_name="m",
    version=VersionId("1", 5),
    champion_before=None,
    reasons=("better",),
    who="a",
    when="2026-11-30T00:00:00+00:00",
    candidate=FIGURES,
)


def test_edited_tags_of_the_registry_are_records_or_errors_of_dfray() -> None:
    for kind, before in (
        (PromotionRecord, RECORD.to_dict()),
        (HeadlineMetrics, FIGURES.to_dict()),
    ):
        for path, change, changed in mutations(json.loads(json.dumps(before))):
            with told(RegistryError, what=(kind, path, change)):
                read = kind.from_json(json.dumps(changed), "Tag x of m version 1")
                assert math.isfinite(getattr(read, "threshold", 0.5))
        for content in CONTENTS:
            with pytest.raises(RegistryError, match=r"^Tag x of m version 1"):
                kind.from_json(content.decode(errors="replace"), "Tag x of m version 1")


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -0.1, 1.1, None])
def test_a_threshold_that_is_none_is_refused_in_a_tag(threshold: object) -> None:
    tag = json.dumps(FIGURES.to_dict() | {"threshold": threshold})
    with pytest.raises(RegistryError, match=r"Tag x: threshold: .*measured again"):
        HeadlineMetrics.from_json(tag, "Tag x")


STATE = RunState(
    run_id="r",
    tracking_uri="sqlite:///x",
    history=[{"epoch": 0, "val_auc": 0.5}],
    measured={"threshold": 0.5},
    figures={"a": 1},
    version="1",
)


@pytest.fixture
def files_of_a_run(tmp_path: Path) -> dict[Path, Read]:
    """Each file that a run and its search keep as JSON or YAML, with a function that reads it."""
    folder = RunFolder(RECIPE, root=str(tmp_path / "tiny"))
    folder.claim({"a": 1})
    folder.update_state(STATE)
    search = SearchFolder(folder)
    search.begin()
    trial = search.trial("t0")
    trial.begin(0, {"training.lr": 0.1}, 0, "search")
    trial.write_curve([{"epoch": 0, "val_auc": 0.5}])
    trial.end("finished")
    read_trial = lambda: trial.read("val_auc", "max")  # noqa: E731
    done = read_trial()
    result = SearchResult(
        recipe_name="tiny", metric="val_auc", mode="max", epochs=1, trials=[done], finalists=[], winner=done,
        winning_trial="t0", parent_run_id="p", tracking_uri="", version=None, folder=search.root,
    )  # fmt: skip
    result.save(search.result)
    return {
        Path(folder.recipe_file): folder.stored_recipe,
        Path(folder.root, "state.json"): folder.state,
        Path(folder.root, "run.json"): folder.record,
        Path(search.root, "search.json"): lambda: (
            SearchFolder(folder).id + str(SearchFolder(folder).finalists())
        ),
        Path(search.root, "recipe.yaml"): lambda: search.require_free(resume=True),
        Path(search.result): lambda: SearchResult.load(search.result),
        Path(trial.uri, "trial.json"): read_trial,
        Path(trial.uri, "curve.json"): read_trial,
        Path(trial.uri, "end.json"): read_trial,
    }


def test_edited_files_of_a_run_are_read_or_told_with_their_place(
    files_of_a_run: dict[Path, Read],
) -> None:
    for file, read in files_of_a_run.items():
        read()
        whole = file.read_bytes()
        is_json = file.suffix == ".json"
        if is_json:
            for path, change, changed in mutations(json.loads(whole)):
                file.write_text(json.dumps(changed))
                with told(UserError, what=(file.name, path, change)):
                    read()
        taken = []
        for content in CONTENTS:
            file.write_bytes(content)
            with told(UserError, what=(file.name, content)):
                read()
                taken.append(content)
        assert set(taken) <= {b"{}", b"[]", b"[{}]"}, (
            file
        )  # a state or curve that states nothing yet
        file.write_bytes(whole)
