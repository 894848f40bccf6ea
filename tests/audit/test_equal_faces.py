"""Equal decoded faces are found in files of other bytes, and what an old store cannot tell is counted."""

from __future__ import annotations

from pathlib import Path

import av
import pyarrow as pa
import pytest

from dfray.audit.equal_faces import equal_faces, without_digest
from dfray.audit.equal_files import equal_files
from dfray.config import FacesSection
from dfray.faces.extract import ShardExtractor
from dfray.faces.shards import FacesStore
from dfray.tables import SUMMARIES
from tests.helpers.clips import talking_head, write_clip
from tests.helpers.rows import video_row, videos_table

SETTINGS = FacesSection(rate_fps=2, size_px=64, shard_mb=1)


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """SUMMARIES of a clip, the same stream in another container, and two other clips."""
    folder = tmp_path_factory.mktemp("clips")
    first = write_clip(folder / "first.mp4", talking_head(20), fps=10)
    remux(first, folder / "remux.mkv")
    write_clip(folder / "other.mp4", talking_head(20, seed=1), fps=10)
    noise = [picture // 8 * 8 for picture in talking_head(20)]
    write_clip(folder / "again.mp4", noise, fps=10, options={"crf": "30"})
    names = ("first.mp4", "remux.mkv", "other.mp4", "again.mp4")
    rows = [
        video_row(name, uri=f"{folder}/{name}", split="train" if name == "first.mp4" else "test")
        for name in names
    ]
    store = FacesStore(str(folder / "store"))
    store.claim(SETTINGS)
    extractor = ShardExtractor(store, SETTINGS, "summaries")
    tables = list(extractor.extract("test-0", videos_table(rows)))
    extractor.close()
    return SUMMARIES.conform(pa.concat_tables(tables))


def remux(source: Path, target: Path) -> None:
    """Copy the packets of a video into another container, with a title of its own."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        made.metadata["title"] = "another"
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)


def test_the_same_pictures_in_another_container_have_equal_faces(summaries: pa.Table) -> None:
    (group,) = equal_faces(summaries)
    assert [member.video_id for member in group.members] == [
        "toy/camera/first.mp4",
        "toy/camera/remux.mkv",
    ]
    assert group.crosses


def test_their_files_are_not_equal(summaries: pa.Table) -> None:
    videos = videos_table(
        [video_row(str(i), uri=u) for i, u in enumerate(summaries["uri"].to_pylist())]
    )
    assert equal_files(videos, 60.0) == []


def test_the_hashes_of_pictures_are_stored_for_few_frames(summaries: pa.Table) -> None:
    frames = summaries["n_frames"].to_pylist()
    assert frames == [4] * 4
    assert [len(hashes) for hashes in summaries["hashes"].to_pylist()] == [2] * 4


def test_a_re_encoded_copy_is_no_equal_video_and_looks_alike(summaries: pa.Table) -> None:
    first, again, other = (
        dict(zip(summaries["video_id"].to_pylist(), summaries["hashes"].to_pylist(), strict=True))[
            f"toy/camera/{name}.mp4"
        ]
        for name in ("first", "again", "other")
    )
    assert all((a ^ b).bit_count() <= 4 for a, b in zip(first, again, strict=True))
    assert all((a ^ b).bit_count() > 4 for a, b in zip(first, other, strict=True))


def test_stores_of_the_time_before_are_counted_as_unknown(summaries: pa.Table) -> None:
    old = SUMMARIES.conform(summaries.drop_columns(["faces_digest", "hashes"]))
    assert equal_faces(old) == []
    assert (without_digest(old), without_digest(summaries)) == (4, 0)
