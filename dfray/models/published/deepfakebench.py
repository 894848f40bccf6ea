"""DeepfakeBench's detectors whose networks timm has (arXiv 2307.01426), and Effort (arXiv 2411.15633).

The files are state dictionaries of the benchmark's detectors. Classes are real, fake. Effort's holds each
weight of CLIP's attentions as the sum of a frozen part and U diag(S) V of the residual singular directions:
the sum is what is imported. Singular vectors of the frozen part, if the file has them, serve its losses only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

import torch
from timm.data import (
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from torch import Tensor

from dfray.config import FacesSection, ModelSection
from dfray.models.published.detector import ON_FACEFORENSICS, PublishedDetector
from dfray.models.published.hf_vit import clip_sources
from dfray.models.published.layout import Source

_BACKBONE, _HEAD = "backbone.", "head."
_RELEASES = "https://github.com/SCLBD/DeepfakeBench/releases"
_POSITION_IDS = r"backbone\.embeddings\.position_ids"
_EFFICIENTNET = {
    "conv_stem": "_conv_stem",
    "bn1": "_bn0",
    "conv_head": "_conv_head",
    "bn2": "_bn1",
}
_EXPANDED = {"conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
_EXPANDED |= {"conv_pwl": "_project_conv"}
_FIRST = {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_IN_ALL = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce"}
_IN_ALL |= {"se.conv_expand": "_se_expand"}
"""timm's names of the layers of a block -> efficientnet_pytorch's; those of stage 0 do not expand."""


def _xception(parameters: Iterable[str]) -> dict[str, Source]:
    """Return timm's names of its legacy_xception, which are the benchmark's but for the head."""

    def name(parameter: str) -> str:
        return f"{_BACKBONE}{re.sub(r'^fc[.]', 'last_linear.', parameter)}"

    return {parameter: Source((name(parameter),)) for parameter in parameters}


def _efficientnet(parameters: Iterable[str]) -> dict[str, Source]:
    """Return efficientnet_pytorch's names, which count blocks over all stages."""
    parameters = list(parameters)
    blocks = dict.fromkeys(tuple(p.split(".")[1:3]) for p in parameters if p.startswith("blocks."))
    number_of = {block: number for number, block in enumerate(blocks)}

    def name(parameter: str) -> str:
        module, _, kind = parameter.rpartition(".")
        if module == "classifier":
            return f"{_BACKBONE}last_layer.{kind}"
        if module in _EFFICIENTNET:
            return f"{_BACKBONE}efficientnet.{_EFFICIENTNET[module]}.{kind}"
        _, stage, block, layer = module.split(".", 3)
        layers = _IN_ALL | (_FIRST if stage == "0" else _EXPANDED)
        number = number_of[stage, block]
        return f"{_BACKBONE}efficientnet._blocks.{number}.{layers[layer]}.{kind}"

    return {parameter: Source((name(parameter),)) for parameter in parameters}


def _clip(parameters: Iterable[str]) -> dict[str, Source]:
    return clip_sources(parameters, _BACKBONE, _HEAD)


def _effort(parameters: Iterable[str]) -> dict[str, Source]:
    return clip_sources(parameters, _BACKBONE, _HEAD, _decomposed)


def _decomposed(linear: str) -> Source:
    parts = ("weight_main", "U_residual", "S_residual", "V_residual")
    return Source(tuple(f"{linear}.{part}" for part in parts), _sum)


def _sum(main: Tensor, left: Tensor, values: Tensor, right: Tensor) -> Tensor:
    """(D, D), (D, n), (n,), (n, D) -> (D, D)."""
    return main + left @ torch.diag(values) @ right


def _section(backbone: str, size_px: int, **options: object) -> ModelSection:
    normalisation = {"mean": IMAGENET_INCEPTION_MEAN, "std": IMAGENET_INCEPTION_STD}
    return ModelSection.model_validate(
        {"backbone": backbone, "size_px": size_px} | normalisation | options
    )


_detector = partial(
    PublishedDetector,
    paper="2307.01426",
    source=_RELEASES,
    licence="CC BY-NC 4.0 (DeepfakeBench)",
    trained_on=ON_FACEFORENSICS,
    faces=FacesSection(
        frames=32, keep="largest", align="five_points", margin_ratio=1.3, size_px=256
    ),
    differences=("Faces: MediaPipe's, with its points; there dlib's. Crops have 256 px as there.",),
)

DETECTORS = (
    _detector(
        name="dfb-xception",
        title="DeepfakeBench's Xception",
        source=f"{_RELEASES}/tag/v1.0.1 (xception_best.pth)",
        section=_section("legacy_xception", 256),
        sources=_xception,
        ignored=r"backbone\.adjust_channel\..+",
    ),
    _detector(
        name="dfb-efficientnet-b4",
        title="DeepfakeBench's EfficientNet-B4",
        source=f"{_RELEASES}/tag/v1.0.1 (effnb4_best.pth)",
        section=_section("tf_efficientnet_b4", 256, fixed_padding_px=380),
        sources=_efficientnet,
    ),
    _detector(
        name="dfb-clip-b",
        title="DeepfakeBench's CLIP ViT-B/16",
        section=_section("vit_base_patch16_clip_quickgelu_224", 224, pool="token", num_heads=12),
        sources=_clip,
        ignored=_POSITION_IDS,
    ),
    _detector(
        name="effort-clip-l",
        title="Effort on CLIP ViT-L/14, trained on FaceForensics++",
        paper="2411.15633",
        source="https://github.com/YZY-stack/Effort-AIGI-Detection (Google Drive, "
        "effort_clip_L14_trainOn_FaceForensic.pth)",
        licence="CC BY-NC 4.0 (Effort)",
        section=_section(
            "vit_large_patch14_clip_quickgelu_224",
            224,
            pool="token",
            num_heads=16,
            mean=OPENAI_CLIP_MEAN,
            std=OPENAI_CLIP_STD,
        ),
        sources=_effort,
        ignored=rf"{_POSITION_IDS}|backbone\..+\.(S|U|V)_r",
    ),
)
