"""Corpora as they are published: whole, in part, with files gone, and against published counts."""

from __future__ import annotations

import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dfray.config import CorpusSection
from dfray.datasets import readers
from dfray.datasets.files import Files
from dfray.datasets.readers import READERS, reader
from dfray.errors import ManifestError
from tests.helpers import corpora
from tests.helpers.corpora import LAYOUTS
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
