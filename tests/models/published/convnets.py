"""DeepfakeBench's Xception and EfficientNet-B4 by their definitions, in torch functions.

The names of the weights are those of its files, and are all that is shared with anything else.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.published.encoders import Draw, Weights

XCEPTION_BLOCKS = (
    (64, 128, 2, 2),
    (128, 256, 2, 2),
    (256, 728, 2, 2),
    *[(728, 728, 3, 1)] * 8,
    (728, 1024, 2, 2),
)
"""Channels in, channels out, separable convolutions, stride, of arXiv 1610.02357's twelve blocks."""

B4_STAGES = (
    (3, 1, 1, 48, 24, 2),
    (3, 2, 6, 24, 32, 4),
    (5, 2, 6, 32, 56, 4),
    (3, 2, 6, 56, 112, 6),
    (5, 1, 6, 112, 160, 6),
    (5, 2, 6, 160, 272, 8),
    (3, 1, 6, 272, 448, 2),
)
"""Kernel, stride, expansion, channels in, channels out, blocks, of EfficientNet-B4 (arXiv 1905.11946)."""


class Fitted(dict[str, Tensor]):
    """Weights whose running statistics become those of the maps that a forward pass meets.

    Without, the maps of a random network of this depth lose the picture among the norms' shifts.
    """


def conv(draw: Draw, name: str, out: int, inner: int, kernel: int) -> Weights:
    std = (1.5 / (inner * kernel * kernel)) ** 0.5
    return {f"{name}.weight": draw(out, inner, kernel, kernel, std=std)}


def batch_norm(draw: Draw, name: str, dim: int) -> Weights:
    return draw.norm(name, dim) | {
        f"{name}.running_mean": draw(dim),
        f"{name}.running_var": 1 + draw(dim).abs(),
        f"{name}.num_batches_tracked": torch.tensor(100),
    }


def xception_weights(draw: Draw) -> Weights:
    """What the detector's backbone holds, with the layers that its mode `original` does not use."""
    weights = conv(draw, "conv1", 32, 3, 3) | batch_norm(draw, "bn1", 32)
    weights |= conv(draw, "conv2", 64, 32, 3) | batch_norm(draw, "bn2", 64)
    for number, (inner, out, repeats, stride) in enumerate(XCEPTION_BLOCKS, start=1):
        block = f"block{number}"
        if inner != out or stride != 1:
            weights |= conv(draw, f"{block}.skip", out, inner, 1)
            weights |= batch_norm(draw, f"{block}.skipbn", out)
        for at, (before, after) in separable_convolutions(number):
            weights |= separable(draw, f"{block}.rep.{at}", before, after)
            weights |= batch_norm(draw, f"{block}.rep.{at + 1}", after)
        del repeats
    for name, before, after in (("3", 1024, 1536), ("4", 1536, 2048)):
        weights |= separable(draw, f"conv{name}", before, after)
        weights |= batch_norm(draw, f"bn{name}", after)
    weights |= draw.linear("last_linear", 2, 2048)
    unused = conv(draw, "adjust_channel.0", 512, 2048, 1) | {"adjust_channel.0.bias": draw(512)}
    return weights | unused | batch_norm(draw, "adjust_channel.1", 512)


def separable_convolutions(number: int) -> list[tuple[int, tuple[int, int]]]:
    """Place in `rep` and channels of each: ReLU, convolution, norm; block 1 begins without a ReLU."""
    inner, out, repeats, _ = XCEPTION_BLOCKS[number - 1]
    channels = [(inner, out)] + [(out, out)] * (repeats - 1)
    if number == 12:  # the last block grows at its end
        channels = [(inner, inner)] * (repeats - 1) + [(inner, out)]
    first = 0 if number == 1 else 1
    return [(first + 3 * at, pair) for at, pair in enumerate(channels)]


def separable(draw: Draw, name: str, inner: int, out: int) -> Weights:
    return conv(draw, f"{name}.conv1", inner, 1, 3) | conv(draw, f"{name}.pointwise", out, inner, 1)


def xception_logits(weights: Weights, images: Tensor) -> Tensor:
    """(B, 3, 256, 256) -> (B, 2)."""
    x = F.relu(_norm(weights, "bn1", F.conv2d(images, weights["conv1.weight"], stride=2)))
    x = F.relu(_norm(weights, "bn2", F.conv2d(x, weights["conv2.weight"])))
    for number, (inner, out, _, stride) in enumerate(XCEPTION_BLOCKS, start=1):
        block, y = f"block{number}", x
        for at, _ in separable_convolutions(number):
            y = y if number == 1 and at == 0 else F.relu(y)
            y = _separable(weights, f"{block}.rep.{at}", y)
            y = _norm(weights, f"{block}.rep.{at + 1}", y)
        if stride != 1:
            y = F.max_pool2d(y, 3, stride, 1)
        if inner != out or stride != 1:
            x = F.conv2d(x, weights[f"{block}.skip.weight"], stride=stride)
            x = _norm(weights, f"{block}.skipbn", x)
        x = x + y
    for name in "34":
        x = F.relu(_norm(weights, f"bn{name}", _separable(weights, f"conv{name}", x)))
    return x.mean(dim=(2, 3)) @ weights["last_linear.weight"].T + weights["last_linear.bias"]


