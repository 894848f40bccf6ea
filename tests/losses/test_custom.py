"""A loss of this project is one file: written in dfray/losses/custom, it is trained by its name."""

from __future__ import annotations

import sys
import textwrap

import pytest
import torch

from dfray.config import ObjectiveSection
from dfray.errors import RecipeError
from dfray.losses import custom
from dfray.losses.metric import metric_losses
from dfray.losses.objective import Objective

LABELS = torch.tensor([0, 1, 0, 1])


@pytest.fixture
def class_centre_loss(tmp_path, monkeypatch):
    """The file of the package's docstring, as if it were in the folder."""
    lines = (custom.__doc__ or "").splitlines()
    code = "\n".join(line for line in lines if line[:4].isspace() or not line)
    (tmp_path / "class_centre.py").write_text(textwrap.dedent(code))
    monkeypatch.setattr(custom, "__path__", [*custom.__path__, str(tmp_path)])
    metric_losses.cache_clear()
    yield
    metric_losses.cache_clear()
    sys.modules.pop(f"{custom.__name__}.class_centre", None)


def objective(**options) -> Objective:
    torch.manual_seed(0)
    metric = {"name": "ClassCentreLoss", "options": options, "weight": 0.5}
    section = ObjectiveSection.model_validate({"triplet": {"weight": 0}, "metric": metric})
    return Objective(section, num_classes=2, embedding_dim=8)


def test_without_its_file_the_loss_is_unknown():
    with pytest.raises(RecipeError, match="no loss 'ClassCentreLoss'"):
        objective()


def test_one_file_makes_a_loss_that_a_recipe_can_name(class_centre_loss):
    terms_of = objective(scale=3.0)
    torch.manual_seed(1)
    embeddings, logits = torch.randn(4, 8, requires_grad=True), torch.zeros(4, 2)
    terms = terms_of(logits, embeddings, LABELS)
    (centres,) = terms_of.parameters()
    pairs = zip(embeddings.detach(), LABELS, strict=True)
    naive = 3.0 * sum(float((x - centres.detach()[y]).square().sum()) for x, y in pairs)
    assert terms["metric"].item() == pytest.approx(naive / 4, rel=1e-5)
    torch.testing.assert_close(terms["loss"], terms["cross_entropy"] + 0.5 * terms["metric"])
    terms["loss"].backward()
    assert embeddings.grad.abs().sum() > 0
    assert centres.grad.abs().sum() > 0  # trained with the objective's parameter group
    assert terms_of.parameter_groups()[0]["params"] == [centres]


def test_its_arguments_are_checked_as_those_of_the_library_are(class_centre_loss):
    with pytest.raises(RecipeError, match=r"cannot be built.*Its options are scale"):
        objective(radius=1)
