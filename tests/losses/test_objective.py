"""The objective is the sum of its terms, and a term of weight 0 is not there."""

import pytest
import torch
import torch.nn.functional as F

from dfray.config import HypersphereSection, MetricSection, ObjectiveSection, TripletSection
from dfray.losses import objective as module
from dfray.losses.hard_triplet import batch_hard_triplet, easy_positive_triplet
from dfray.losses.hypersphere import alignment, uniformity
from dfray.losses.objective import Objective
from dfray.losses.triplet import batch_all_triplet


def objective_of(weight, margin=1.0):
    return Objective(ObjectiveSection(triplet=TripletSection(weight=weight, margin=margin)))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=generator, requires_grad=True)
    embeddings = torch.randn(12, 5, generator=generator, requires_grad=True)
    return logits, embeddings, torch.arange(12) % 3


@pytest.mark.parametrize("training", [True, False])
def test_loss_is_cross_entropy_plus_the_weighted_triplet(batch, training):
    logits, embeddings, labels = batch
    terms = objective_of(0.3, margin=0.7).train(training)(logits, embeddings, labels)
    triplet, active, valid = batch_all_triplet(embeddings, labels, 0.7)
    assert terms["cross_entropy"] == F.cross_entropy(logits, labels)
    assert terms["triplet"] == triplet > 0
    assert terms["active_triplets"] == active / valid
    assert terms["loss"] == terms["cross_entropy"] + 0.3 * triplet


def test_a_weight_of_zero_mines_no_triplet(batch, monkeypatch):
    def forbidden(*_):
        raise AssertionError("a triplet was mined")

    monkeypatch.setitem(module.TRIPLET_LOSSES, "batch_all", forbidden)
    logits, embeddings, labels = batch
    terms = objective_of(0.0)(logits, embeddings, labels)
    terms["loss"].backward()
    assert embeddings.grad is None
    assert terms["loss"] == terms["cross_entropy"]
    assert terms["triplet"] == terms["active_triplets"] == 0


def test_a_batch_of_one_class_still_trains(batch):
    logits, embeddings, _ = batch
    terms = objective_of(1.0)(logits, embeddings, torch.zeros(12, dtype=torch.long))
    terms["loss"].backward()
    assert terms["triplet"] == terms["active_triplets"] == 0
    assert (embeddings.grad == 0).all()
    assert (logits.grad != 0).any()


def test_half_precision_is_computed_in_float32(batch):
    logits, embeddings, labels = (tensor.detach() for tensor in batch)
    half = objective_of(0.5)(logits.bfloat16(), embeddings.bfloat16(), labels)
    full = objective_of(0.5)(logits.bfloat16().float(), embeddings.bfloat16().float(), labels)
    assert half == full
    assert all(term.dtype == torch.float32 for term in half.values())


EVERYTHING = ObjectiveSection(
    label_smoothing=0.1,
    triplet=TripletSection(strategy="batch_hard", weight=0.3),
    hypersphere=HypersphereSection(alignment=0.1, uniformity=0.5),
    metric=MetricSection(name="ArcFaceLoss", options={"scale": 8.0}, weight=0.2),
)


def built(section):
    torch.manual_seed(0)
    return Objective(section, num_classes=3, embedding_dim=5)


@pytest.mark.parametrize(
    ("strategy", "loss_of"),
    [
        ("batch_all", batch_all_triplet),
        ("batch_hard", batch_hard_triplet),
        ("easy_positive", easy_positive_triplet),
    ],
)
def test_the_strategy_of_the_triplets_is_the_recipes(batch, strategy, loss_of):
    logits, embeddings, labels = batch
    section = ObjectiveSection(triplet=TripletSection(strategy=strategy, weight=0.3, margin=0.7))
    terms = built(section)(logits, embeddings, labels)
    triplet, active, valid = loss_of(embeddings, labels, 0.7)
    assert terms["triplet"] == triplet > 0
    assert terms["active_triplets"] == active / valid


def test_the_loss_is_the_weighted_sum_of_all_terms(batch):
    logits, embeddings, labels = batch
    objective = built(EVERYTHING)
    terms = objective(logits, embeddings, labels)
    assert terms["cross_entropy"] == F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert terms["alignment"] == alignment(embeddings, labels)
    assert terms["uniformity"] == uniformity(embeddings)
    assert terms["metric"] == objective.metric(embeddings, labels)
    weights = {"cross_entropy": 1, "triplet": 0.3, "alignment": 0.1, "uniformity": 0.5}
    total = sum(weight * terms[name] for name, weight in (weights | {"metric": 0.2}).items())
    torch.testing.assert_close(terms["loss"], total)


