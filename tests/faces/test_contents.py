"""A video whose file was overwritten is another one; a file that was only copied anew or touched is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from dfray import storage
from dfray.config import FacesSection
from dfray.faces.contents import with_contents
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.faces.sources import content_digest
from dfray.faces.view import FacesView
from dfray.tables import SUMMARIES, VIDEOS
from tests.helpers.rows import video_row, videos_table, write_store

SETTINGS = FacesSection(size_px=32)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file of more than 1 MiB."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(2**21))
    return path


def listed(path: Path, **columns: str | None) -> pa.Table:
    """VIDEOS of a file, as a listing of its folder gives it."""
    stamp = {file.uri: file.stamp for file in storage.list_stamped(str(path.parent))}[str(path)]
    return videos_table([video_row("clip", uri=str(path), stamp=stamp, **columns)])


def stored(folder: Path, videos: pa.Table) -> FacesStore:
    """A store with the faces of the videos, digests included."""
    rows = [row | {"digest": content_digest(row["uri"], row["kind"])} for row in videos.to_pylist()]
    return write_store(folder / "store", [(row, []) for row in rows], SETTINGS)


def contents(videos: pa.Table) -> list[str | None]:
    contents: list[str | None] = videos["content"].to_pylist()
    return contents


def first_look(clip: Path) -> tuple[pa.Table, FacesStore]:
    """Manifest of the first look at the file, and the store with its faces."""
    nothing = FacesStore(str(clip.parent / "nothing"))
    first = with_contents(listed(clip), None, nothing, 60.0)
    return first, stored(clip.parent, first)


def is_stored(videos: pa.Table, store: FacesStore) -> bool:
    return FacesView(store.uri, videos).summaries().num_rows == videos.num_rows


def test_a_new_file_has_its_stamp_as_content(clip: Path) -> None:
    first, store = first_look(clip)
    assert contents(first) == first["stamp"].to_pylist()
    assert contents(with_contents(listed(clip), first, store, 60.0)) == contents(first)
    assert is_stored(first, store)


@pytest.mark.parametrize("n_bytes", [5, 2**21])
def test_an_overwritten_file_is_another_content(clip: Path, n_bytes: int) -> None:
    first, store = first_look(clip)
    clip.write_bytes(os.urandom(n_bytes))
    now = with_contents(listed(clip), first, store, 60.0)
    assert contents(now) == now["stamp"].to_pylist() != contents(first)
    assert not is_stored(now, store)
    assert is_stored(first, store)


@pytest.mark.parametrize("is_known", [True, False], ids=["same name", "another name's first look"])
def test_a_file_that_was_copied_anew_is_the_same_content(clip: Path, is_known: bool) -> None:
    first, store = first_look(clip)
    shutil.copyfile(clip, clip.with_suffix(".new"))
    clip.with_suffix(".new").rename(clip)
    now = with_contents(listed(clip), first if is_known else None, store, 60.0)
    assert now["stamp"].to_pylist() != first["stamp"].to_pylist()
    assert contents(now) == contents(first)
    assert is_stored(now, store)


def test_a_file_put_back_as_it_was_finds_its_faces(clip: Path) -> None:
    first, store = first_look(clip)
    data = clip.read_bytes()
    clip.write_bytes(b"other")
    second = with_contents(listed(clip), first, store, 60.0)
    clip.write_bytes(data)
    assert is_stored(with_contents(listed(clip), second, store, 60.0), store)


def test_unchanged_stamps_open_no_file(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, store = first_look(clip)
    monkeypatch.setattr("dfray.faces.digests.start", None)
    assert contents(with_contents(listed(clip), first, store, 60.0)) == contents(first)


class TestFacesOfAnEarlierDfray:
    """Neither its manifests nor its stores have stamps."""

    @pytest.fixture
    def store(self, clip: Path) -> FacesStore:
        unstamped = videos_table([video_row("clip", uri=str(clip))])
        return write_store(clip.parent / "store", [(unstamped.to_pylist()[0], [])], SETTINGS)

    @pytest.mark.parametrize("has_manifest", [True, False])
    def test_are_those_of_the_file_as_it_is_first_listed(
        self, clip: Path, store: FacesStore, has_manifest: bool
    ) -> None:
        earlier = videos_table([video_row("clip", uri=str(clip))]) if has_manifest else None
        assert is_stored(with_contents(listed(clip), earlier, store, 60.0), store)

    def test_are_of_its_size_from_then_on(self, clip: Path, store: FacesStore) -> None:
        first = with_contents(listed(clip), None, store, 60.0)
        os.utime(clip, (1, 1))
        touched = with_contents(listed(clip), first, store, 60.0)
        assert is_stored(touched, store)
        clip.write_bytes(b"other")
        assert not is_stored(with_contents(listed(clip), touched, store, 60.0), store)

    def test_tables_without_stamps_are_read(self) -> None:
        manifest = videos_table([video_row()]).drop_columns(["stamp", "content"])
        assert contents(VIDEOS.conform(manifest)) == [None]
        older = SUMMARIES.schema.empty_table().drop_columns(["content", "digest"])
        assert SUMMARIES.conform(older).num_rows == 0


def test_a_generated_clip_has_no_content() -> None:
    videos = videos_table([video_row()])
    assert with_contents(videos, None, FacesStore("nowhere"), 60.0).equals(videos)


def test_a_shard_of_an_overwritten_video_has_another_name() -> None:
    plans = [
        plan_shards(
            videos_table([video_row(content=content)]),
            SETTINGS,
            SUMMARIES.schema.empty_table(),
            workers=1,
            seed=0,
        )[0][0].shard
        for content in (None, "7-1", "7-2")
    ]
    assert len(set(plans)) == 3
