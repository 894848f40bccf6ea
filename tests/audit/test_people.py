"""Shared people of two corpora are counted by name, or known by their origin, or said not to be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.audit.names import DATASETS, named_people
from dfray.audit.people import ORIGINS, SharedPeople, shared_people
from dfray.config import CorpusSection
from dfray.datasets.readers import READERS
from tests.helpers.rows import fake_row, video_row, videos_table


def corpus(reader: str, **more: str) -> CorpusSection:
    return CorpusSection(**{"reader": reader, "root": "/nowhere", **more})


def people(rows: list[dict], *corpora: CorpusSection) -> dict[tuple[str, str], SharedPeople]:
    found = shared_people(videos_table(rows), corpora)
    return {(pair.trained, pair.tested): pair for pair in found}


def celeb(stem: str, split: str, dataset: str = "celeb-df-v2") -> dict:
    return video_row(stem, dataset=dataset, split=split)


def test_celebrities_are_counted_by_the_names_of_files_donors_too() -> None:
    rows = [
        *(celeb(stem, "train") for stem in ("id0_0000", "id1_id2_0003", "00001")),
        *(celeb(stem, "test") for stem in ("id2_0001", "id0_id7_0000", "00170")),
    ]
    pair = people(rows, corpus("celeb_df"))["celeb-df-v2", "celeb-df-v2"]
    assert (pair.known, pair.shared, pair.of, pair.unnamed) == ("number", 2, 3, 1)
    assert str(pair) == "2 of 3 named"
    assert "1 of 3 tested videos name nobody" in pair.reason


def test_df40s_reals_are_the_celebrities_of_celeb_df() -> None:
    rows = [celeb("id0_0000", "train"), celeb("id0_0002", "test", "df40")]
    pair = people(rows, corpus("celeb_df"), corpus("df40"))["celeb-df-v2", "df40"]
    assert (pair.known, pair.shared) == ("number", 1)


def test_talking_faces_of_celeb_df_pp_name_their_celebrity() -> None:
    names = [
        named_people("celeb_df_pp", f"celeb-df++/FLOAT/{stem}", None)
        for stem in ("id0_0000_test_0001", "id0_id1_0003", "id0_0000", "00001")
    ]
    id0, id1 = ("celeb_df", "id0"), ("celeb_df", "id1")
    assert names == [{id0}, {id0, id1}, {id0}, None]


def test_faces_of_both_videos_of_a_pair_count_in_faceforensics() -> None:
    rows = [
        fake_row("000_003", dataset="ff++", identity="000"),
        video_row("003", dataset="ff++", identity="003", split="test"),
    ]
    assert people(rows, corpus("ffpp"))["ff++", "ff++"].shared == 1


def test_actors_filmed_for_a_corpus_are_nobody_from_the_web() -> None:
    rows = [
        video_row("000", dataset="ff++", identity="000"),
        video_row("01__hall", dataset="dfd", identity="01", split="test"),
        video_row("a", dataset="fakeavceleb", identity="id00076", split="test"),
    ]
    found = people(rows, corpus("ffpp"), corpus("dfd"), corpus("fakeavceleb"))
    none, unknown = found["ff++", "dfd"], found["ff++", "fakeavceleb"]
    assert (none.known, str(none)) == ("none", "none")
    assert "YouTube" in none.reason
    assert (unknown.known, unknown.shared) == ("not known", None)


def test_people_of_a_corpus_without_names_are_not_known() -> None:
    rows = [video_row("a", dataset="dfdc"), video_row("b", dataset="dfdc", split="test")]
    pair = people(rows, corpus("dfdc"))["dfdc", "dfdc"]
    assert (pair.known, str(pair)) == ("not known", "not known")


def test_datasets_of_one_list_share_their_names_and_those_of_two_do_not() -> None:
    rows = [
        video_row("a", dataset="x", identity="anna"),
        video_row("b", dataset="y", identity="anna", split="test"),
    ]
    assert people(rows, corpus("csv"))["x", "y"].shared == 1
    two = people(
        rows, corpus("csv", dataset="x", root="/one"), corpus("csv", dataset="y", root="/other")
    )["x", "y"]
    assert two.known == "not known"
    assert "x and y" in two.reason


def test_a_published_corpus_is_known_under_the_name_that_a_recipe_gives_it(tmp_path: Path) -> None:
    rows = [celeb("id0_0000", "train", "mine"), celeb("id0_0001", "test", "mine")]
    assert people(rows, corpus("celeb_df", dataset="mine"))["mine", "mine"].shared == 1


@pytest.mark.parametrize("reader", sorted(DATASETS))
def test_the_default_names_of_datasets_are_those_of_the_readers(reader: str) -> None:
    from importlib import import_module

    module = import_module(f"dfray.datasets.readers.{READERS[reader]}")
    assert f'corpus.dataset or "{DATASETS[reader]}"' in Path(str(module.__file__)).read_text()


def test_origins_are_of_readers_that_there_are() -> None:
    assert ORIGINS.keys() <= READERS.keys()


def test_people_of_the_dfdc_preview_are_counted_though_the_manifest_leaves_them_out() -> None:
    rows = [
        video_row("643755_A_001", dataset="dfdc-preview"),
        fake_row("12_643755_B_001", dataset="dfdc-preview", split="test"),
    ]
    pair = people(rows, corpus("dfdc_preview"))["dfdc-preview", "dfdc-preview"]
    assert (pair.shared, pair.of) == (1, 2)


def test_donors_whom_a_corpus_does_not_name_are_mentioned() -> None:
    rows = [
        video_row(name, dataset="fakeavceleb", identity=name, split=split)
        for name, split in (("id1", "train"), ("id2", "test"))
    ]
    pair = people(rows, corpus("fakeavceleb"))["fakeavceleb", "fakeavceleb"]
    assert (pair.shared, str(pair)) == (0, "none of 1 named")
    assert "donors of its swapped faces are not named" in pair.reason
    assert not pair.is_told


@pytest.mark.parametrize("unnamed", ["train", "test"])
def test_one_name_among_videos_that_name_nobody_tells_nothing(unnamed: str) -> None:
    named = [celeb("id0_0000", "train"), celeb("id1_0000", "test")]
    (pair,) = people(named, corpus("celeb_df")).values()
    assert pair.is_told
    others = [celeb(f"0{number:04d}", unnamed) for number in range(1000)]
    (pair,) = people([*named, *others], corpus("celeb_df")).values()
    assert (pair.shared, pair.is_told) == (0, False)
    assert (pair.unnamed, pair.unnamed_trained) == ((1000, 0) if unnamed == "test" else (0, 1000))
    assert "1,000 of 1,001" in pair.reason
    (pair,) = people([*named, *others, celeb("id0_0001", "test")], corpus("celeb_df")).values()
    assert (pair.shared, pair.is_told) == (1, True)


def test_a_video_of_youtube_real_names_nobody() -> None:
    assert named_people("celeb_df", "celeb-df-v2/YouTube-real/00170", None) is None
    assert named_people("folder", "x/real/a", None) is None