def naive_cross_entropy(logits, labels, smoothing):
    """Sample by sample: the label's class gets 1 - smoothing, and all C share the rest alike."""
    total = 0
    for row, label in zip(logits.double(), labels.tolist(), strict=True):
        log_probability = [score - torch.log(sum(row.exp())) for score in row]
        total = total - (1 - smoothing) * log_probability[label]
        total = total - smoothing * sum(log_probability) / len(row)
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)],
)
def test_cross_entropy_is_its_definition(batch, dtype, tolerance, smoothing):
    logits, embeddings, labels = batch
    ours, theirs = (logits.detach().to(dtype).requires_grad_() for _ in range(2))
    objective = built(ObjectiveSection(label_smoothing=smoothing))
    value = objective(ours, embeddings.to(dtype), labels)["cross_entropy"]
    expected = naive_cross_entropy(theirs, labels, smoothing)
    value.backward()
    expected.backward()
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(value.double(), expected, rtol=min(tolerance, 1e-5), atol=1e-6)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=1e-6)


def test_labels_are_smoothed_in_training_only(batch):
    logits, embeddings, labels = batch
    objective = built(ObjectiveSection(label_smoothing=0.2)).eval()
    smoothed = naive_cross_entropy(logits, labels, 0.2)
    assert objective(logits, embeddings, labels)["loss"] == F.cross_entropy(logits, labels)
    trained = objective.train()(logits, embeddings, labels)["loss"]
    torch.testing.assert_close(trained.double(), smoothed)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_term_keeps_the_precision_and_reaches_the_embeddings(batch, dtype):
    logits, embeddings, labels = (
        t.detach().to(dtype) if t.is_floating_point() else t for t in batch
    )
    embeddings.requires_grad_()
    terms = built(EVERYTHING)(logits, embeddings, labels)
    expected = torch.promote_types(dtype, torch.float32)
    assert {term.dtype for term in terms.values()} == {expected}
    for name in ("triplet", "alignment", "uniformity", "metric"):
        embeddings.grad = None
        terms[name].backward(retain_graph=True)
        assert embeddings.grad.abs().sum() > 0


def test_a_batch_of_one_class_trains_with_every_term(batch):
    logits, embeddings, _ = batch
    terms = built(EVERYTHING)(logits, embeddings, torch.ones(12, dtype=torch.long))
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])
    assert torch.isfinite(embeddings.grad).all()


def balanced(steps):
    return built(ObjectiveSection(triplet=TripletSection(weight="balance", balance_steps=steps)))


def test_a_balanced_weight_makes_the_two_terms_equal_and_then_stays(batch):
    logits, embeddings, labels = batch
    objective = balanced(2)
    first = {name: term.detach() for name, term in objective(*batch).items()}
    torch.testing.assert_close(first["loss"], 2 * first["cross_entropy"])
    objective(logits, embeddings, labels)
    weight = objective.end_epoch()["triplet_weight"]
    assert weight == pytest.approx(float(first["cross_entropy"] / first["triplet"]), rel=1e-6)
    later = objective(3 * logits, embeddings, labels)
    torch.testing.assert_close(later["loss"], later["cross_entropy"] + weight * later["triplet"])
    assert objective.end_epoch() == {"triplet_weight": weight}


def test_a_balanced_weight_is_settled_by_the_end_of_the_epoch(batch):
    objective = balanced(100)
    terms = {name: term.detach() for name, term in objective(*batch).items()}
    weight = objective.end_epoch()["triplet_weight"]
    assert weight == pytest.approx(float(terms["cross_entropy"] / terms["triplet"]), rel=1e-6)
    logits, embeddings, labels = batch
    objective(5 * logits, embeddings, labels)
    assert objective.end_epoch() == {"triplet_weight": weight}


def test_a_constant_weight_is_no_figure_of_the_run():
    assert built(EVERYTHING).end_epoch() == {}


def test_slerp_replaces_the_features_and_asks_the_head_for_their_logits(batch):
    logits, embeddings, labels = batch
    section = ObjectiveSection(
        triplet=TripletSection(weight=0.5), hypersphere=HypersphereSection(slerp=True)
    )
    head = torch.nn.Linear(5, 3)
    objective, seen = built(section), []

    def told_head(features):
        seen.append(features)
        return head(features)

    terms = objective(logits, embeddings, labels, told_head)
    assert terms["cross_entropy"] == F.cross_entropy(head(seen[0]), labels)
    assert terms["triplet"] == batch_all_triplet(seen[0], labels, 1.0)[0]
    assert not torch.allclose(seen[0], embeddings)
    terms["loss"].backward()
    assert head.weight.grad.abs().sum() > 0
    evaluated = objective.eval()(logits, embeddings, labels, told_head)
    assert evaluated["cross_entropy"] == F.cross_entropy(logits, labels)
    assert len(seen) == 1


def test_parameters_of_a_loss_train_in_a_group_without_weight_decay():
    section = MetricSection(name="ProxyAnchorLoss", lr_scale=100.0)
    objective = built(ObjectiveSection(metric=section))
    (group,) = objective.parameter_groups()
    assert [tuple(parameter.shape) for parameter in group["params"]] == [(3, 5)]
    assert (group["weight_decay"], group["lr_scale"]) == (0.0, 100.0)


@pytest.mark.parametrize("metric", [None, MetricSection(name="SupConLoss")])
def test_without_parameters_there_is_no_group(metric):
    assert built(ObjectiveSection(metric=metric)).parameter_groups() == []
