"""A saved model is the model: bit for bit, whole, or refused."""

import json
import shutil

import numpy as np
import pytest
import torch

from dfray import storage
from dfray.config import CorpusSection, EvaluationSection, ModelSection, Recipe
from dfray.errors import ModelFileError
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle, fake_probability
from dfray.models.bundle_description import (
    DecisionRule,
    read_decision_rule,
    read_faces,
    read_recipe,
    write_decision_rule,
)
from dfray.models.preprocess import Preprocess

FACES = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)


def bundle_of(backbone="resnet10t", class_names=("real", "fake"), **options):
    torch.manual_seed(0)
    section = ModelSection(backbone=backbone, size_px=32, mean=(0.5, 0.4, 0.3), **options)
    recipe = Recipe(name="a", corpora=[CorpusSection(reader="folder", root="x")], model=section)
    detector = build_detector(section, len(class_names))
    for module in detector.modules():  # running statistics must travel too
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    return Bundle(
        detector=detector,
        preprocess=Preprocess(section),
        recipe=recipe.model_dump(mode="json"),
        class_names=class_names,
        threshold=0.5,
        faces=recipe.faces.model_dump(mode="json"),
    )


@pytest.fixture(scope="module")
def _saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    bundle_of().save(folder)
    return folder


@pytest.fixture
def saved(_saved, tmp_path):
    """A bundle that the test may damage."""
    return shutil.copytree(_saved, tmp_path / "model")


@pytest.mark.parametrize("backbone", ["resnet10t", "vit_tiny_patch16_224"])
def test_round_trip_is_bit_equal(backbone, tmp_path):
    bundle = bundle_of(backbone, class_names=("real", "FS", "RE"))
    bundle.save(tmp_path)
    state = torch.get_rng_state()
    loaded = Bundle.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)  # no weights were drawn that the file replaces
    for before, after in zip(bundle.predict(FACES), loaded.predict(FACES), strict=True):
        np.testing.assert_array_equal(before, after)
    assert loaded.recipe == bundle.recipe
    assert loaded.faces == bundle.faces
    assert loaded.class_names == ("real", "FS", "RE")
    assert loaded.threshold == 0.5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle.json", "model.safetensors"]


@pytest.mark.parametrize(
    "start",
    [
        {"weights": "timm"},
        {"weights": "hf://nobody/nothing", "weights_layout": "fsfm"},
        {"weights": "s3://nowhere/weights.pth"},
    ],
)
def test_it_loads_without_the_weights_it_started_from(start, tmp_path, hub_cache):
    bundle = bundle_of()
    bundle.recipe["model"] |= start | {"mean": None, "std": None}
    bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path)
    assert loaded.recipe["model"]["weights"] == start["weights"]
    for before, after in zip(bundle.predict(FACES), loaded.predict(FACES), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_frozen_normalised_detector_comes_back_as_it_was(tmp_path):
    options = {"tuning": "norm_layers", "normalise_embedding": True, "head_init_std": 2e-5}
    bundle = bundle_of("vit_tiny_patch16_224", **options)
    bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path)
    for before, after in zip(bundle.predict(FACES), loaded.predict(FACES), strict=True):
        np.testing.assert_array_equal(before, after)
    trained = [p.requires_grad for p in bundle.detector.parameters()]
    assert [p.requires_grad for p in loaded.detector.parameters()] == trained
    np.testing.assert_allclose(np.linalg.norm(loaded.predict(FACES)[1], axis=1), 1, rtol=1e-6)


def test_predict_gives_probabilities_and_embeddings_of_each_face():
    bundle = bundle_of(class_names=("real", "FS", "RE"))
    scores, embeddings = bundle.predict(FACES)
    with torch.inference_mode():
        logits, expected = bundle.detector(bundle.preprocess(torch.from_numpy(FACES)))
    np.testing.assert_allclose(scores, 1 - logits.softmax(1)[:, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(embeddings, expected.numpy(), rtol=1e-5)
    assert scores.dtype == embeddings.dtype == np.float32
    assert scores.shape == (5,)
    assert embeddings.shape == (5, 512)


def test_predict_does_not_depend_on_how_faces_are_batched():
    bundle = bundle_of()
    for whole, parts in zip(
        bundle.predict(FACES), bundle.predict(FACES, batch_size=2), strict=True
    ):
        np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-6)


def test_predict_of_no_faces_is_empty():
    scores, embeddings = bundle_of().predict(FACES[:0])
    assert scores.shape == (0,)
    assert embeddings.shape == (0, 512)


def test_fake_probability_is_the_sum_of_all_classes_but_real():
    logits = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0], [-100.0, 3.0, 3.0]])
    torch.testing.assert_close(fake_probability(logits), torch.tensor([2 / 3, 0.0, 1.0]))
    assert fake_probability(logits).max() <= 1


