"""Sources: a file is a picture or a video by its suffix, a folder is a video of its pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfray import storage
from dfray.datasets.files import Files
from dfray.faces.pictures import folder_pictures
from dfray.faces.sources import PictureFile, PictureFolder, VideoFile, local_source
from tests.helpers.pictures import numbered


@pytest.mark.parametrize("name", ["a.PNG", "a.jfif", "a.tif", "a.tiff", "a.webp", "a.mp4.bmp"])
def test_a_file_with_a_pictures_suffix_is_a_picture(name: str, tmp_path: Path) -> None:
    with local_source(str(tmp_path / name)) as source:
        assert source == PictureFile(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a", "a.png.mkv"])
def test_any_other_file_is_a_video(name: str, tmp_path: Path) -> None:
    with local_source(str(tmp_path / name)) as source:
        assert source == VideoFile(str(tmp_path / name))


@pytest.fixture(params=["local", "s3"])
def sequence(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = numbered(tmp_path / "sequence", 21)
    if request.param == "local":
        return str(folder)
    uri = storage.join(request.getfixturevalue("bucket"), "sequence")
    for path in folder.iterdir():
        storage.put(path, storage.join(uri, path.name))
    return uri


def test_what_macos_adds_to_a_folder_of_pictures_is_no_frame(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "sequence", 2)
    for path in [*folder.iterdir()]:
        (folder / f"._{path.name}").write_bytes(b"\0\5\26\7")
    with local_source(str(folder), "frames") as source:
        assert isinstance(source, PictureFolder)
        assert len(source.paths) == 2


@pytest.mark.parametrize("folder_name", [b"sequence", b"\xff"])
def test_pictures_whose_names_are_not_utf8_are_no_frames(
    folder_name: bytes, tmp_path: Path
) -> None:
    """As in the manifest; the folder of a video that is scored may have any name."""
    folder = numbered(tmp_path / os.fsdecode(folder_name), 2)
    Path(folder, os.fsdecode(b"1\xff.png")).touch()
    with local_source(str(folder), "frames") as source:
        assert isinstance(source, PictureFolder)
        assert [Path(path).name for path in source.paths] == ["0.png", "1.png"]
    assert Files(str(tmp_path / "elsewhere")).image_count(str(folder)) == 2


def test_every_tenth_picture_is_taken_in_the_order_of_their_numbers(sequence: str) -> None:
    with local_source(sequence, "faces", 10) as source:
        assert isinstance(source, PictureFolder)
        assert source.are_faces
        found = list(folder_pictures(source.paths))
    assert [int(picture.image[0, 0, 0]) for picture in found if picture.image is not None] == [
        0,
        10,
        20,
    ]
    assert [(picture.frame_index, picture.time_s) for picture in found] == [
        (0, None),
        (1, None),
        (2, None),
    ]
