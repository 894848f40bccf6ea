"""A registered model scores pictures and clips, without pickle, and without dfray installed."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from dfray.config import FacesSection
from dfray.errors import ModelFileError, UserError
from dfray.faces.model_file import FILE_NAMES, LANDMARKS_FILE, SHA256, detector_model_path
from dfray.faces.sources import VideoFile
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import VideoExtractor
from dfray.models.bundle import Bundle
from dfray.registry.checksums import faults_of
from dfray.registry.measurement_store import load_headline_metrics
from dfray.registry.versions import Versions
from dfray.registry.views import show_version
from dfray.serving.package import downloaded_bundle, register
from dfray.serving.score_files import score_files
from dfray.serving.scorer import MediaScorer
from dfray.tracking.client import connect, talking
from dfray.tracking.run import start_run
from tests.helpers.heads import background
from tests.helpers.tiny import FIGURES, RECIPE, SECTION, png, portrait, save_bundle, write_clip


@pytest.fixture(scope="session")
def version(tracking_uri: str, bundle_dir: Path) -> str:
    with start_run(RECIPE, tracking_uri, manifest_fingerprint="m") as run:
        return register(
            bundle_dir,
            section=SECTION,
            tracking_uri=tracking_uri,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )


@pytest.fixture(scope="session")
def model_folder(tracking_uri: str, version: str) -> Iterator[Path]:
    with Versions(SECTION.model_name, tracking_uri).downloaded(version) as folder:
        yield folder


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Iterator[Any]:
    with talking("load the model"):
        import mlflow.pyfunc  # it warns as it is imported

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFRAY_SERVE_FROM", "/")
        loaded = mlflow.pyfunc.load_model(str(model_folder))
    yield loaded
    loaded.unwrap_python_model().close()


def test_a_new_version_is_the_candidate_with_its_figures(tracking_uri: str, version: str):
    versions = Versions(SECTION.model_name, tracking_uri)
    assert versions.resolve("candidate") == version
    assert load_headline_metrics(versions, version, "demo") == FIGURES
    found = versions.get(version)
    assert found.tags["auc"] == "0.9100"
    assert found.tags["dfray.backbone"] == "test_resnet"
    run = connect(tracking_uri).get_run(found.run_id)
    assert len(run.outputs.model_outputs) == 1


def test_a_new_version_has_its_card_and_a_list_of_checksums(
    tracking_uri: str, version: str, model_folder: Path
):
    card = (model_folder / "MODEL_CARD.md").read_text()
    tags = connect(tracking_uri).get_model_version(SECTION.model_name, version).tags
    assert faults_of(model_folder, tags["dfray.package_sha256"]) == []
    shown = show_version(SECTION, tracking_uri, version)
    assert (shown.package, shown.card) == ("ok", card)
    assert f"fingerprint `{RECIPE.fingerprint()}`" in card


def test_the_model_holds_all_it_needs_and_no_pickle(model_folder: Path):
    files = {str(file.relative_to(model_folder)) for file in model_folder.rglob("*")}
    assert {
        "artifacts/bundle/model.safetensors",
        "artifacts/bundle/bundle.json",
        "artifacts/face_detector/face_detection_full_range_sparse.tflite",
        "artifacts/face_detector/face_landmark.tflite",
        "artifacts/dfray-0.1.0-py3-none-any.whl",
        "mlflow_model.py",
        "requirements.txt",
        "MODEL_CARD.md",
        "SHA256SUMS",
    } <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    told = (model_folder / "MLmodel").read_text() + (model_folder / "requirements.txt").read_text()
    assert "python_model.pkl" not in told
    assert "index-url" not in told


def test_one_row_for_each_input_whatever_its_form(model, clip: Path, tmp_path: Path):
    picture = portrait()
    (tmp_path / "portrait.png").write_bytes(png(picture))
    rows = model.predict([picture, png(picture), str(tmp_path / "portrait.png"), str(clip)])
    assert rows["outcome"].tolist() == ["ok"] * 4
    assert rows["n_frames"].tolist() == [1, 1, 1, 4]
    assert rows["n_faces"].tolist() == [1, 1, 1, 4]
    assert rows["fake_probability"][:3].nunique() == 1
    for row in rows.to_dict("records"):
        assert row["label"] == ("fake" if row["fake_probability"] >= 0.5 else "real")
    assert rows["video_s"].isna().tolist() == [True, True, True, False]
    assert rows["video_s"][3] == pytest.approx(2.0)
    frame = pd.DataFrame({"image": [png(picture), base64.b64encode(png(picture)).decode()]})
    assert model.predict(frame)["fake_probability"].tolist() == [rows["fake_probability"][0]] * 2
    alone = model.predict(str(clip)).drop(columns="work_s")
    framed = model.predict(pd.DataFrame({"video": [str(clip)]})).drop(columns="work_s")
    assert alone.equals(framed)
    assert alone["fake_probability"][0] == rows["fake_probability"][3]


def test_the_score_is_the_bundles_own_mean_over_the_faces(model, bundle_dir: Path, clip: Path):
    extractor = VideoExtractor(RECIPE.faces)
    crops = [
        face.image for frame in extractor.extract(VideoFile(str(clip))) for face in frame.faces
    ]
    extractor.close()
    probabilities, _ = Bundle.load(bundle_dir).predict(np.stack(crops))
    row = model.predict(str(clip)).iloc[0]
    assert row["fake_probability"] == pytest.approx(float(probabilities.mean()), abs=1e-6)


def test_without_a_face_there_is_no_score(model, tmp_path: Path):
    empty = background(320, 240)
    rows = model.predict([empty, str(write_clip(tmp_path / "wall.mp4", empty))])
    assert rows["outcome"].tolist() == ["no_face", "no_face"]
    assert rows["fake_probability"].isna().all()
    assert rows["label"].isna().all()
    assert rows["n_frames"].tolist() == [1, 4]


def test_what_cannot_be_read_has_its_reason(model, tmp_path: Path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.png").write_text("no picture")
    inputs = [str(tmp_path / name) for name in ("text.mp4", "text.png", "gone.mp4", "gone.png")]
    rows = model.predict([*inputs, b"no picture"])
    assert rows["outcome"].tolist() == ["unreadable"] * 5
    assert rows["reason"].str.len().min() > 10
    assert rows["fake_probability"].isna().all()


@pytest.mark.parametrize("wrong", [5, [5], np.zeros((4, 4), np.uint8), [np.zeros((8, 8, 3))]])
def test_other_inputs_are_refused(model, wrong: object):
    with pytest.raises(UserError, match="The model takes no"):
        model.predict(wrong)


def test_a_table_without_a_known_column_is_refused(model):
    with pytest.raises(UserError, match="neither `video` nor `image`"):
        model.predict(pd.DataFrame({"path": ["a.mp4"]}))


def test_scores_of_files_tell_what_they_cost(tracking_uri: str, version: str, clip: Path):
    uri = f"models:/{SECTION.model_name}@candidate"
    found = score_files([str(clip), "gone.mp4"], model_uri=uri, tracking_uri=tracking_uri)
    good, gone = found
    assert (good.input, good.outcome, good.n_frames, good.n_faces) == (str(clip), "ok", 4, 4)
    assert good.faces_per_s == pytest.approx(4 / good.work_s)
    assert good.work_per_video_s == pytest.approx(good.work_s / 2.0)
    assert (gone.outcome, gone.fake_probability, gone.verdict) == ("unreadable", None, None)
    assert (gone.faces_per_s, gone.work_per_video_s) == (None, None)
    assert gone.reason
    json.dumps([vars(score) for score in found], allow_nan=False)


def test_a_score_states_its_model_threshold_persons_and_the_properties_of_the_video(
    tracking_uri: str, version: str, clip: Path, bundle_dir: Path
):
    uri = f"models:/{SECTION.model_name}@candidate"
    (score,) = score_files([str(clip)], model_uri=uri, tracking_uri=tracking_uri)
    weights = hashlib.sha256((bundle_dir / "model.safetensors").read_bytes()).hexdigest()
    assert (score.model, score.version, score.checksum) == (SECTION.model_name, version, weights)
    assert (score.threshold, score.threshold_origin) == (0.5, "not fitted: not evaluated yet")
    assert (score.codec, score.width, score.height, score.fps) == ("h264", 320, 240, 10.0)
    assert score.duration_s == pytest.approx(2.0)
    assert score.n_persons == 1
    assert datetime.now(UTC) - datetime.fromisoformat(score.scored_at) < timedelta(minutes=5)


def test_whoever_loads_it_where_it_lies_does_it_no_harm(
    tracking_uri: str, version: str, monkeypatch: pytest.MonkeyPatch
):
    """MLflow runs its code in place, and Python leaves bytecode beside it, which could be anything."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    uri = Versions(SECTION.model_name, tracking_uri).client.get_model_version_download_uri(
        SECTION.model_name, version
    )
    place = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=tracking_uri))
    mlflow.pyfunc.load_model(str(place)).unwrap_python_model().close()
    assert list(place.rglob("*.pyc"))
    with Versions(SECTION.model_name, tracking_uri).downloaded(version) as folder:
        assert (folder / "MLmodel").read_bytes() == (place / "MLmodel").read_bytes()
        assert not list(folder.rglob("__pycache__"))


