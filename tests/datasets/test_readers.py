"""Each corpus as it is published: its splits, classes and rules, and its lists when they are wrong."""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dfray.config import CorpusSection
from dfray.datasets import readers
from dfray.datasets.files import Files
from dfray.datasets.readers import READERS, reader
from dfray.datasets.readers.rows import LeftOut
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import LAYOUTS, write
from tests.helpers.manifests import classes, read, rows


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_a_short_module_whose_docstring_states_its_layout(name: str) -> None:
    module = import_module(f"dfray.datasets.readers.{READERS[name]}")
    assert module.__file__
    title, layout = reader(name).title, reader(name).layout
    assert title.endswith(".")
    assert "\n" not in title
    assert re.search(r"^    \S", layout, re.MULTILINE), "files and folders are indented"
    assert module.__doc__
    assert module.__doc__.strip() == f"{title}\n\n{layout}"
    assert len(Path(module.__file__).read_text().splitlines()) < 100
    assert reader(name).read is module.read


def test_the_example_of_a_new_reader_works_as_it_is_written(tmp_path: Path) -> None:
    lines = (readers.__doc__ or "").splitlines()
    code: dict[str, Any] = {}
    exec(textwrap.dedent("\n".join(line for line in lines if line[:4].isspace() or not line)), code)
    corpora.touch(tmp_path, ("clips/real/0007.mp4", "clips/swapped/1000.mp4"))
    corpus = CorpusSection(reader="folder", root=str(tmp_path))
    manifest = list(code["read"](corpus, Files(str(tmp_path))))
    assert [(row["video_id"], row["split"], row["label"]) for row in manifest] == [
        ("mine/real/0007", "train", 0),
        ("mine/swapped/1000", "test", 1),
    ]
    assert code["PUBLISHED"].fake == 2000


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_whole_corpus_misses_nothing_and_has_both_classes(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path)
    manifest = read(name, tmp_path)
    assert manifest.missing == []
    assert set(manifest.videos["label"].to_pylist()) == {0, 1}
    (dataset,) = set(manifest.videos["dataset"].to_pylist())
    assert set(manifest.published) == {dataset}
    assert None not in manifest.videos["licence"].to_pylist()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_corpus_that_is_not_there_is_refused_with_what_is_wanted(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=r"is missing|holds no|No video is present"):
        read(name, tmp_path)


