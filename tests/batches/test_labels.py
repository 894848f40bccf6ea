"""Label schemes: real is class 0, and a manifest that cannot tell the classes is refused."""

import numpy as np
import pytest

from dfray.batches.labels import BINARY, LabelScheme
from dfray.errors import ManifestError
from tests.helpers.rows import fake_row, video_row, videos_table


def corpus(dataset, split="train", kinds=("FS", "RE")):
    rows = [video_row("r", dataset=dataset, split=split)]
    return rows + [fake_row(kind, dataset=dataset, split=split, category=kind) for kind in kinds]


TWO_CORPORA = [
    *corpus("ff++"),
    *corpus("celeb-df", kinds=("FS",)),
    *corpus("ff++", "val"),
    *corpus("unseen", "test", kinds=("fake",)),
]


def learnt(rows):
    return videos_table([row for row in rows if row["split"] != "test"])


def test_binary_is_real_and_fake_whatever_the_fakes_are():
    videos = videos_table(TWO_CORPORA)
    assert LabelScheme.of("binary", videos) == BINARY
    assert BINARY.index(videos).tolist() == videos["label"].to_pylist()


def test_by_category_the_classes_are_real_fs_and_re():
    classes = LabelScheme.of("category", videos_table(TWO_CORPORA))
    assert classes.class_names == ("real", "FS", "RE")
    index = classes.index(learnt(TWO_CORPORA))
    assert index.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert index.dtype == np.int64


def test_talking_faces_are_reenactments_as_in_the_paper():
    rows = corpus("celeb-df++", kinds=("FS", "TF"))
    classes = LabelScheme.of("category", videos_table(rows))
    assert classes.class_names == ("real", "FS", "RE")
    assert classes.index(videos_table(rows)).tolist() == [0, 1, 2]


def test_by_dataset_each_has_a_class_of_its_fakes_and_all_reals_share_one():
    classes = LabelScheme.of("dataset", videos_table(TWO_CORPORA))
    assert classes.class_names == ("real", "fake:celeb-df", "fake:ff++")
    assert classes.index(learnt(TWO_CORPORA)).tolist() == [0, 2, 2, 0, 1, 0, 2, 2]


def test_the_order_of_the_manifest_does_not_matter():
    forwards = LabelScheme.of("dataset", videos_table(TWO_CORPORA))
    assert LabelScheme.of("dataset", videos_table(TWO_CORPORA[::-1])) == forwards


def test_a_dataset_of_real_videos_alone_makes_no_class():
    rows = [*TWO_CORPORA, *corpus("ffhq", kinds=())]
    assert "fake:ffhq" not in LabelScheme.of("dataset", videos_table(rows)).class_names


@pytest.mark.parametrize(
    ("scheme", "rows", "told"),
    [
        (
            "category",
            corpus("toy", kinds=("fake",)),
            r"category needs FS, RE or TF for every fake; 1 of 1 .*toy/swap/fake.*datasets: toy",
        ),
        (
            "category",
            [*corpus("ff++"), *corpus("dfdc", "val", kinds=("fake",))],
            r"1 of 3 in train and val .*dfdc",
        ),
        ("category", corpus("ff++", kinds=("FS",)), r"split train has no RE video"),
        ("dataset", corpus("ff++"), r"two datasets or more in split train; it has those of ff\+\+"),
        ("dataset", corpus("ff++", kinds=()), r"it has those of none"),
        (
            "dataset",
            [*TWO_CORPORA, *corpus("dfdc", "val")],
            r"split val has fakes of dfdc, of which train has none",
        ),
    ],
)
def test_a_manifest_that_cannot_tell_the_classes_is_refused(scheme, rows, told):
    with pytest.raises(ManifestError, match=rf"batches\.labels: .*{told}"):
        LabelScheme.of(scheme, videos_table(rows))


def test_a_video_of_no_class_is_refused():
    classes = LabelScheme.of("dataset", videos_table(TWO_CORPORA))
    with pytest.raises(ManifestError, match=r"no class for fake:unseen; its classes are real, "):
        classes.index(videos_table(TWO_CORPORA))
