"""Losses by name: the library's own, told what they need, refused in the recipe's words."""

import math

import pytest
import torch

from dfray.config import MetricSection
from dfray.errors import RecipeError
from dfray.losses.metric import build_metric_loss, metric_losses

NEEDED = {
    "RankedListLoss": {"margin": 0.4, "Tn": 1},
    "MarginLoss": {"learn_beta": True},
    "TripletMarginLoss": {"triplets_per_anchor": 3},
}


def loss_of(name, num_classes=3, embedding_dim=8, **options):
    return loss_with(name, options, num_classes, embedding_dim)


def loss_with(name, options, num_classes=3, embedding_dim=8):
    section = MetricSection(name=name, options=options)
    return build_metric_loss(section, num_classes=num_classes, embedding_dim=embedding_dim)


def random_batch(size=12, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, 8, generator=generator, dtype=dtype), torch.arange(size) % 3


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")  # HistogramLoss
@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # SphereFaceLoss
@pytest.mark.parametrize("name", sorted(metric_losses()))
def test_every_loss_of_the_library_that_learns_from_labels_trains(name):
    torch.manual_seed(0)
    loss = loss_of(name, **NEEDED.get(name, {}))
    embeddings, labels = random_batch()
    embeddings.requires_grad_()
    value = loss(embeddings, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert embeddings.grad.abs().sum() > 0
    for parameter in loss.parameters():
        assert parameter.grad.abs().sum() > 0


def naive_arcface(embeddings, labels, centres, margin_deg=28.6, scale=64.0):
    """arXiv 1801.07698 equation 3, sample by sample; `centres` is (D, C)."""
    total = 0
    for point, label in zip(embeddings.double(), labels.tolist(), strict=True):
        angles = [
            torch.dot(point / point.norm(), centre / centre.norm()).clamp(-1, 1).acos()
            for centre in centres.double().T
        ]
        logits = torch.stack([scale * angle.cos() for angle in angles])
        logits[label] = scale * (angles[label] + math.radians(margin_deg)).cos()
        total = total - logits.log_softmax(dim=0)[label]
    return total / len(labels)


def naive_supcon(embeddings, labels, temperature=0.1):
    """arXiv 2004.11362 equation 2, anchor by anchor."""
    points = [point / point.norm() for point in embeddings.double()]
    total = 0
    for i, anchor in enumerate(points):
        others = [j for j in range(len(points)) if j != i]
        logits = {j: torch.dot(anchor, points[j]) / temperature for j in others}
        norm = torch.logsumexp(torch.stack(list(logits.values())), dim=0)
        positives = [j for j in others if labels[j] == labels[i]]
        total = total - sum(logits[j] - norm for j in positives) / len(positives)
    return total / len(points)


def naive_proxy_anchor(embeddings, labels, proxies, margin=0.1, alpha=32.0):
    """arXiv 2003.13911 equation 4, proxy by proxy; every class is in the batch."""
    pulled, pushed = 0, 0
    for own, proxy in enumerate(proxies.double()):
        near, far = 0, 0
        for point, label in zip(embeddings.double(), labels.tolist(), strict=True):
            cosine = torch.dot(point / point.norm(), proxy / proxy.norm())
            if label == own:
                near = near + torch.exp(-alpha * (cosine - margin))
            else:
                far = far + torch.exp(alpha * (cosine + margin))
        pulled, pushed = pulled + torch.log(1 + near), pushed + torch.log(1 + far)
    return (pulled + pushed) / len(proxies)


NAIVE = {
    "ArcFaceLoss": lambda e, labels, loss: naive_arcface(e, labels, loss.W.detach()),
    "SupConLoss": lambda e, labels, _: naive_supcon(e, labels),
    "ProxyAnchorLoss": lambda e, labels, loss: naive_proxy_anchor(e, labels, loss.proxies.detach()),
}


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-6), (torch.float32, 2e-4), (torch.bfloat16, 2e-2)],
)
@pytest.mark.parametrize("name", NAIVE)
def test_the_librarys_loss_is_its_papers_definition(name, dtype, tolerance):
    torch.manual_seed(0)
    loss = loss_of(name)
    ours, theirs = (random_batch(dtype=dtype)[0].requires_grad_() for _ in range(2))
    labels = random_batch()[1]
    value = loss(ours, labels)
    expected = NAIVE[name](theirs, labels, loss.loss)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value.double(), expected, rtol=min(tolerance, 2e-4), atol=1e-6)
    scale = theirs.grad.abs().max().item()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=tolerance * scale)


def test_what_follows_from_the_model_is_filled_in():
    assert loss_of("ArcFaceLoss", num_classes=4, embedding_dim=5).loss.W.shape == (5, 4)
    assert loss_of("SubCenterArcFaceLoss", 4, 5, sub_centers=2).loss.W.shape == (5, 8)
    assert loss_of("ProxyAnchorLoss", num_classes=4, embedding_dim=5).loss.proxies.shape == (4, 5)
    assert not list(loss_of("SupConLoss").parameters())


def test_options_reach_the_loss():
    assert loss_of("SupConLoss", temperature=0.5).loss.temperature == 0.5


def test_trying_a_loss_out_leaves_the_seed_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    loss_of("SupConLoss")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ArcfaceLos", r"no loss 'ArcfaceLos'.*Did you mean ArcFaceLoss"),
        ("Xyz", r"no loss 'Xyz'.*It has AngularLoss, ArcFaceLoss"),
        ("CrossBatchMemory", r"no loss 'CrossBatchMemory'"),
        ("VICRegLoss", r"VICRegLoss compares two views"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, told):
    with pytest.raises(RecipeError, match=rf"objective\.metric\.name: .*{told}"):
        loss_of(name)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("ArcFaceLoss", {"margn": 2}, r"cannot be built .*'margn'.*options are margin, scale"),
        ("ArcFaceLoss", {"num_classes": 7}, r"gets num_classes from the model"),
        ("RankedListLoss", {}, r"missing 2 required .*'margin' and 'Tn'"),
        ("ContrastiveLoss", {"pos_margin": "a"}, r"fails with .*TypeError"),
        ("ContrastiveLoss", {"distance": "cosine"}, r"fails with .*not callable"),
    ],
)
def test_options_that_a_loss_does_not_take_are_refused(name, options, told):
    with pytest.raises(RecipeError, match=rf"objective\.metric\.options: {name} .*{told}"):
        loss_with(name, options)
