"""The model card: terms that forbid something first and loudly, then use, figures and origin."""

import pytest

from dfray.datasets.manifest import Manifest
from dfray.evaluation.protocol import ColumnMetrics
from dfray.models.bundle_description import DecisionRule
from dfray.models.fsfm import LICENCE as FSFM_LICENCE
from dfray.models.weights import weights_licence
from dfray.serving.model_card import (
    DESCRIPTION_LIMIT,
    CardContext,
    Corpus,
    as_description,
    protocol_table,
    write_card,
)
from dfray.text import markdown
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.tiny import FIGURES, RECIPE
from tests.registry.test_gates import ONE

TAGS = {
    "dfray.recipe_fingerprint": "1111aaaa",
    "dfray.manifest_fingerprint": "2222bbbb",
    "dfray.faces_fingerprint": "3333cccc",
    "mlflow.source.git.commit": "c0ffee",
}
FREE = Corpus("mine", "CC BY 4.0", {"train": 1200, "test": 3})
CLOSED = Corpus("ff++", "FaceForensics++ terms of use (non-commercial research)", {"train": 5})


def description(**model) -> dict:
    recipe = RECIPE.model_dump(mode="json")
    recipe["model"] |= model
    return {
        "recipe": recipe,
        "class_names": ["real", "fake"],
        "dfray_version": "0.1.0",
        "weights_sha256": "abcd",
    } | DecisionRule().stored()


def card(*corpora: Corpus, evaluation: str = "", **model) -> str:
    return write_card(
        "faces", description(**model), TAGS, FIGURES, CardContext(corpora, evaluation)
    )


def test_non_commercial_terms_stand_before_everything_else():
    text = card(FREE, CLOSED)
    warning = text.index("NON-COMMERCIAL USE ONLY")
    assert warning < text.index("Intended use")
    assert "ff++: FaceForensics++ terms of use (non-commercial research)" in text
    assert (
        "| ff++ | 5 | 0 | 0 | **FaceForensics++ terms of use (non-commercial research)** |" in text
    )
    assert "| mine | 1,200 | 0 | 3 | CC BY 4.0 |" in text


@pytest.mark.parametrize("licence", ["CC BY-NC 4.0", "cc-by-nc-sa-4.0", "Noncommercial only"])
def test_such_terms_are_known_by_their_usual_names(licence: str):
    assert "NON-COMMERCIAL" in card(Corpus("a", licence, {}))


def test_free_terms_raise_no_alarm():
    assert "⚠" not in card(FREE)


def test_terms_that_nobody_states_are_told_as_unknown():
    text = card(Corpus("odd", None, {"train": 5}), weights="s3://mine/vit.pth")
    assert "TERMS NOT KNOWN** of the pretrained weights, odd" in text
    assert "| odd | 5 | 0 | 0 | not stated |" in text


def test_weights_bring_their_own_licence():
    fsfm = {
        "backbone": "vit_base_patch16_224",
        "weights": "hf://Wolowolo/fsfm-3c",
        "weights_layout": "fsfm",
    }
    assert f"the pretrained weights: {FSFM_LICENCE}" in card(FREE, **fsfm)
    timm = RECIPE.model.model_copy(
        update={"backbone": "vit_base_patch16_224.augreg_in21k", "weights": "timm"}
    )
    assert weights_licence(timm) == "apache-2.0, as timm states it"
    assert weights_licence(RECIPE.model) == "none: trained from scratch"
    assert "- pretrained weights: none: trained from scratch\n" in card(FREE)


def test_heads_and_pooling_are_told_and_what_a_pretrained_network_lost_by_it():
    vit = {"backbone": "vit_small_patch16_224", "weights": "timm", "pool": "avg", "num_heads": 6}
    told = (
        "6 attention heads; pool avg in place of timm's token; lost: norm.* (2); random start: "
        "fc_norm.* (2); classes real, fake"
    )
    assert markdown(told) in card(FREE, **vit)
    scratch = card(FREE, backbone="vit_small_patch16_224", num_heads=12)
    assert "12 attention heads; pool avg; classes" in scratch


def test_it_tells_origin_figures_and_limits():
    text = card(FREE, evaluation="| AUC by dataset |")
    for told in (
        *("1111aaaa", "2222bbbb", "3333cccc", "c0ffee", "abcd", RECIPE.model.backbone),
        "AUC, video level: 0.9100",
        "**Not** as proof",
        "| AUC by dataset |",
        "evaluation set: `demo`",
    ):
        assert told in text


def test_the_corpora_come_from_the_manifest_with_their_licences():
    rows = [
        video_row("a", licence="CC0"),
        fake_row("b", licence="CC0", split="test"),
        fake_row("c", dataset="other"),
    ]
    manifest = Manifest(videos_table(rows), [], {})
    assert CardContext.of(manifest.videos, "").corpora == [
        Corpus("other", None, {"train": 1}),
        Corpus("toy", "CC0", {"train": 1, "test": 1}),
    ]


def test_it_tells_the_views_of_a_face_and_what_they_cost():
    assert "- views of a face: whole\n" in card(FREE)
    seen = DecisionRule(decision_criteria={"views": ["whole", "flip"]}).stored()
    text = write_card("faces", description() | seen, TAGS, FIGURES, CardContext([FREE]))
    assert "- views of a face: whole, flip: 2 passes of the network over each face" in text


def test_a_protocols_table_has_what_was_measured_and_counts_the_rest():
    table = protocol_table(
        ONE,
        [ColumnMetrics(0.9, 0.7, 0.8, 10, 12, note="9 of 10 methods"), ColumnMetrics(None, None)],
    )
    assert "| all / Toys | 0.9000 | 0.7000 | 0.8000 | 10 | 12 | 9 of 10 methods |" in table
    assert "Mean" not in table
    assert "1 of 2 columns were not measured." in table


def test_mlflows_description_is_cut_off_with_a_word_and_keeps_the_warning():
    long = card(CLOSED, evaluation="| figures |\n" * 1000)
    short = as_description(long)
    assert len(short) == DESCRIPTION_LIMIT
    assert "NON-COMMERCIAL" in short
    assert short.endswith("the whole card is MODEL_CARD.md in the package.")
    assert as_description(card(FREE)) == card(FREE)