def efficientnet_weights(draw: Draw) -> Weights:
    """What the detector's backbone holds, under efficientnet_pytorch's names."""
    net = "efficientnet"
    weights = conv(draw, f"{net}._conv_stem", 48, 3, 3) | batch_norm(draw, f"{net}._bn0", 48)
    for number, (kernel, _, expansion, inner, out) in enumerate(b4_blocks()):
        block, wide = f"{net}._blocks.{number}", inner * expansion
        if expansion != 1:
            weights |= conv(draw, f"{block}._expand_conv", wide, inner, 1)
            weights |= batch_norm(draw, f"{block}._bn0", wide)
        weights |= conv(draw, f"{block}._depthwise_conv", wide, 1, kernel)
        weights |= batch_norm(draw, f"{block}._bn1", wide)
        for name, before, after in (("reduce", wide, inner // 4), ("expand", inner // 4, wide)):
            weights |= conv(draw, f"{block}._se_{name}", after, before, 1)
            weights[f"{block}._se_{name}.bias"] = draw(after)
        weights |= conv(draw, f"{block}._project_conv", out, wide, 1)
        weights |= batch_norm(draw, f"{block}._bn2", out)
    weights |= conv(draw, f"{net}._conv_head", 1792, 448, 1)
    weights |= batch_norm(draw, f"{net}._bn1", 1792)
    return weights | draw.linear("last_layer", 2, 1792)


def b4_blocks() -> list[tuple[int, int, int, int, int]]:
    """Kernel, stride, expansion, channels in and out of each block."""
    blocks = []
    for kernel, stride, expansion, inner, out, count in B4_STAGES:
        blocks.append((kernel, stride, expansion, inner, out))
        blocks += [(kernel, 1, expansion, out, out)] * (count - 1)
    return blocks


def efficientnet_logits(weights: Weights, images: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, 2): an unpadded stem, then the padding of a picture of 380 px at every size."""
    net, eps = "efficientnet", 1e-3
    x = F.conv2d(images, weights[f"{net}._conv_stem.weight"], stride=2)
    x = F.silu(_norm(weights, f"{net}._bn0", x, eps))
    side = 190  # of the maps of a picture of 380 px
    for number, (kernel, stride, expansion, inner, out) in enumerate(b4_blocks()):
        block, y = f"{net}._blocks.{number}", x
        if expansion != 1:
            y = F.conv2d(y, weights[f"{block}._expand_conv.weight"])
            y = F.silu(_norm(weights, f"{block}._bn0", y, eps))
        after = -(-side // stride)
        total = max((after - 1) * stride + kernel - side, 0)
        low, side = total // 2, after
        y = F.pad(y, (low, total - low, low, total - low))
        depthwise = weights[f"{block}._depthwise_conv.weight"]
        y = F.conv2d(y, depthwise, stride=stride, groups=inner * expansion)
        y = F.silu(_norm(weights, f"{block}._bn1", y, eps))
        squeezed = F.silu(_biased(weights, f"{block}._se_reduce", y.mean(dim=(2, 3), keepdim=True)))
        y = y * torch.sigmoid(_biased(weights, f"{block}._se_expand", squeezed))
        y = F.conv2d(y, weights[f"{block}._project_conv.weight"])
        y = _norm(weights, f"{block}._bn2", y, eps)
        x = x + y if stride == 1 and inner == out else y
    x = F.conv2d(x, weights[f"{net}._conv_head.weight"])
    x = F.silu(_norm(weights, f"{net}._bn1", x, eps)).mean(dim=(2, 3))
    return x @ weights["last_layer.weight"].T + weights["last_layer.bias"]


def _separable(weights: Weights, name: str, x: Tensor) -> Tensor:
    x = F.conv2d(x, weights[f"{name}.conv1.weight"], padding=1, groups=x.shape[1])
    return F.conv2d(x, weights[f"{name}.pointwise.weight"])


def _biased(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    if isinstance(weights, Fitted):
        weights[f"{name}.running_mean"] = x.mean(dim=(0, 2, 3))
        weights[f"{name}.running_var"] = x.var(dim=(0, 2, 3))
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + eps) * scale + shift
