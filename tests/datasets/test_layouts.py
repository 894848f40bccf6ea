"""Corpora as people hold them: partly unpacked, without some lists, laid out by other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfray.datasets.manifest import Manifest
from dfray.datasets.readers import reader
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import touch, write
from tests.helpers.manifests import read, rows

NOT_READ = "not in a place or list that reader {} reads"


def left_out(manifest: Manifest) -> dict[tuple[str | None, str], int]:
    return {(item.suffix, item.reason): n for item, n in manifest.left_out.items()}


@pytest.mark.parametrize("name", sorted(corpora.LAYOUTS))
def test_a_video_that_a_corpus_does_not_know_is_counted(name: str, tmp_path: Path) -> None:
    corpora.LAYOUTS[name](tmp_path)
    before = read(name, tmp_path)
    touch(tmp_path, ("elsewhere/deeper/x.mp4", "elsewhere/y.webm", "elsewhere/._z.mp4"))
    after = read(name, tmp_path)
    assert after.videos.equals(before.videos)
    new = after.left_out - before.left_out
    assert new.total() == 3
    assert sum(n for item, n in new.items() if item.suffix in (".mp4", ".webm", None)) == 3


def test_dfdc_tells_the_parts_without_a_list_and_the_videos_that_a_list_lacks(
    tmp_path: Path,
) -> None:
    corpora.dfdc(tmp_path)
    touch(
        tmp_path, ("train/dfdc_train_part_7/a.mp4", "train/dfdc_train_part_7/b.mp4", "test/z.mp4")
    )
    no_list = "no metadata.json or labels.csv or label.csv in train/dfdc_train_part_7"
    manifest = read("dfdc", tmp_path)
    assert left_out(manifest) == {
        (".mp4", no_list): 2,
        (".mp4", "the list in test does not name it"): 1,
    }
    assert any(no_list in sentence for sentence in manifest.sentences())


@pytest.mark.parametrize("part", ["", "train_sample_videos", "data/train_sample_videos"])
def test_dfdc_reads_kaggles_sample_beside_or_as_the_root(part: str, tmp_path: Path) -> None:
    root = tmp_path / "train_sample_videos" if not part else tmp_path
    folder = f"{part}/" if part else ""
    entries = {
        "a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"},
        "b.mp4": {"label": "REAL", "split": "train", "original": None},
    }
    write(root, f"{folder}metadata.json", json.dumps(entries))
    touch(root, (f"{folder}{name}" for name in entries))
    touch(tmp_path, ("test_videos/t.mp4",) if part else ())
    manifest = read("dfdc", root)
    assert {row["split"] for row in rows(manifest).values()} == {"train"}
    assert rows(manifest)["dfdc/fake/a"]["source_video"] == "dfdc/real/b"
    assert sum(left_out(manifest).values()) == bool(part)


def test_forgerynet_tells_the_videos_that_no_list_names(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    (tmp_path / "Test/video_list.txt").unlink()
    touch(tmp_path, ("Training/video/train_video_release/1/xx/extra.mp4",))
    manifest = read("forgerynet", tmp_path)
    assert left_out(manifest) == {
        (None, "face editing or synthesis"): 1,
        (".mp4", NOT_READ.format("forgerynet")): 3,
    }


def test_forgerynet_says_that_unforged_parts_of_its_fakes_count_as_fake(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    manifest = read("forgerynet", tmp_path)
    ((remark, count),) = manifest.remarks.items()
    assert "not forged" in remark.text
    assert count == 2  # one begins at frame 10, one has two segments
    assert "count as fake" in reader("forgerynet").layout


def test_wilddeepfake_tells_the_archives_that_are_not_unpacked(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    touch(tmp_path, (f"deepfake_in_the_wild/fake_test/{k}.tar.gz" for k in (4, 5)))
    touch(tmp_path, ("deepfake_in_the_wild/fake_test/3.tar.gz",))
    manifest = read("wilddeepfake", tmp_path)
    assert left_out(manifest) == {
        (".gz", "an archive: unpack it"): 2,
        (".gz", "an archive, unpacked beside it"): 1,
    }


def test_wilddeepfake_reads_names_with_a_blank(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path / "as published")
    before = read("wilddeepfake", tmp_path / "as published")
    for folder in (tmp_path / "as published/deepfake_in_the_wild").iterdir():
        folder.rename(folder.with_name(folder.name.replace("_", " ")))
    assert rows(read("wilddeepfake", tmp_path / "as published")).keys() == rows(before).keys()


def deepfakebench(root: Path) -> None:
    """FaceForensics++ as DeepfakeBench lays it out: pictures, and the lists beside the folders."""
    corpora.ffpp(root)
    for videos in [*root.rglob("videos")]:
        for video in [*videos.iterdir()]:
            video.unlink()
            for kind in ("frames", "masks"):
                touch(videos.parent, (f"{kind}/{video.stem}/{k:03d}.png" for k in range(3)))
    for split in ("train", "val", "test"):
        (root / "splits" / f"{split}.json").rename(root / f"{split}.json")


def test_faceforensics_as_deepfakebench_lays_it_out_is_read_as_faces(tmp_path: Path) -> None:
    corpora.ffpp(tmp_path / "videos")
    deepfakebench(tmp_path / "frames")
    manifest = read("ffpp", tmp_path / "frames", kind="faces")
    assert rows(manifest).keys() == rows(read("ffpp", tmp_path / "videos")).keys()
    assert {(r["kind"], r["n_images"]) for r in rows(manifest).values()} == {("faces", 3)}
    assert manifest.missing == []
    assert left_out(manifest) == {(".png", NOT_READ.format("ffpp")): 3 * 36}


def test_faceforensics_as_deepfakebench_lays_it_out_is_refused_by_what_it_is(
    tmp_path: Path,
) -> None:
    deepfakebench(tmp_path)
    with pytest.raises(ManifestError, match=r"DeepfakeBench.*corpora.kind: faces"):
        read("ffpp", tmp_path)


@pytest.mark.parametrize("listed", [True, False])
def test_celeb_df_refuses_celeb_df_pp_by_name(listed: bool, tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    path = "Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4"
    if listed:
        write(tmp_path, "List_of_testing_videos.txt", f"0 {path}\n")
    else:
        touch(tmp_path, (path,))
    with pytest.raises(ManifestError, match=r"holds Celeb-DF\+\+ .*reads Celeb-DF v2.*celeb_df_pp"):
        read("celeb_df", tmp_path)


@pytest.mark.parametrize("kind", ["faces", "video"])
def test_df40_reads_folders_that_were_unpacked_into_folders_of_their_name(
    kind: str, tmp_path: Path
) -> None:
    corpora.df40(tmp_path)
    touch(tmp_path, ("fomm/cdf/videos/id2_id3_0000.mp4", "Celeb-DF-v2/Celeb-real/id2_0000.mp4"))
    before = read("df40", tmp_path, kind=kind)
    for name in ("fomm", "Celeb-DF-v2"):
        (tmp_path / name).rename(tmp_path / "inner")
        (tmp_path / name).mkdir()
        (tmp_path / "inner").rename(tmp_path / name / name)
    after = read("df40", tmp_path, kind=kind)
    assert rows(after).keys() == rows(before).keys()
    assert after.missing == [uri for uri in before.missing if "YouTube" in uri]


def test_deepfake_eval_loses_a_row_whose_split_is_blank_and_no_other(tmp_path: Path) -> None:
    corpora.deepfake_eval_2024(tmp_path)
    table = tmp_path / "video-metadata-publish.csv"
    table.write_text(table.read_text().replace("v3.mp4,Fake,Unknown,Test", "v3.mp4,Fake,Unknown, "))
    manifest = read("deepfake_eval_2024", tmp_path)
    assert left_out(manifest)[None, "its Finetuning Set is blank"] == 1
    assert manifest.videos.num_rows == 4
    whole = read("deepfake_eval_2024", tmp_path, split="test")
    assert "deepfake-eval-2024/fake/v3" in rows(whole)


def test_ffiw_is_compared_with_the_counts_of_its_lists() -> None:
    published = reader("ffiw").published
    assert published
    assert (published.real, published.fake) == (9_988, 9_988)


def test_fakeavceleb_names_the_real_video_of_each_fake(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=3)
    videos = rows(read("fakeavceleb", tmp_path))
    for row in videos.values():
        real = f"fakeavceleb/real/RealVideo-RealAudio/{row['identity']}/00109_real"
        assert row["source_video"] == (real if row["label"] else None)
        assert row["source_video"] is None or row["source_video"] in videos


def test_fakeavceleb_takes_the_real_video_with_the_fakes_number(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=1)
    table = tmp_path / "meta_data.csv"
    line = "id00000,-,-,real,A,RealVideo-RealAudio,African,men,00002.mp4,"
    folder = "FakeAVCeleb/RealVideo-RealAudio/African/men/id00000"
    table.write_text(table.read_text() + line + folder + "\n")
    touch(tmp_path, ("RealVideo-RealAudio/African/men/id00000/00002.mp4",))
    sources = {row["source_video"] for row in rows(read("fakeavceleb", tmp_path)).values()}
    assert sources == {None, "fakeavceleb/real/RealVideo-RealAudio/id00000/00109_real"}


PREVIEW = {
    "original_videos/643755/643755_A_000.mp4": {"label": "real", "set": "train"},
    "original_videos/643755/643755_A_001.mp4": {"label": "real", "set": "train"},
    "original_videos/643755/643755_B_000.mp4": {"label": "real", "set": "train"},
    "method_A/643755/643755_99_A_001.mp4": {"label": "fake", "set": "train"},
    "method_A/643755/643755_99_A_007.mp4": {"label": "fake", "set": "train"},
    "method_B/x/strange.mp4": {
        "label": "fake",
        "set": "train",
        "target_id": "643755",
        "source_video": "643755_B",
    },
    "method_B/x/stranger.mp4": {"label": "fake", "set": "test"},
}


def test_dfdc_preview_gives_people_and_originals_from_its_list_and_names(tmp_path: Path) -> None:
    write(tmp_path, "dataset.json", json.dumps(PREVIEW))
    touch(tmp_path, PREVIEW)
    videos = rows(read("dfdc_preview", tmp_path))
    of_person = "dfdc-preview/original_videos/643755/643755"
    assert {name.rpartition("/")[2]: row["source_video"] for name, row in videos.items()} == {
        "643755_A_000": None,
        "643755_A_001": None,
        "643755_B_000": None,
        "643755_99_A_001": f"{of_person}_A_001",
        "643755_99_A_007": f"{of_person}_A_000",
        "strange": f"{of_person}_B_000",
        "stranger": None,
    }
    assert {row["identity"] for name, row in videos.items() if "stranger" not in name} == {"643755"}
    assert videos["dfdc-preview/method_B/x/stranger"]["identity"] is None


def test_dfdc_preview_takes_videos_of_unknown_people_in_several_sets_for_no_person(
    tmp_path: Path,
) -> None:
    listed = PREVIEW | {"method_B/x/unknown.mp4": {"label": "fake", "set": "train"}}
    write(tmp_path, "dataset.json", json.dumps(listed))
    touch(tmp_path, listed)
    manifest = read("dfdc_preview", tmp_path)
    assert manifest.remarks.total() == 0
    assert rows(manifest)["dfdc-preview/method_B/x/unknown"]["identity"] is None


def test_dfdc_preview_with_a_person_in_two_sets_is_read_without_that_identity(
    tmp_path: Path,
) -> None:
    listed = {name: dict(entry) for name, entry in PREVIEW.items()}
    listed["original_videos/643755/643755_B_000.mp4"]["set"] = "test"
    write(tmp_path, "dataset.json", json.dumps(listed))
    touch(tmp_path, listed)
    manifest = read("dfdc_preview", tmp_path)
    assert {row["identity"] for row in rows(manifest).values()} == {None}
    assert manifest.remarks.total() == 6