BY_NAME = {"deepspeak_v2", "kodf"}
"""Readers whose lists give names without folders: a missing file is named, and its folder is not known."""


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"dfd", "ffiw", "wilddeepfake"} - BY_NAME))
def test_with_half_its_files_gone_a_corpus_lists_them_and_keeps_the_rest(
    name: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    complete = read(name, tmp_path)
    files = [Path(uri) for uri in complete.videos["uri"].to_pylist()]
    gone = files[::2]
    for path in gone:
        for file in [*path.glob("*")] if path.is_dir() else [path]:
            file.unlink()
    manifest = read(name, tmp_path)
    lost = {str(path) for path in gone}
    kept = {row["uri"] for row in manifest.videos.to_pylist()}
    assert kept == {str(path) for path in files} - lost
    # read from the listing of files, not from a list of the corpus
    listed_nowhere = {"celeb_df": 3, "celeb_df_pp": 3, "df40": 11}.get(name, 0)
    assert len(lost - set(manifest.missing)) <= listed_nowhere
    assert set(manifest.missing) <= lost
    before, after = complete.comparisons()[-1], manifest.comparisons()[-1]
    counted = [row for row in complete.videos.to_pylist() if row["uri"] in lost]
    if name == "idforge":  # the number of its fakes is not published
        counted = [row for row in counted if row["category"] == "real"]
    assert before.subset == after.subset == ("real" if name == "idforge" else "all")
    assert after.videos == before.videos - len(counted)


def test_a_corpus_can_be_put_into_one_split(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    manifest = read("wilddeepfake", tmp_path, split="test")
    assert set(manifest.videos["split"].to_pylist()) == {"test"}


def test_a_corpus_can_bring_some_of_its_splits_alone(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    manifest = read("dfdc", tmp_path, only=["test"])
    assert classes(manifest) == {("test", "real"): 1, ("test", "FS"): 1}
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        "in split train, and corpora.only is test": 4,
        "in split val, and corpora.only is test": 2,
    }


def test_some_methods_of_a_corpus_can_be_read_alone_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    corpora.ffpp(tmp_path)
    methods = ["Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures"]
    manifest = read("ffpp", tmp_path, methods=methods)
    fakes = {row["method"] for row in rows(manifest).values() if row["label"]}
    assert fakes == set(methods)
    assert classes(manifest)["train", "real"] == 2
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        f"of method FaceShifter, and corpora.methods is {', '.join(methods)}": 6
    }
    published = {row.subset: row.published for row in manifest.comparisons()}
    assert published == {
        **{"real": 1000, "fake": 4000, "all": 5000},
        **{"train": 3600, "val": 700, "test": 700},
    }


def test_methods_without_published_counts_are_compared_by_their_real_videos(tmp_path: Path) -> None:
    corpora.df40(tmp_path)
    manifest = read("df40", tmp_path, methods=["simswap"])
    assert {row["method"] for row in rows(manifest).values() if row["label"]} == {"simswap"}
    assert [(row.subset, row.published) for row in manifest.comparisons()] == [("real", 178)]


@pytest.mark.parametrize(
    ("method", "words"), [("Faceshifter", "Did you mean FaceShifter"), ("swap", "has: Deepfakes")]
)
def test_a_method_that_a_corpus_has_not_is_refused(tmp_path: Path, method: str, words: str) -> None:
    corpora.ffpp(tmp_path)
    with pytest.raises(ManifestError, match=rf"corpora.methods: ffpp has no .*'{method}'.*{words}"):
        read("ffpp", tmp_path, methods=["Face2Face", method])


def test_what_is_asked_for_is_of_the_corpus_own_splits(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    manifest = read("dfdc", tmp_path, only=["train", "val"], split="test")
    assert classes(manifest) == {("test", "real"): 3, ("test", "FS"): 3}


def test_a_split_that_the_corpus_has_not_is_refused_with_those_it_has(tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    with pytest.raises(
        ManifestError, match=r"celeb_df has no video in split val.*has: train, test"
    ):
        read("celeb_df", tmp_path, only=["val"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"only": ["test"]}, {"test": 5000}),
        ({"only": ["train", "val"]}, {"train": 119_154, "val": 4000}),
        ({"split": "test"}, {"real": 23_654, "fake": 104_500, "all": 128_154}),
        ({"split": "test", "only": ["test"]}, {}),
    ],
)
def test_a_part_of_a_corpus_stands_against_the_same_part_as_published(
    asked: dict[str, Any], told: dict[str, int], tmp_path: Path
) -> None:
    corpora.dfdc(tmp_path)
    manifest = read("dfdc", tmp_path, **asked)
    assert {row.subset: row.published for row in manifest.comparisons()} == told


def test_celeb_df_tests_on_its_list_and_has_no_validation(tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    manifest = read("celeb_df", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 4,
        ("train", "FS"): 1,
        ("test", "real"): 2,
        ("test", "FS"): 1,
    }
    fake = rows(manifest)["celeb-df-v2/Celeb-synthesis/id0_id1_0000"]
    assert fake["source_video"] == "celeb-df-v2/Celeb-real/id0_0000"


def test_celeb_df_refuses_a_list_that_contradicts_its_folders(tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    write(tmp_path, "List_of_testing_videos.txt", "0 Celeb-real/id2_0000.mp4\n")
    told = (
        r"id2_0000.mp4 is real in folder Celeb-real and fake in List_of_testing_videos.txt line 1"
    )
    with pytest.raises(ManifestError, match=told):
        read("celeb_df", tmp_path)


@pytest.mark.parametrize("line", ["2 Celeb-real/a.mp4", "1 Elsewhere/a.mp4", "Celeb-real/a.mp4"])
def test_celeb_df_refuses_a_line_that_is_none(line: str, tmp_path: Path) -> None:
    corpora.celeb_df(tmp_path)
    write(tmp_path, "List_of_testing_videos.txt", f"1 Celeb-real/id0_0000.mp4\n{line}\n")
    with pytest.raises(ManifestError, match="line 2"):
        read("celeb_df", tmp_path)


def test_dfdc_has_the_splits_of_its_archives_and_the_originals(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    manifest = read("dfdc", tmp_path)
    assert classes(manifest) == {
        (split, category): 2 if split == "train" else 1
        for split in ("train", "val", "test")
        for category in ("real", "FS")
    }
    assert rows(manifest)["dfdc/fake/bbbbbbbbbb"]["source_video"] == "dfdc/real/aaaaaaaaaa"


def test_dfdc_refuses_two_lists_that_contradict_each_other(tmp_path: Path) -> None:
    corpora.dfdc(tmp_path)
    write(tmp_path, "test/metadata.json", json.dumps({"eeeeeeeeee.mp4": {"is_fake": 0}}))
    told = r"test/eeeeeeeeee.mp4 is fake in test/labels.csv and real in test/metadata.json"
    with pytest.raises(ManifestError, match=told):
        read("dfdc", tmp_path)


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("validation/labels.csv", "file,label\n", r"labels.csv lacks the column\(s\) filename"),
        ("validation/labels.csv", "filename,label\na.mp4\n", "line 2: unknown label ''"),
        ("test/metadata.json", "{", "metadata.json is not valid JSON"),
        ("test/metadata.json", "[]", "holds no JSON object"),
        ("test/metadata.json", '{"a.mp4": 1}', "holds no JSON object of objects"),
        ("elsewhere/metadata.json", "{}", "folder gives no split"),
    ],
)
def test_dfdc_refuses_a_broken_list_by_name(
    path: str, text: str, told: str, tmp_path: Path
) -> None:
    corpora.dfdc(tmp_path)
    write(tmp_path, path, text)
    with pytest.raises(ManifestError, match=told):
        read("dfdc", tmp_path)


def test_fakeavceleb_leaves_out_fake_audio_and_repeated_lines(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path)
    manifest = read("fakeavceleb", tmp_path)
    reasons = {rule.reason: count for rule, count in manifest.left_out.items()}
    assert reasons == {"real video under fake audio": 40, "listed again in meta_data.csv": 1}
    category = {row["method"]: row["category"] for row in manifest.videos.to_pylist()}
    assert category == {
        "real": "real",
        "faceswap": "FS",
        "fsgan": "FS",
        "faceswap-wav2lip": "FS",
        "fsgan-wav2lip": "FS",
        "wav2lip": "RE",
    }


def test_fakeavceleb_is_split_by_person_always_alike_and_evenly(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=80)
    table = read("fakeavceleb", tmp_path).videos.to_pylist()
    splits = {row["identity"]: row["split"] for row in table}
    assert Counter(splits.values()) == {"train": 56, "val": 12, "test": 12}
    for half in ("African", "Asian"):
        people = {row["identity"] for row in table if f"/{half}/" in row["uri"]}
        assert 5 <= sum(splits[person] == "test" for person in people) <= 7
    for path in (tmp_path / "FakeVideo-FakeAudio").rglob("*.mp4"):
        path.unlink()
    again = read("fakeavceleb", tmp_path).videos.to_pylist()
    assert {row["identity"]: row["split"] for row in again} == splits


def test_fakeavceleb_tells_the_group_of_who_is_seen(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=4)
    corpus = CorpusSection(reader="fakeavceleb", root=str(tmp_path))
    read_rows = reader("fakeavceleb").read(corpus, Files(str(tmp_path)))
    told = {row["identity_group"] for row in read_rows if not isinstance(row, LeftOut)}
    assert told == {"men/African", "women/African", "men/Asian", "women/Asian"}


def test_fakeavceleb_refuses_a_row_whose_type_is_not_its_folders(tmp_path: Path) -> None:
    corpora.fakeavceleb(tmp_path, people=1)
    path = tmp_path / "meta_data.csv"
    path.write_text(path.read_text().replace("fsgan,A,FakeVideo-Real", "fsgan,A,RealVideo-Real"))
    with pytest.raises(ManifestError, match=r"fake in folder FakeVideo-RealAudio and real in meta"):
        read("fakeavceleb", tmp_path)


def test_forgerynet_reads_methods_from_its_lists(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    manifest = read("forgerynet", tmp_path)
    told = {(row["split"], row["method"], row["category"]) for row in manifest.videos.to_pylist()}
    assert told == {
        ("train", "real", "real"),
        ("train", "FaceShifter", "FS"),
        ("train", "ATVG-Net", "RE"),
        ("val", "real", "real"),
        ("val", "First Order Motion", "RE"),
        ("test", "real", "real"),
        ("test", "DeepFakes", "FS"),
    }
    assert [(rule.reason, n) for rule, n in manifest.left_out.items()] == [
        ("face editing or synthesis", 1)
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 a/b.mp4 0 9 1 0 1 1", r"real in .*line 1 \(binary label\) and fake in .*16-way"),
        ("2 a/b.mp4 0 9 1 1 1 1", r"line 1 has 8 words, not 5 \+ 3 n"),
        ("0 a/b.mp4 1 1 77", r"unknown 16-way label '77'"),
    ],
)
def test_forgerynet_refuses_a_line_that_contradicts_itself(
    line: str, told: str, tmp_path: Path
) -> None:
    corpora.forgerynet(tmp_path)
    write(tmp_path, "Training/video_list.txt", line)
    with pytest.raises(ManifestError, match=told):
        read("forgerynet", tmp_path)


def test_forgerynet_refuses_two_lists_that_contradict_each_other(tmp_path: Path) -> None:
    corpora.forgerynet(tmp_path)
    write(tmp_path, "Validation/video_list.txt", "0 train_video_release/16/aa/v0.mp4 1 1 1\n")
    told = r"v0.mp4 is real in Training/video_list.txt line 1 .* fake in Validation/video_list.txt"
    with pytest.raises(ManifestError, match=told):
        read("forgerynet", tmp_path)


def test_df40_is_nine_swapping_and_twelve_reenacting_methods_as_face_crops(tmp_path: Path) -> None:
    corpora.df40(tmp_path)
    manifest = read("df40", tmp_path)
    assert classes(manifest) == {("test", "real"): 2, ("test", "FS"): 9, ("test", "RE"): 12}
    assert {(row["kind"], row["n_images"]) for row in manifest.videos.to_pylist()} == {("faces", 3)}
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        "MidJourney: none of the 21 methods": 1,
        "heygen: none of the 21 methods": 1,
        "not made from Celeb-DF's test videos": 1,
    }


def test_df40_can_be_read_as_frames_or_as_videos(tmp_path: Path) -> None:
    corpora.df40(tmp_path / "pictures")
    frames = read("df40", tmp_path / "pictures", kind="frames")
    assert set(frames.videos["kind"].to_pylist()) == {"frames"}
    root = tmp_path / "videos"
    write(root, "Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id2_0000.mp4\n")
    corpora.touch(root, ("Celeb-DF-v2/Celeb-real/id2_0000.mp4", "fomm/cdf/videos/id2_id3.mp4"))
    videos = read("df40", root, kind="video")
    assert classes(videos) == {("test", "real"): 1, ("test", "RE"): 1}
    assert videos.missing == []


def test_df40_counts_pictures_that_are_no_frames_and_does_not_take_them(tmp_path: Path) -> None:
    corpora.df40(tmp_path)
    others = ("fomm/sample.png", "fomm/cdf/grid.png", "fomm/cdf/masks/id2_id3_0000/000.png")
    corpora.touch(tmp_path, ("cover.png", *others))
    manifest = read("df40", tmp_path)
    assert classes(manifest) == {("test", "real"): 2, ("test", "FS"): 9, ("test", "RE"): 12}
    reasons = {rule.reason: n for rule, n in manifest.left_out.items()}
    assert reasons["not cdf/frames/VIDEO, but masks or the like"] == 2
    assert reasons["not made from Celeb-DF's test videos"] == 2  # ff/frames, and METHOD/ itself


def test_df40_counts_videos_elsewhere_and_does_not_take_them(tmp_path: Path) -> None:
    write(tmp_path, "Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id2_0000.mp4\n")
    videos = ("fomm/cdf/videos/id2_id3.mp4", "fomm/cdf/masks/id2_id3.mp4", "fomm/demo.mp4")
    corpora.touch(tmp_path, ("Celeb-DF-v2/Celeb-real/id2_0000.mp4", *videos))
    manifest = read("df40", tmp_path, kind="video")
    assert classes(manifest) == {("test", "real"): 1, ("test", "RE"): 1}
    assert sum(manifest.left_out.values()) == 2


def test_wilddeepfake_takes_every_tenth_face_of_its_sequences(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    manifest = read("wilddeepfake", tmp_path)
    assert classes(manifest) == {
        (split, category): 2 if split == "train" else 1
        for split in ("train", "test")
        for category in ("real", "fake")
    }
    row = rows(manifest)["wilddeepfake/fake/train/1/7"]
    assert (row["kind"], row["stride"], row["n_images"]) == ("faces", 10, 3)  # 0, 10 and 20 of 21


def test_wilddeepfake_refuses_a_real_sequence_among_the_fakes(tmp_path: Path) -> None:
    corpora.wilddeepfake(tmp_path)
    corpora.touch(tmp_path, ("deepfake_in_the_wild/fake_test/3/real/8/0.png",))
    with pytest.raises(ManifestError, match=r"is fake in folder fake_test and real in folder real"):
        read("wilddeepfake", tmp_path)


def test_deepfake_eval_leaves_out_what_is_unknown(tmp_path: Path) -> None:
    corpora.deepfake_eval_2024(tmp_path)
    manifest = read("deepfake_eval_2024", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 1,
        ("train", "fake"): 1,
        ("test", "real"): 1,
        ("test", "fake"): 2,
    }
    assert [n for rule, n in manifest.left_out.items() if "Unknown" in rule.reason] == [1]


def test_deepfake_eval_refuses_its_two_tables_if_they_contradict_each_other(tmp_path: Path) -> None:
    corpora.deepfake_eval_2024(tmp_path)
    table = (tmp_path / "video-metadata-publish.csv").read_text()
    other = tmp_path / "video-metadata-publish-with-links.csv"
    other.write_text(table.replace("v2.mp4,Unknown", "v2.mp4,Real"))
    assert read("deepfake_eval_2024", tmp_path).videos.num_rows == 5
    other.write_text(table.replace("v1.mp4,Fake", "v1.mp4,Real"))
    with pytest.raises(
        ManifestError,
        match=r"v1.mp4 is real in .*links.csv line 3 and fake in .*publish.csv line 3",
    ):
        read("deepfake_eval_2024", tmp_path)


def test_the_clip_papers_test_sets(tmp_path: Path) -> None:
    for name in ("dfd", "dfdc_preview", "ffiw"):
        LAYOUTS[name](tmp_path / name)
    dfd = rows(read("dfd", tmp_path / "dfd"))
    fake = dfd["dfd/DeepFakeDetection/01_02__walking__YVGY8LOK"]
    assert fake["source_video"] in dfd
    assert (fake["identity"], fake["category"], len(dfd)) == ("01", "FS", 2)
    preview = read("dfdc_preview", tmp_path / "dfdc_preview")
    assert classes(preview) == {
        (split, category): 1 for split in ("train", "test") for category in ("real", "FS")
    }
    ffiw = read("ffiw", tmp_path / "ffiw")
    assert classes(ffiw) == {
        (split, category): 1 for split in ("train", "val", "test") for category in ("real", "FS")
    }


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_listed_video_that_is_in_no_folder_is_missing_by_its_name(
    name: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    complete = read(name, tmp_path)
    gone = Path(complete.videos["uri"][0].as_py())
    gone.unlink()
    manifest = read(name, tmp_path)
    assert manifest.missing == [str(tmp_path / gone.name)]
    assert manifest.videos.num_rows == complete.videos.num_rows - 1


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_two_files_of_a_listed_name_are_refused(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path)
    copied = Path(read(name, tmp_path).videos["uri"][0].as_py()).name
    corpora.touch(tmp_path, (f"zz/{copied}",))
    with pytest.raises(ManifestError, match=rf"{copied} and zz/{copied} have one name"):
        read(name, tmp_path)


def test_celeb_df_pp_has_three_scenarios_and_tests_on_its_list(tmp_path: Path) -> None:
    corpora.celeb_df_pp(tmp_path)
    manifest = read("celeb_df_pp", tmp_path)
    assert classes(manifest) == {
        ("train", "real"): 2,
        ("train", "FS"): 1,
        ("train", "TF"): 1,
        ("test", "real"): 1,
        ("test", "FS"): 1,
        ("test", "RE"): 1,
        ("test", "TF"): 1,
    }
    found = rows(manifest)
    for fake in ("BlendFace/id0_id1_0000", "FLOAT/id0_0000_test_0001"):
        row = found[f"celeb-df++/{fake}"]
        assert row["source_video"] == "celeb-df++/Celeb-real/id0_0000"
        assert row["method"] == fake.partition("/")[0]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("id0_id1_0000.mp4", r"holds Celeb-DF v2 .*Use reader: celeb_df\."),
        ("FaceSwap/id0_id1_0000.mp4", "in no folder Celeb-synthesis/SCENARIO/METHOD"),
        ("Editing/X/id0_id1_0000.mp4", "in no folder Celeb-synthesis/SCENARIO/METHOD"),
    ],
)
def test_celeb_df_pp_refuses_what_is_not_its_layout(path: str, told: str, tmp_path: Path) -> None:
    corpora.celeb_df_pp(tmp_path)
    corpora.touch(tmp_path, (f"Celeb-synthesis/{path}",))
    with pytest.raises(ManifestError, match=told):
        read("celeb_df_pp", tmp_path)


def test_celeb_df_pp_publishes_178_reals_and_the_fakes_of_22_methods_to_test_on() -> None:
    published = reader("celeb_df_pp").published
    assert published
    assert published.test == 178 + 8 * 200 + 7 * 200 + 7 * 300
    assert published.train + published.test == published.real + published.fake


def test_deepspeak_is_split_by_person_and_its_engines_have_categories(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    manifest = read("deepspeak_v2", tmp_path)
    assert classes(manifest) == {
        (split, category): 1 if category in ("real", "FS") else {"RE": 2, "TF": 3}[category]
        for split in ("train", "test")
        for category in ("real", "FS", "RE", "TF")
    }
    row = rows(manifest)["deepspeak-v2/memo/memo-1101-1100-playht"]
    assert (row["identity"], row["source_video"]) == ("11", "deepspeak-v2/real/11-1100")
    assert row["source_video"] in rows(manifest)


def test_deepspeak_says_whose_donor_is_of_the_other_split(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    table = tmp_path / "annotations-fake.csv"
    table.write_text(table.read_text().replace("facefusion,11,11", "facefusion,12,11"))
    manifest = read("deepspeak_v2", tmp_path)
    ((remark, count),) = manifest.remarks.items()
    assert (count, "of the other split" in remark.text) == (1, True)
    assert rows(manifest)["deepspeak-v2/facefusion/facefusion-1101-1100-playht"]["split"] == "train"


def test_deepspeak_leaves_out_people_without_a_split(tmp_path: Path) -> None:
    corpora.deepspeak_v2(tmp_path)
    write(tmp_path, "annotations-split-def.csv", "identity,split\n11,train\n")
    manifest = read("deepspeak_v2", tmp_path)
    assert [(rule.reason, n) for rule, n in manifest.left_out.items()] == [
        ("its person is not in annotations-split-def.csv", 7)
    ]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("annotations-split-def.csv", "identity,split\n11,val\n", "line 2: 'val' is no split"),
        ("annotations-split-def.csv", "identity,split\n11,test\n11,train\n", "line 3: 'train'"),
        ("annotations-real.csv", "file,identity\n", r"lacks the column\(s\) video-file"),
        ("annotations-real.csv", "video-file,identity\n,11\n", "a row without a name"),
        (
            "annotations-fake.csv",
            "video-file,engine,identity-target\na,wav2lip,11\n",
            r"line 2: unknown engine 'wav2lip'.*DeepSpeak v1",
        ),
    ],
)
def test_deepspeak_refuses_a_broken_list_by_name(
    path: str, text: str, told: str, tmp_path: Path
) -> None:
    corpora.deepspeak_v2(tmp_path)
    write(tmp_path, path, text)
    with pytest.raises(ManifestError, match=told):
        read("deepspeak_v2", tmp_path)


def test_kodf_reads_splits_models_and_targets_from_its_lists(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    manifest = read("kodf", tmp_path)
    assert classes(manifest) == {
        (split, category): {"real": 2, "FS": 3, "RE": 1, "TF": 1}[category]
        for split in ("train", "val")
        for category in ("real", "FS", "RE", "TF")
    }
    row = rows(manifest)["kodf/audio-driven/p1_p9_5_0001"]
    assert (row["identity"], row["source_video"]) == ("p1", "kodf/real/p1_000")
    assert row["source_video"] in rows(manifest)


def test_kodf_reads_lists_whose_names_a_mac_has_taken_apart(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    before = read("kodf", tmp_path)
    for path in [*(tmp_path / "meta").iterdir()]:
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert read("kodf", tmp_path).videos.equals(before.videos)


def test_kodf_with_a_person_in_two_splits_is_read_without_that_identity(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    table = tmp_path / "meta/원본영상_validation_메타데이터.csv"
    table.write_text(table.read_text().replace(",p2,", ",p1,"))
    manifest = read("kodf", tmp_path)
    assert {row["identity"] for row in rows(manifest).values()} == {None, "p2"}
    assert manifest.remarks.total() == 2 + 5 + 2


@pytest.mark.parametrize("kind", ["원본영상", "변조영상"])
def test_kodf_without_a_list_of_either_class_is_refused(kind: str, tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    for path in (tmp_path / "meta").glob(f"{kind}*"):
        path.unlink()
    with pytest.raises(ManifestError, match=rf"holds no {kind}_training_메타데이터.csv or"):
        read("kodf", tmp_path)


def test_kodf_refuses_a_model_that_it_has_not(tmp_path: Path) -> None:
    corpora.kodf(tmp_path)
    table = tmp_path / "meta/변조영상_training_메타데이터.csv"
    table.write_text(table.read_text().replace("fsgan", "gan"))
    with pytest.raises(ManifestError, match=r"training.* line 4: unknown model 'gan'.*dfl, dffs"):
        read("kodf", tmp_path)


def test_idforge_judges_the_picture_alone_and_keeps_people_apart(tmp_path: Path) -> None:
    corpora.idforge(tmp_path)
    manifest = read("idforge", tmp_path)
    assert classes(manifest) == {
        (split, category): 1
        for split in ("train", "val", "test")
        for category in ("real", "FS", "TF")
    }
    assert {rule.reason: n for rule, n in manifest.left_out.items()} == {
        "real picture under a forged voice": 3
    }
    row = rows(manifest)["idforge/face_rvc_textmismatch/id00_03/id00_scene_0015_0_infoswap"]
    assert (row["identity"], row["split"]) == ("id00", "val")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pristine/id00/a.mp4", "line 1: 'pristine/id00/a.mp4' is no path"),
        ("hair/id00/id00_03/a.mp4", "line 1: 'hair/id00/id00_03/a.mp4' is no path"),
        ("pristine/id01/id01_03/id01_scene_0010-0.mp4", "is in train.csv .*and in val.csv"),
    ],
)
def test_idforge_refuses_a_line_that_is_none_or_in_two_lists(
    line: str, told: str, tmp_path: Path
) -> None:
    corpora.idforge(tmp_path)
    write(tmp_path, "val.csv", f"{line}\n")
    with pytest.raises(ManifestError, match=told):
        read("idforge", tmp_path)


def test_what_was_found_stands_against_what_is_published(tmp_path: Path) -> None:
    corpora.ffpp(tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos/000.mp4").unlink()
    manifest = read("ffpp", tmp_path, dataset="mine")
    counts = {row.subset: (row.videos, row.published) for row in manifest.comparisons()}
    assert counts == {
        "train": (11, 4320),
        "val": (12, 840),
        "test": (12, 840),
        "real": (5, 1000),
        "fake": (30, 5000),
        "all": (35, 6000),
    }
    assert {row.dataset for row in manifest.comparisons()} == {"mine"}
    assert manifest.comparisons()[0].share == pytest.approx(11 / 4320)


def test_the_published_counts_add_up_to_the_papers_totals() -> None:
    trained = [
        reader(n).published for n in ("ffpp", "celeb_df", "dfdc", "fakeavceleb", "forgerynet")
    ]
    told = [p for p in trained if p is not None]
    assert len(told) == 5
    assert sum(p.train for p in told) == 208_401
    assert sum(p.val for p in told) == 17_971
    assert sum(p.test for p in told) == 23_052
    assert sum(p.real for p in told) == 74_205
    assert sum(p.fake for p in told) == 175_219
    assert all(p.train + p.val + p.test == p.real + p.fake for p in told)
