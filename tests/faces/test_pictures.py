"""Picture files as upright RGB, animations as videos of their frames, folders with each file a frame."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dfray.config import CorpusSection, FacesSection
from dfray.datasets.manifest import build_manifest
from dfray.faces.crop_codec import decode_images
from dfray.faces.decode import Picture
from dfray.faces.extract import ShardExtractor
from dfray.faces.pictures import (
    FORMATS,
    array_pictures,
    file_pictures,
    folder_pictures,
    read_picture,
)
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.faces.sources import PictureFolder, UnreadableSourceError, local_source
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd
from dfray.tables import FACES
from tests.helpers.clips import talking_head
from tests.helpers.pictures import numbered

COLOURS = np.array([[200, 60, 30], [20, 120, 240], [0, 0, 0], [255, 255, 255]], np.uint8)
PATCHES = np.repeat(np.repeat(COLOURS[None], 16, axis=0), 16, axis=1)
"""Four patches of 16 px, side by side."""


def centres(image: np.ndarray) -> np.ndarray:
    return image[8, 8::16].astype(int)


def test_plain_rgb_comes_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(PATCHES).save(tmp_path / "a.png")
    image = read_picture(str(tmp_path / "a.png"))
    assert (image.dtype, image.shape) == (np.uint8, (16, 64, 3))
    assert np.array_equal(image, PATCHES)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_grey_is_repeated_at_its_full_range(bits: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 2**bits - 1, 64).round().astype(np.uint16 if bits == 16 else np.uint8)
    grey = np.tile(ramp, (16, 1))
    picture = Image.fromarray(grey.astype(bool) if bits == 1 else grey)
    picture.save(tmp_path / "a.png")
    image = read_picture(str(tmp_path / "a.png"))
    expected = np.round(grey / (2**bits - 1) * 255)
    assert np.array_equal(image, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_damaged_exif_loses_no_picture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PATCHES).save(path, exif=b"Exif\0\0no TIFF header")
    assert read_picture(str(path)).shape == PATCHES.shape


@pytest.mark.parametrize("is_after_pixels", [False, True])
def test_long_remarks_in_a_png_lose_no_picture(is_after_pixels: bool, tmp_path: Path) -> None:
    """Generators of pictures write their whole settings; Pillow refuses compressed text above 1 MiB."""
    path = tmp_path / "a.png"
    Image.fromarray(PATCHES).save(path)
    text = b"workflow\0\0" + zlib.compress(b"{}" * 2**20)
    chunk = b"zTXt" + text
    framed = struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = path.read_bytes()
    place = len(data) - 12 if is_after_pixels else 33
    path.write_bytes(data[:place] + framed + data[place:])
    assert np.array_equal(read_picture(str(path)), PATCHES)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_exif_is_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PATCHES).save(tmp_path / "a.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert np.array_equal(read_picture(str(tmp_path / "a.png")), expected)


def test_sixteen_bits_a_channel_become_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), PATCHES[..., ::-1].astype(np.uint16) * 257)
    image = read_picture(str(tmp_path / "a.png"))
    assert np.abs(image.astype(int) - PATCHES).max() <= 1


def test_cmyk_is_converted_as_another_decoder_does(tmp_path: Path) -> None:
    path = str(tmp_path / "a.jpg")
    Image.fromarray(PATCHES).convert("CMYK").save(path, quality=95)
    image, other = read_picture(path), cv2.imread(path)
    assert other is not None
    assert np.abs(centres(image) - COLOURS).max() <= 4
    assert np.abs(centres(image) - centres(other[..., ::-1])).max() <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_black(mode: str, tmp_path: Path) -> None:
    rgba = np.dstack([PATCHES, np.full((16, 64), 255, np.uint8)])
    rgba[:, 48:, 3] = 0
    picture = Image.fromarray(rgba)
    (picture.quantize(8) if mode == "P" else picture.convert(mode)).save(tmp_path / "a.png")
    image = read_picture(str(tmp_path / "a.png"))
    assert image.shape == (16, 64, 3)
    assert centres(image)[3].tolist() == [0, 0, 0]
    if mode != "LA":
        assert np.array_equal(centres(image)[:3], COLOURS[:3])


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    Image.fromarray(PATCHES).quantize(4).save(tmp_path / "a.png")
    assert np.abs(centres(read_picture(str(tmp_path / "a.png"))) - COLOURS).max() <= 2


def test_the_exif_tag_turns_the_picture_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn to the right
    Image.fromarray(np.rot90(PATCHES)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(str(tmp_path / "a.png")), PATCHES)


def test_pixels_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match="floating point"):
        read_picture(str(tmp_path / "a.tiff"))
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "b.tiff")
    with pytest.raises(ValueError, match=r"70000\.\.70000, not of 16 bits"):
        read_picture(str(tmp_path / "b.tiff"))


GREYS = [10, 60, 110, 160, 210]
"""Of the five frames of an animation."""


def animation(path: Path, durations_ms: list[int], **options: object) -> Path:
    first, *rest = [Image.new("RGB", (16, 16), (grey,) * 3) for grey in GREYS]
    first.save(path, save_all=True, append_images=rest, duration=durations_ms, **options)
    return path


def greys(pictures: Iterator[Picture]) -> list[tuple[int, float | None, int]]:
    """(frame_index, time_s, grey to the nearest ten) of each picture."""
    return [
        (picture.frame_index, picture.time_s, round(float(picture.image.mean()), -1))
        for picture in pictures
        if picture.image is not None
    ]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_animation_is_sampled_by_its_own_frame_times(suffix: str, tmp_path: Path) -> None:
    path = animation(tmp_path / f"a.{suffix}", [500, 1500, 250, 250, 500])  # 0, 0.5, 2, 2.25, 2.5 s
    expected = [(0, 0.0, 10), (1, 0.5, 60), (2, 2.0, 110)]
    assert greys(file_pictures(str(path), 1.0)) == expected
    assert greys(file_pictures(path.read_bytes(), 1.0, first_frame=2)) == expected[2:]
    assert len(greys(file_pictures(str(path), 4.0))) == 11


def test_an_animation_without_times_is_sampled_by_its_frame_numbers(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", [0] * 5)
    assert greys(file_pictures(str(path), 12.5)) == [(0, 0.0, 10), (1, 0.08, 110), (2, 0.16, 210)]


def test_a_picture_for_viewers_that_do_not_animate_is_no_frame(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", [1000] * 4, default_image=True)
    assert [grey for *_, grey in greys(file_pictures(str(path), 1.0))] == GREYS[1:]


def test_an_animation_that_breaks_off_keeps_its_frames_and_tells_why(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.png", [1000] * 5).read_bytes()
    broken = whole[: whole.rindex(b"fdAT") + 6]
    *pictures, last = file_pictures(broken, 1.0)
    assert [grey for *_, grey in greys(iter(pictures))] == GREYS[:4]
    assert (last.frame_index, last.image) == (4, None)
    assert str(last.reason).startswith("the file breaks off")


def test_pages_and_further_pictures_without_times_are_no_frames(tmp_path: Path) -> None:
    first, *rest = [Image.new("RGB", (16, 16), (grey,) * 3) for grey in GREYS]
    for name, form in (("a.tif", "TIFF"), ("a.jpg", "MPO")):
        first.save(tmp_path / name, form, save_all=True, append_images=rest)
        assert greys(file_pictures(str(tmp_path / name), 25.0)) == [(0, 0.0, 10)]


def test_in_a_folder_an_animation_is_one_frame(tmp_path: Path) -> None:
    paths = [str(animation(tmp_path / f"{k}.png", [1000] * 5)) for k in range(2)]
    assert greys(folder_pictures(paths)) == [(0, None, 10), (1, None, 10)]


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    Image.new("1", (9_460, 9_460)).save(path)
    Path(path).write_bytes(Path(path).read_bytes()[:400])  # nothing to decode
    for refused in (lambda: read_picture(path), lambda: list(file_pictures(path, 1.0))):
        with pytest.raises(UnreadableSourceError, match="more than 89,478,485 pixels"):
            refused()
    pixels = np.broadcast_to(np.uint8(0), (9_460, 9_460, 3))
    with pytest.raises(UnreadableSourceError, match="more than 89,478,485 pixels"):
        list(array_pictures(pixels))
    (picture,) = folder_pictures([path])
    assert picture.reason == "a.png cannot be decoded: more than 89,478,485 pixels"


def test_a_format_that_is_not_listed_is_no_picture_whatever_its_name(tmp_path: Path) -> None:
    assert {"EPS", "WMF", "FPX", "PSD"}.isdisjoint(FORMATS)
    for form in ("PPM", "SGI", "PCX"):
        Image.fromarray(PATCHES).save(tmp_path / "a.png", form)
        with pytest.raises(UnreadableSourceError, match="no picture in a known format"):
            read_picture(str(tmp_path / "a.png"))


def test_whatever_a_decoder_raises_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise struct.error("unpack requires 4 bytes")

    path = animation(tmp_path / "a.png", [1000] * 5)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", fail)
        with pytest.raises(UnreadableSourceError, match="cannot be opened: unpack requires 4"):
            read_picture(str(path))
    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(UnreadableSourceError, match="breaks off: unpack requires 4"):
        list(file_pictures(str(path), 1.0))


def test_what_is_no_file_in_a_folder_of_pictures_costs_itself(tmp_path: Path) -> None:
    folder = numbered(tmp_path, 2)
    os.mkfifo(folder / "2.png")
    found = list(folder_pictures([str(folder / f"{k}.png") for k in range(3)]))
    assert [picture.image is None for picture in found] == [False, False, True]
    assert found[2].reason == "2.png cannot be decoded: is a named pipe, not a file"


def test_a_broken_picture_costs_itself_only(tmp_path: Path) -> None:
    folder = numbered(tmp_path, 3)
    (folder / "1.png").write_bytes((folder / "0.png").read_bytes()[:40])
    with local_source(str(folder), "frames", 1) as source:
        assert isinstance(source, PictureFolder)
        found = list(folder_pictures(source.paths, first_frame=1))
    assert [picture.image is None for picture in found] == [True, False]
    assert str(found[0].reason).startswith("1.png cannot be decoded")


def test_the_reason_of_a_broken_picture_can_be_stored_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.png")
    path.write_text("no picture")
    (picture,) = folder_pictures([str(path)])
    assert picture.reason == r"\xff.png cannot be decoded: no picture in a known format"


def test_an_empty_folder_is_an_unreadable_source() -> None:
    with pytest.raises(UnreadableSourceError, match="no picture"):
        list(folder_pictures([]))


@pytest.fixture(scope="module")
def extractor() -> Iterator[SupervisedExtractor]:
    extractor = SupervisedExtractor(FacesSection(size_px=64))
    yield extractor
    extractor.close()


def run(
    extractor: SupervisedExtractor, uri: Path, kind: str, stride: int = 1
) -> tuple[list[Frame], VideoEnd]:
    *frames, end = extractor.extract(str(uri), kind, stride)
    assert isinstance(end, VideoEnd)
    return [frame for frame in frames if isinstance(frame, Frame)], end


def test_frames_go_through_the_detector(extractor: SupervisedExtractor, tmp_path: Path) -> None:
    for k, picture in enumerate(talking_head(3)):
        Image.fromarray(picture).save(tmp_path / f"{k:03d}.jpg", quality=95)
    Image.new("L", (320, 240)).save(tmp_path / "003.jpg")
    frames, end = run(extractor, tmp_path, "frames")
    assert [frame.outcome for frame in frames] == ["faces"] * 3 + ["no_face"]
    (face,) = frames[0].faces
    assert 0.5 <= face.score < 1
    assert face.crop[2] < 240
    assert end.status == "ok"


def test_ready_made_crops_are_kept_whole_and_undistorted(
    extractor: SupervisedExtractor, tmp_path: Path
) -> None:
    """No detector would find a face in this; the circle must stay one when the sides differ."""
    wide = np.zeros((128, 192, 3), np.uint8)
    cv2.circle(wide, (96, 64), 60, (255, 255, 255), -1)
    Image.fromarray(wide).save(tmp_path / "0.png")
    Image.fromarray(wide[:, 32:160]).save(tmp_path / "1.png")
    frames, end = run(extractor, tmp_path, "faces")
    assert end.status == "ok"
    assert (frames[0].width, frames[0].height) == (192, 128)
    one, two = (frame.faces[0] for frame in frames)
    assert (one.crop, two.crop, one.score) == ((32, 0, 128), (0, 0, 128), 1.0)
    assert np.array_equal(one.image, two.image)
    disc = one.image[..., 0] > 127
    assert disc.any(axis=0).sum() == disc.any(axis=1).sum() == 60
    assert np.isnan(one.keypoints).all()


def test_a_sequence_of_broken_pictures_is_unreadable_with_its_reason(
    extractor: SupervisedExtractor, tmp_path: Path
) -> None:
    for k in range(2):
        (tmp_path / f"{k}.png").write_text("no picture")
    frames, end = run(extractor, tmp_path, "faces")
    assert [frame.outcome for frame in frames] == ["decode_error"] * 2
    assert end.status == "unreadable"
    assert str(end.reason).startswith("0.png cannot be decoded: no picture in a known format")


def test_a_corpus_of_face_sequences_goes_the_whole_way_to_the_store(tmp_path: Path) -> None:
    for kind in ("real", "fake"):
        numbered(tmp_path / f"corpus/{kind}_test/3/{kind}/7", 21)
    corpus = CorpusSection(reader="wilddeepfake", root=str(tmp_path / "corpus"))
    found = build_manifest([corpus])
    assert (found.opened, found.unreadable) == (0, {})
    settings = FacesSection(size_px=8)
    store = FacesStore(str(tmp_path / "faces"))
    store.claim(settings)
    plans, _ = plan_shards(found.videos, settings, store.summaries(), workers=1, seed=0)
    extractor = ShardExtractor(store, settings, "summaries")
    for plan in plans:
        list(extractor.extract(plan.shard, plan.videos))
    extractor.close()
    summaries = store.summaries().to_pylist()
    assert sorted((row["video_id"], row["status"], row["n_faces"]) for row in summaries) == [
        ("wilddeepfake/fake/test/3/7", "ok", 3),
        ("wilddeepfake/real/test/3/7", "ok", 3),
    ]
    for uri in store.shards("test"):
        faces = FACES.read(uri)
        assert decode_images(faces)[:, 0, 0, 0].tolist() in ([0, 10, 20], [0, 10, 20] * 2)
    assert set(store.outcomes()["time_s"].to_pylist()) == {None}