def test_models_that_do_not_exist_are_named(tracking_uri: str, version: str):
    with pytest.raises(UserError, match=r"no alias 'champion'.*candidate \(version"):
        score_files([], model_uri="models:/packaged@champion", tracking_uri=tracking_uri)
    with pytest.raises(UserError, match="models:/NAME@ALIAS"):
        score_files([], model_uri="packaged", tracking_uri=tracking_uri)


def test_the_bundle_comes_back(tracking_uri: str, version: str, bundle_dir: Path):
    with downloaded_bundle(SECTION.model_name, version, tracking_uri) as folder:
        weights = (Path(folder) / "model.safetensors").read_bytes()
    assert weights == (bundle_dir / "model.safetensors").read_bytes()


def test_a_cascade_carries_both_detectors(tracking_uri: str, tmp_path: Path):
    cascade = RECIPE.model_copy(update={"faces": FacesSection(detector="cascade")})
    section = SECTION.model_copy(update={"model_name": "cascade"})
    with start_run(cascade, tracking_uri, manifest_fingerprint="m") as run:
        version = register(
            save_bundle(tmp_path, cascade),
            section=section,
            tracking_uri=tracking_uri,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )
    with Versions("cascade", tracking_uri).downloaded(version) as folder:
        carried = {file.name for file in (folder / "artifacts" / "face_detector").iterdir()}
    assert carried == {*FILE_NAMES.values(), LANDMARKS_FILE}