def flip_a_byte(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


def truncate_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def truncate_description(folder):
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text[: len(text) // 2])


def edit_description(**changes):
    def damage(folder):
        description = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(description | changes))

    return damage


def drop_mean(folder):
    description = json.loads((folder / "bundle.json").read_text())
    del description["mean"]
    (folder / "bundle.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip_a_byte, "SHA-256"),
        (truncate_weights, "SHA-256"),
        (truncate_description, "is not valid JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda folder: (folder / "bundle.json").unlink(), "no bundle.json"),
        (edit_description(schema_version=99), "version 99"),
        (edit_description(class_names=["real", "FS", "RE"]), "does not fit resnet10t"),
        (drop_mean, "mean is missing"),
    ],
)
def test_a_damaged_model_is_refused(saved, damage, words):
    damage(saved)
    with pytest.raises(ModelFileError, match=words):
        Bundle.load(saved)


def test_a_save_cut_short_leaves_nothing_that_loads(saved, monkeypatch):
    def out_of_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dfray.models.bundle.save_file", out_of_space)
    with pytest.raises(OSError, match="No space"):
        bundle_of().save(saved)
    with pytest.raises(ModelFileError, match=r"no bundle\.json"):
        Bundle.load(saved)


def test_a_temperature_divides_the_log_odds_and_keeps_the_order():
    logits = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    plain, warm = fake_probability(logits), fake_probability(logits, 3.0)
    torch.testing.assert_close(warm.logit(), plain.logit() / 3, rtol=1e-4, atol=1e-4)
    assert torch.equal(plain.argsort(), warm.argsort())


def test_of_two_classes_a_temperature_is_the_softmax_of_the_divided_logits():
    logits = torch.randn(64, 2) * 5
    torch.testing.assert_close(fake_probability(logits, 2.5), (logits / 2.5).softmax(1)[:, 1])


def test_a_decision_is_kept_beside_the_weights_and_applied_to_scores(saved):
    section = EvaluationSection(threshold={"fpr": 0.1}, video_rule="max_of_persons")
    rule = DecisionRule(0.62, 2.5, "val-1234", section.decision_criteria)
    before, _ = Bundle.load(saved).predict(FACES)
    write_decision_rule(saved, rule)
    loaded = Bundle.load(saved)
    assert read_decision_rule(saved) == rule
    assert (loaded.threshold, loaded.temperature) == (0.62, 2.5)
    after, _ = loaded.predict(FACES)
    odds = np.log(before.astype(float)) - np.log1p(-before.astype(float))
    np.testing.assert_allclose(after, 1 / (1 + np.exp(-odds / 2.5)), rtol=1e-4)
    loaded.save(saved)
    assert read_decision_rule(saved) == rule


def test_the_keys_of_a_stored_decision_rule_are_those_of_the_bundles_that_exist(saved):
    """Registered versions hold `wish`; a new name in the code must not make them unreadable."""
    criteria = {"threshold": {"fpr": 0.1}, "calibrate": True, "video_rule": "max_of_persons"}
    stored = {"threshold": 0.6, "temperature": 2.0, "fitted_on": "val-1", "wish": criteria}
    description = json.loads((saved / "bundle.json").read_text()) | stored
    (saved / "bundle.json").write_text(json.dumps(description))
    rule = read_decision_rule(saved)
    assert rule == DecisionRule(0.6, 2.0, "val-1", criteria)
    assert rule.stored() == stored
    write_decision_rule(saved, rule)
    assert json.loads((saved / "bundle.json").read_text()) == description


def test_a_bundle_from_before_calibration_still_loads(saved):
    description = json.loads((saved / "bundle.json").read_text())
    del description["temperature"], description["fitted_on"], description["wish"]
    description["recipe"]["evaluation"] = {"video_rule": "max_of_persons"}
    (saved / "bundle.json").write_text(json.dumps(description))
    assert (
        read_decision_rule(saved).video_rule == "max_of_persons"
    )  # of the recipe it was trained by
    assert (read_decision_rule(saved).threshold, read_decision_rule(saved).fitted_on) == (0.5, None)
    assert Bundle.load(saved).temperature == 1.0


def test_its_decision_faces_and_recipe_are_read_from_s3_without_its_weights(saved, bucket):
    """Only the description is there."""
    storage.put(saved / "bundle.json", f"{bucket}/model/bundle.json")
    write_decision_rule(f"{bucket}/model", DecisionRule(threshold=0.7))
    assert read_decision_rule(f"{bucket}/model").threshold == 0.7
    assert read_faces(f"{bucket}/model")["margin_ratio"] == 1.3
    assert read_recipe(f"{bucket}/model")["name"] == "a"
