"""The manifest: built from corpora, refused where it contradicts itself, honest about files."""

import json

import pytest

from dfray.config import CorpusSection
from dfray.datasets.manifest import (
    build_manifest,
    fingerprint,
    read_manifest,
    validate,
    write_manifest,
)
from dfray.errors import ManifestError, RecipeError, SchemaError
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.videos import write_video


def folder_corpus(root, **more) -> CorpusSection:
    return CorpusSection(reader="folder", root=str(root), **more)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my videos"
    for name in ("train/real/ä b.mp4", "test/FS/swap/a.mp4", "test/real/c.mp4"):
        write_video(root / name, frames=12, fps=6)
    return root


def test_a_plain_folder_tells_split_class_and_method(folder):
    found = build_manifest([folder_corpus(folder, dataset="mine")])
    rows = {row["video_id"]: row for row in found.videos.to_pylist()}
    assert set(rows) == {"mine/real/ä b", "mine/swap/a", "mine/real/c"}
    swap = rows["mine/swap/a"]
    assert (swap["split"], swap["label"], swap["category"], swap["method"]) == (
        "test",
        1,
        "FS",
        "swap",
    )
    assert swap["duration_s"] == pytest.approx(2.0, abs=0.1)
    assert found.counts() == [
        ("mine", "train", "real", 1),
        ("mine", "test", "real", 1),
        ("mine", "test", "FS", 1),
    ]


def test_files_that_cannot_be_opened_are_listed_and_kept(folder):
    (folder / "test/real/empty.mp4").write_bytes(b"")
    (folder / "test/real/text.mp4").write_text("not a video")
    found = build_manifest([folder_corpus(folder, dataset="mine")])
    assert set(found.unreadable) == {"mine/real/empty", "mine/real/text"}
    assert found.videos.num_rows == 5


def test_it_is_written_and_read_back(folder, tmp_path):
    found = build_manifest([folder_corpus(folder)])
    uri = str(tmp_path / "m.parquet")
    write_manifest(found, uri)
    assert read_manifest(uri).equals(found.videos)
    reordered = found.videos.take([2, 0, 1])
    assert fingerprint(reordered) == fingerprint(found.videos)
    assert fingerprint(found.videos.slice(1)) != fingerprint(found.videos)


def test_a_csv_needs_only_uri_and_label(tmp_path):
    write_video(tmp_path / "v" / "one.mp4", frames=6)
    (tmp_path / "list.csv").write_text("uri,label,split,identity\nv/one.mp4,fake,val,ann\n")
    found = build_manifest([CorpusSection(reader="csv", root=str(tmp_path / "list.csv"))])
    row = found.videos.to_pylist()[0]
    assert (row["video_id"], row["split"], row["category"]) == ("list/fake/one", "val", "fake")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uri\na.mp4\n", r"lacks the column\(s\) label"),
        ("uri,label\na.mp4,maybe\n", r"line 2: unknown label 'maybe'"),
        ("uri,label\ngone.mp4,real\n", r"No video is present; 1 are missing.*gone.mp4"),
    ],
)
def test_a_wrong_csv_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        build_manifest([CorpusSection(reader="csv", root=str(tmp_path / "list.csv"))])


@pytest.fixture
def ffpp(tmp_path):
    pairs = {"train": [["000", "003"]], "val": [["010", "011"]], "test": [["020", "021"]]}
    (tmp_path / "splits").mkdir()
    for split, listed in pairs.items():
        (tmp_path / "splits" / f"{split}.json").write_text(json.dumps(listed))
        for first, second in listed:
            for stem in (first, second):
                write_video(
                    tmp_path / f"original_sequences/youtube/c40/videos/{stem}.mp4", frames=3
                )
            for stem in (f"{first}_{second}", f"{second}_{first}"):
                for method in ("Deepfakes", "FaceSwap", "FaceShifter", "Face2Face"):
                    write_video(
                        tmp_path / f"manipulated_sequences/{method}/c40/videos/{stem}.mp4", frames=3
                    )
    return tmp_path


def test_faceforensics_has_its_splits_methods_and_sources(ffpp):
    corpus = CorpusSection(reader="ffpp", root=str(ffpp), compression="c40")
    found = build_manifest([corpus])
    rows = {row["video_id"]: row for row in found.videos.to_pylist()}
    assert len(rows) == 3 * (2 + 2 * 4)
    assert len(found.missing) == 3 * 2  # NeuralTextures was not put there
    fake = rows["ff++/Face2Face/003_000"]
    assert (fake["category"], fake["split"]) == ("RE", "train")
    assert (fake["identity"], fake["source_video"]) == ("003", "ff++/youtube/003")
    assert rows["ff++/FaceShifter/020_021"]["category"] == "FS"
    assert "non-commercial" in fake["licence"]


def test_faceforensics_without_its_splits_says_so(ffpp):
    (ffpp / "splits" / "val.json").unlink()
    with pytest.raises(ManifestError, match=r"val\.json is missing"):
        build_manifest([CorpusSection(reader="ffpp", root=str(ffpp))])


def test_no_videos_at_all_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="holds no video"):
        build_manifest([folder_corpus(tmp_path)])


def test_an_unknown_reader_lists_those_there_are(tmp_path):
    with pytest.raises(RecipeError, match="folder, csv, demo, ffpp"):
        build_manifest([CorpusSection(reader="celebrities", root=str(tmp_path))])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [video_row("a", uri="/1"), video_row("a", uri="/2")],
            r"share an id: toy/camera/a \(/1 and /2",
        ),
        (
            [video_row("a", identity="ann"), fake_row("b", identity="ann", split="test")],
            r"more than one split: toy/camera/a \(ann in train\), toy/swap/b \(ann in test\)",
        ),
        ([video_row("a", label=7)], r"Unknown label of toy/camera/a \(7\)"),
        ([video_row("a", split="dev")], r"Unknown split of toy/camera/a \('dev'\)"),
        ([video_row("a", category="FS")], "contradict each other in toy/camera/a"),
    ],
)
def test_contradictions_are_refused_with_the_rows(rows, message):
    with pytest.raises(ManifestError, match=message):
        validate(rows)


def test_the_same_person_may_be_in_two_datasets_and_in_one_split_of_each():
    one = video_row("a", identity="1")
    validate([one, video_row("a", dataset="b", identity="1", split="test")])
    with pytest.raises(ManifestError, match="split"):
        validate([one, video_row("b", identity="1", split="test")])


def test_a_manifest_with_a_missing_column_is_refused(tmp_path):
    import pyarrow.parquet as pq

    uri = str(tmp_path / "m.parquet")
    pq.write_table(videos_table([video_row()]).drop_columns(["label"]), uri)
    with pytest.raises(SchemaError, match="lacks the column.*label"):
        read_manifest(uri)
    (tmp_path / "m.parquet").write_text("not parquet")
    with pytest.raises(SchemaError, match="not a Parquet file"):
        read_manifest(uri)
