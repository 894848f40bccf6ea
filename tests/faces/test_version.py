"""Faces have a version: stores and models of an earlier one load, and the difference is said."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest

from dfray.config import FacesSection
from dfray.errors import UserError
from dfray.faces.crop_codec import decode_images
from dfray.faces.extract import extract_faces
from dfray.faces.model_file import FILE_NAMES, detector_model_path
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.faces.version import FACES_VERSION, version_note
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import read_faces_version
from dfray.render.scores import show_scores
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_table import FileScore, ScoringModel
from dfray.tables import FACES, VIDEOS
from tests.helpers.rows import video_row
from tests.helpers.tiny import portrait, save_bundle

SETTINGS = FacesSection(size_px=32)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store (`faces`) and a registered model (`registered`) that commit 6bfe815 wrote."""
    zipfile.ZipFile(Path(__file__).parents[1] / "fixtures" / "version_1.zip").extractall(tmp_path)
    return tmp_path


def test_a_store_made_before_there_were_versions_is_read(old: Path) -> None:
    store = FacesStore(str(old / "faces"))
    store.claim(SETTINGS)
    assert store.version == 1
    ok, lost = store.summaries().sort_by("video_id").to_pylist()
    assert (ok["status"], ok["n_faces"], lost["status"]) == ("ok", 2, "unreadable")
    assert ok["n_frames_doubtful"] is None
    assert decode_images(FACES.read(store.shards("train")[0])).shape == (2, 32, 32, 3)
    assert store.outcomes()["n_doubtful"].to_pylist() == [None, None]


def test_an_old_store_that_is_complete_is_handed_on_and_one_that_is_not_takes_no_new_faces(
    old: Path,
) -> None:
    store = FacesStore(str(old / "faces"))
    done = VIDEOS.from_rows([video_row() | row for row in store.summaries().to_pylist()])
    store.claim(SETTINGS)
    pending, committed = plan_shards(done, SETTINGS, store.summaries(), workers=1, seed=0)
    assert (len(pending), len(committed)) == (0, 1)
    more = VIDEOS.from_rows([*done.to_pylist(), video_row("another")])
    with pytest.raises(
        UserError,
        match=r"version 1 .*lack 1 of .*toy/camera/another.*version 2.*name another place.*other ids",
    ):
        extract_faces(more, store.uri, SETTINGS)


def test_an_old_store_is_still_bound_to_its_settings(old: Path) -> None:
    with pytest.raises(UserError, match=r"faces\.size_px 32 \(now 64\)"):
        FacesStore(str(old / "faces")).claim(FacesSection(size_px=64))


def test_a_new_store_states_the_version_and_the_bound_of_doubt(tmp_path: Path) -> None:
    store = FacesStore(str(tmp_path))
    assert store.version == FACES_VERSION
    store.claim(SETTINGS)
    stated = json.loads((tmp_path / "extraction.json").read_text())
    assert stated["faces_version"] == FACES_VERSION
    with pytest.raises(UserError, match=r"faces\.doubt_score 0\.8 \(now 0\.0\)"):
        store.claim(FacesSection(size_px=32, doubt_score=0.0))


def test_an_old_registered_model_scores_as_it_did_and_says_the_difference(old: Path) -> None:
    folder = old / "registered"
    detectors = folder / "artifacts" / "face_detector"
    detectors.mkdir()
    shutil.copyfile(detector_model_path("full"), detectors / FILE_NAMES["full"])
    (folder / "artifacts" / "dfray-0.1.0-py3-none-any.whl").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as it is imported
        import mlflow.pyfunc
    with pytest.warns(UserWarning, match="faces taken by version 1 .* version 2"):
        model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=False)
    scorer = model.unwrap_python_model().scorer
    assert scorer.settings.doubt_score == 0.0  # its faces were not confirmed
    assert scorer.settings.damaged_pictures == "use"  # nor damage noticed
    assert model.predict(portrait())["outcome"].tolist() == ["ok"]
    scorer.close()
    assert read_faces_version(folder / "artifacts" / "bundle") == 1


def test_a_bundle_keeps_the_version_of_the_faces_that_it_learned_from(tmp_path: Path) -> None:
    bundle = Bundle.load(save_bundle(tmp_path))
    assert bundle.faces_version == FACES_VERSION
    bundle.faces_version = 1
    bundle.save(tmp_path)
    assert read_faces_version(tmp_path) == Bundle.load(tmp_path).faces_version == 1


def test_scores_of_files_carry_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    model = ScoringModel("faces", "1", "0" * 64, 0.5, "set by the recipe", version_note(1))
    score = FileScore.of("a.mp4", MediaScore(Findings("no_face", "no face", 1)), model)
    show_scores([score, score])
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("warning: the model learned from faces taken by version 1") == 1
    show_scores([score], as_json=True)
    assert "version 1" in json.loads(capsys.readouterr().out)["faces_note"]


def test_only_another_version_is_worth_a_note() -> None:
    assert version_note(FACES_VERSION) is None
    assert "version 1" in (version_note(1) or "")
