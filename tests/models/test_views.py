"""Views of a face: what each shows, what their mean is of, and that a bundle scores by those it states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from dfray.config import PASSES, EvaluationSection
from dfray.models.bundle import Bundle, fake_log_odds
from dfray.models.bundle_description import DecisionRule, read_decision_rule, write_decision_rule
from dfray.models.views import running_mean, views_of
from tests.models.test_bundle import FACES, bundle_of

ALL = tuple(PASSES)


def seen_by(bundle: Bundle, *views: str) -> Bundle:
    """Return the bundle, to score by these views."""
    bundle.decision_criteria = EvaluationSection(views=list(views)).decision_criteria
    return bundle


def symmetric(bundle: Bundle) -> Bundle:
    """Return the bundle with a ViT that cannot tell a face from its mirror image."""
    vit = bundle.detector.backbone
    with torch.no_grad():
        kernel = vit.patch_embed.proj.weight
        kernel.copy_((kernel + kernel.flip(3)) / 2)
        rows, columns = vit.patch_embed.grid_size
        grid = vit.pos_embed[:, 1:].reshape(1, rows, columns, -1)
        vit.pos_embed[:, 1:] = ((grid + grid.flip(2)) / 2).reshape(1, rows * columns, -1)
    return bundle


def test_views_show_the_face_its_mirror_image_the_corners_and_the_centre() -> None:
    faces = torch.arange(2 * 8 * 8 * 3).to(torch.uint8).reshape(2, 8, 8, 3)
    (whole,) = views_of(faces, ["whole"])
    (flip,) = views_of(faces, ["flip"])
    crops = list(views_of(faces, ["crops"]))
    assert torch.equal(whole, faces)
    assert torch.equal(flip[:, :, 0], faces[:, :, 7])
    assert {crop.shape for crop in crops} == {(2, 7, 7, 3)}
    corners = [faces[:, :7, :7], faces[:, :7, 1:], faces[:, 1:, :7], faces[:, 1:, 1:]]
    assert all(map(torch.equal, crops, corners))
    flipped = list(views_of(faces, ["flipped_crops"]))
    assert torch.equal(flipped[0], faces[:, :7, 1:].flip(2))


def test_the_centre_of_a_256_px_face_is_its_224_px() -> None:
    *_, centre = views_of(
        torch.arange(256).expand(1, 256, 256)[..., None].expand(-1, -1, -1, 3), ["crops"]
    )
    assert centre.shape == (1, 224, 224, 3)
    assert (centre[0, 0, 0, 0], centre[0, 0, -1, 0]) == (16, 239)


@pytest.mark.parametrize("views", [("whole",), ("flip",), ("whole", "flip"), ALL])
def test_the_network_runs_as_often_as_the_views_are_said_to_cost(views: tuple[str, ...]) -> None:
    bundle, runs = seen_by(bundle_of(), *views), []
    bundle.detector.register_forward_hook(lambda *_: runs.append(1))
    bundle.predict(FACES)
    assert len(runs) == sum(PASSES[view] for view in views)


@pytest.mark.parametrize("count", [2, 3, 7, 10])
def test_the_mean_of_equal_values_is_that_value_bit_for_bit(count: int) -> None:
    value = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 10
    assert torch.equal(running_mean([value] * count), value)


def test_equal_views_give_the_score_of_one_bit_for_bit() -> None:
    faces = np.concatenate([FACES[:, :, :24], FACES[:, :, :24][:, :, ::-1]], axis=2)
    one, two = (
        seen_by(bundle_of(), *views).predict(faces) for views in (["whole"], ["whole", "flip"])
    )
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_a_network_that_does_not_tell_left_from_right_scores_a_flip_alike() -> None:
    one = symmetric(bundle_of("vit_tiny_patch16_224")).predict(FACES)[0]
    both = seen_by(symmetric(bundle_of("vit_tiny_patch16_224")), "whole", "flip").predict(FACES)[0]
    np.testing.assert_allclose(both, one, rtol=0, atol=1e-6)
    other = seen_by(bundle_of("vit_tiny_patch16_224"), "whole", "flip").predict(FACES)[0]
    plain = bundle_of("vit_tiny_patch16_224").predict(FACES)[0]
    assert np.abs(other - plain).max() > 1e-5, "another network does tell them apart"


def test_a_score_is_the_mean_of_log_odds_over_the_temperature() -> None:
    bundle = seen_by(bundle_of(class_names=("real", "FS", "RE")), *ALL)
    bundle.temperature = 1.7
    faces = torch.from_numpy(FACES)
    with torch.inference_mode():
        odds = [
            fake_log_odds(bundle.detector.eval()(bundle.preprocess(view))[0])
            for view in views_of(faces, ALL)
        ]
    expected = torch.sigmoid(torch.stack(odds).mean(dim=0) / 1.7)
    np.testing.assert_allclose(bundle.predict(FACES)[0], expected.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(
        bundle.predict(FACES)[1], bundle_of(class_names=("real", "FS", "RE")).predict(FACES)[1]
    )


def test_a_saved_bundle_states_its_views_and_scores_by_them(tmp_path: Path) -> None:
    bundle = seen_by(bundle_of(), "flip", "whole")
    bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path)
    assert loaded.decision_rule.views == ("whole", "flip")
    np.testing.assert_array_equal(loaded.predict(FACES)[0], bundle.predict(FACES)[0])
    write_decision_rule(tmp_path, DecisionRule())
    assert read_decision_rule(tmp_path).views == ("whole",)
    np.testing.assert_array_equal(
        Bundle.load(tmp_path).predict(FACES)[0], bundle_of().predict(FACES)[0]
    )


def test_a_bundle_of_an_earlier_date_scores_the_face_as_it_is(tmp_path: Path) -> None:
    bundle_of().save(tmp_path)
    content = json.loads((tmp_path / "bundle.json").read_text())
    assert set(content["wish"]) == {"threshold", "calibrate", "video_rule"}
    content["recipe"]["evaluation"].pop("views")
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    assert Bundle.load(tmp_path).decision_rule.views == ("whole",)


@pytest.mark.parametrize(
    ("views", "told"),
    [([], "at least 1 item"), (["flip", "flip"], "each view counts once"), (["turn"], "whole")],
)
def test_views_that_are_none_or_twice_are_refused(views: list[str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        EvaluationSection(views=views)
