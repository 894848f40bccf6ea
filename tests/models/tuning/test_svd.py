"""Effort's trained components: the paper's count, a complement that is kept, and its two losses."""

from __future__ import annotations

import pytest
import torch

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.tuning.counts import ParameterCounts
from dfray.models.tuning.svd import Residual, penalties
from tests.models.tuning.kit import detector_of, section_of, trained


def test_clips_trained_parameters_are_the_papers():
    """0.19 M (arXiv 2411.15633): one component of four projections in each of 24 layers."""
    with torch.device("meta"), SkipDraws():
        section = ModelSection(backbone="vit_large_patch14_clip_quickgelu_224", tuning="svd")
        detector = build_detector(section, 2)
    assert ParameterCounts.of(detector.backbone).trained == 24 * 4 * (1024 + 1 + 1024)


@pytest.mark.parametrize(("rows", "cols"), [(12, 8), (8, 12), (8, 8)])
def test_the_smallest_components_are_trained_beside_the_leading_ones(rows, cols):
    torch.manual_seed(0)
    weight = torch.randn(3 * rows, cols)
    residual = Residual(weight, count=3, rank=2)
    u, s, vt = residual.right_inverse(weight)
    torch.testing.assert_close(residual(u, s, vt), weight, rtol=1e-5, atol=1e-5)
    for i, matrix in enumerate(weight.view(3, rows, cols)):
        values = torch.linalg.svdvals(matrix)
        torch.testing.assert_close(s[i], values[-2:])
        kept = torch.linalg.svdvals(residual.main.view(3, rows, cols)[i])
        torch.testing.assert_close(kept[:-2], values[:-2])
        assert kept[-2:].max() < 1e-5


@pytest.mark.parametrize(("rows", "cols"), [(12, 8), (8, 12), (8, 8)])
def test_its_losses_are_those_of_all_singular_vectors_together(rows, cols):
    torch.manual_seed(0)
    weight = torch.randn(2 * rows, cols)
    residual = Residual(weight, count=2, rank=3)
    moved = [part + 0.1 * torch.randn_like(part) for part in residual.right_inverse(weight)]
    orthogonality, change = residual.penalties(*moved)
    expected_orthogonality = expected_change = 0.0
    for i, matrix in enumerate(weight.view(2, rows, cols)):
        u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
        left = torch.cat([u[:, :-3], moved[0][i]], dim=1)
        right = torch.cat([vt[:-3], moved[2][i]])
        eye = torch.eye(min(rows, cols))
        expected_orthogonality += (left.T @ left - eye).square().sum()
        expected_orthogonality += (right @ right.T - eye).square().sum()
        now = residual(*moved).view(2, rows, cols)[i]
        expected_change += (now.square().sum() - matrix.square().sum()).abs()
    torch.testing.assert_close(orthogonality, expected_orthogonality, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(change, expected_change, rtol=1e-4, atol=1e-4)


def test_its_losses_are_zero_at_the_start_and_pull_back_what_leaves_it():
    detector = detector_of("svd", tuning_targets=("attn.qkv", "mlp.fc1", "mlp.fc2"))
    assert all(term < 1e-6 for term in penalties(detector).values())
    moved = {name: term.item() for name, term in penalties(trained(detector)).items()}
    assert all(value > 1e-3 for value in moved.values())
    chosen = [p for n, p in detector.named_parameters() if "original" in n]
    optimizer = torch.optim.Adam(chosen, lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        sum(penalties(detector).values()).backward()
        optimizer.step()
    assert all(term < 0.7 * moved[name] for name, term in penalties(detector).items())


def test_a_rank_that_freezes_nothing_is_refused():
    with pytest.raises(RecipeError, match=r"64 trained components of blocks.0.attn.qkv.*Use 63"):
        build_detector(section_of("svd", tuning_rank=64), 2)