def test_a_detector_of_ones_own_is_carried_with_its_hash(tmp_path: Path):
    """Stated in the recipe; a file that is not that one is refused where the model is loaded."""
    own = f"mine.tflite#sha256={SHA256['short']}"
    faces = RECIPE.faces.model_copy(update={"detector_model": own})
    bundle = save_bundle(tmp_path / "bundle", RECIPE.model_copy(update={"faces": faces}))
    carried = tmp_path / "detector"
    carried.mkdir()
    shutil.copyfile(detector_model_path("short"), carried / FILE_NAMES["full"])
    scorer = MediaScorer(str(bundle), str(carried))
    assert scorer.predict(portrait())["outcome"].tolist() == ["ok"]
    scorer.close()
    shutil.copyfile(detector_model_path("full"), carried / FILE_NAMES["full"])
    with pytest.raises(ModelFileError, match="expected"):
        MediaScorer(str(bundle), str(carried)).predict(portrait())


def test_a_model_trained_with_landmarks_scores_without_their_model(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
):
    faces = RECIPE.faces.model_copy(update={"landmarks": True, "doubt_score": 0.0})
    bundle = save_bundle(tmp_path / "bundle", RECIPE.model_copy(update={"faces": faces}))
    carried = tmp_path / "detector"
    carried.mkdir()
    shutil.copyfile(detector_model_path("full"), carried / FILE_NAMES["full"])
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("DFRAY_SERVE_FROM", str(clip.parent))
    scorer = MediaScorer(str(bundle), str(carried))
    assert scorer.predict(str(clip))["outcome"].tolist() == ["ok"]
    scorer.close()


def score_elsewhere(python: str, model_folder: Path, clip: Path, folder: Path) -> dict:
    """The row for `clip`, by a process that cannot import dfray until the model brings it."""
    code = f"""
import importlib.util, json, pathlib, sys, warnings
sys.path = [entry for entry in sys.path if not pathlib.Path(entry, "dfray").is_dir()]
assert importlib.util.find_spec("dfray") is None
import mlflow.pyfunc
warnings.simplefilter("error", UserWarning)
model = mlflow.pyfunc.load_model({str(model_folder)!r})
rows = model.predict([{str(clip)!r}])
import dfray
assert ".whl" in dfray.__file__, dfray.__file__
print(rows.drop(columns="work_s").to_json(orient="records"))
model.unwrap_python_model().close()
"""
    done = subprocess.run(
        [python, "-P", "-c", code],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "DFRAY_SERVE_FROM": str(clip.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    return row


def test_it_runs_from_its_own_wheel_with_pickle_forbidden(
    model_folder: Path, model, clip: Path, tmp_path: Path
):
    row = score_elsewhere(sys.executable, model_folder, clip, tmp_path)
    here = model.predict(str(clip)).iloc[0]
    assert row["outcome"] == "ok"
    assert row["fake_probability"] == pytest.approx(here["fake_probability"], abs=1e-6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_scores_in_a_clean_environment_made_from_its_own_requirements(
    model_folder: Path, model, clip: Path, tmp_path: Path
):
    """A new virtual environment with what the model names and nothing else; pickle is forbidden."""
    import venv

    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", str(model_folder / "requirements.txt")],
        check=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    names = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout
    assert "\nray==" not in names
    assert "\ndfray==" not in names
    row = score_elsewhere(python, model_folder, clip, tmp_path)
    here = model.predict(str(clip)).iloc[0]
    assert row["outcome"] == "ok"
    assert row["fake_probability"] == pytest.approx(here["fake_probability"], abs=1e-4)


@pytest.fixture(scope="module")
def extractor(model: Any) -> SupervisedExtractor:
    """The one that the model has started for a picture without a face."""
    scorer: MediaScorer = model.unwrap_python_model().scorer
    scorer.predict(background(64, 64))
    assert scorer._extractor is not None
    return scorer._extractor
