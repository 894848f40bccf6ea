"""Saliency maps of faces: HiResCAM (arXiv 2011.08891) on a late feature map.

The gradient of the called class's log-odds is multiplied with the features, element by element, and summed
over channels. On the last map of a convolutional net with one linear head that is exactly each place's
part of the logit; on the tokens that enter a transformer's last block it is so to first order, and holds
for heads on the class token too. A map says what moved this score, not what is fake in the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.errors import EvaluationError
from dfray.models.bundle import Bundle, fake_log_odds

ALPHA = 0.6
"""How much of a colour covers the face where the evidence is strongest."""
_STOPS = np.array([[40, 10, 90], [190, 40, 110], [250, 130, 40], [255, 240, 120]], np.float32)


def saliency_maps(bundle: Bundle, faces: np.ndarray, *, toward_fake: bool) -> np.ndarray:
    """Return the saliency of each place of a face for the call fake (or real).

    Args:
        faces: uint8 (N, H, H, 3), RGB.

    Returns:
        float32 (N, H, H), 0..1, the highest place of each face 1; all 0 where nothing speaks for it.

    Raises:
        EvaluationError: the backbone's late features cannot be had, or are no map of the picture.
    """
    backbone: Any = bundle.detector.backbone
    outputs: list[Tensor] = []
    layer = _late_layer(backbone)
    handle = layer.register_forward_hook(lambda *call: outputs.append(call[-1]))
    images = bundle.preprocess(torch.as_tensor(faces).to(bundle.preprocess.mean.device))
    try:
        with torch.enable_grad():
            logits, _ = bundle.detector.eval()(images.requires_grad_())
    finally:
        handle.remove()
    features = outputs[-1] if outputs else None
    if not isinstance(features, Tensor):
        raise EvaluationError(f"The late features of {type(backbone).__name__} cannot be had.")
    odds = fake_log_odds(logits).sum() * (1 if toward_fake else -1)
    try:
        (gradient,) = torch.autograd.grad(odds, features)
    except RuntimeError as error:  # such as features that are changed in place afterwards
        cause = str(error).partition("\n")[0]
        raise EvaluationError(
            f"{type(backbone).__name__} gives its late features no gradient: {cause}"
        ) from error
    parts = _as_map(gradient * features.detach(), backbone).relu()
    resized = F.interpolate(parts, size=faces.shape[1:3], mode="bilinear")[:, 0]
    highest = resized.amax(dim=(1, 2), keepdim=True)
    return (resized / highest.clamp(min=torch.finfo(resized.dtype).tiny)).cpu().numpy()


def overlay(face: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """A grey face, uint8 (S, S, 3), under a map, float (S, S) in 0..1: dark to light is weak to strong."""
    place = np.clip(evidence, 0, 1) * (len(_STOPS) - 1)
    lower = np.minimum(place.astype(int), len(_STOPS) - 2)
    share = (place - lower)[..., None]
    colour = _STOPS[lower] * (1 - share) + _STOPS[lower + 1] * share
    grey = face.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    cover = ALPHA * np.clip(evidence, 0, 1)[..., None] ** 0.7
    blended: np.ndarray = (grey[..., None] * (1 - cover) + colour * cover).astype(np.uint8)
    return blended


def _late_layer(backbone: Any) -> torch.nn.Module:
    """The last feature map, or of a transformer the tokens that enter the last block.

    What leaves the last block reaches a class-token head through the class token alone.
    """
    names = [stage["module"] for stage in getattr(backbone, "feature_info", [])]
    if not names:
        raise EvaluationError(
            f"{type(backbone).__name__} does not tell its feature maps (timm's feature_info)."
        )
    has_tokens = hasattr(backbone, "num_prefix_tokens") and len(names) > 1
    name = names[-2 if has_tokens else -1]
    try:
        layer: torch.nn.Module = backbone.get_submodule(name)
    except AttributeError as error:
        raise EvaluationError(
            f"{type(backbone).__name__} names {name!r} as a feature map, and has no such part."
        ) from error
    return layer


def _as_map(parts: Tensor, backbone: Any) -> Tensor:
    """(B, T, C) tokens, or (B, C, h, w) or (B, h, w, C) maps -> (B, 1, h, w), summed over channels."""
    if parts.ndim == 3:
        tokens = parts[:, getattr(backbone, "num_prefix_tokens", 0) :].sum(dim=2)
        side = round(tokens.shape[1] ** 0.5)
        if side * side == tokens.shape[1]:
            return tokens.reshape(len(tokens), 1, side, side)
    elif parts.ndim == 4:
        channels_last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        return parts.sum(dim=3)[:, None] if channels_last else parts.sum(dim=1, keepdim=True)
    raise EvaluationError(
        f"The late features of {type(backbone).__name__}, {tuple(parts.shape)}, are no map."
    )
