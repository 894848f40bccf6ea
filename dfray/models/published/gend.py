"""GenD (arXiv 2508.06248) and its predecessor (arXiv 2503.19683): encoders tuned in their LayerNorms.

GenD's repositories on the hub hold model.safetensors and config.json, which names the encoder and the head:
LinearNorm reads the L2-normalised class token, linear the token itself. The predecessor's is a checkpoint of
Lightning. Classes are real, fake.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pydantic import BaseModel, ConfigDict, ValidationError
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from dfray.config import FacesSection, ModelSection
from dfray.errors import ModelFileError
from dfray.models.checkpoint import on_grid
from dfray.models.published.detector import HUB, ON_FACEFORENSICS, PublishedDetector
from dfray.models.published.hf_vit import clip_sources, dinov3_sources
from dfray.models.published.layout import Source, same
from dfray.models.sources import read_text_if_present, sibling

_ENCODER, _HEAD = "feature_extractor.", "model.linear."
_GRID = 224 // 14
_NORMALISED = {"LinearNorm": True, "linear": False}
_CONFIG = "config.json"
_LICENCE = "MIT (the authors' repository)"


class _Config(BaseModel):
    """Keys of config.json that are read."""

    model_config = ConfigDict(strict=True)

    backbone: str
    head: str


def _settled(section: ModelSection, uri: str, *, encoder: str) -> ModelSection:
    """Return the section with the head that config.json beside the file names; L2-normalised without one.

    Raises:
        ModelFileError: it names another encoder or an unknown head.
    """
    file = sibling(uri, _CONFIG)
    text = read_text_if_present(file)
    if text is None:
        return section
    try:
        config = _Config.model_validate_json(text)
    except ValidationError as error:
        raise ModelFileError(
            f"{file} is not GenD's: it names no backbone and head ({text[:80]!r}).",
            "Copy it again from the hub, beside the file.",
        ) from error
    if config.backbone != encoder or config.head not in _NORMALISED:
        raise ModelFileError(
            f"{file} is of the encoder {config.backbone} with the head {config.head}; this detector has "
            f"{encoder} with {' or '.join(_NORMALISED)}.",
            "Choose the detector of that encoder: `dfray import --list`.",
        )
    return section.model_copy(update={"normalise_embedding": _NORMALISED[config.head]})


def _clip(parameters: Iterable[str]) -> dict[str, Source]:
    return clip_sources(parameters, f"{_ENCODER}vision_model.", _HEAD)


def _dinov3(parameters: Iterable[str]) -> dict[str, Source]:
    return dinov3_sources(parameters, f"{_ENCODER}backbone.", _HEAD)


def _perception(parameters: Iterable[str]) -> dict[str, Source]:
    """Return timm's own names; the position embedding is resampled to 224 px, as it is at each use there."""
    return {
        name: Source(
            (_perception_name(name),),
            partial(on_grid, grid=(_GRID, _GRID), n_prefix=1) if name == "pos_embed" else same,
        )
        for name in parameters
    }


def _perception_name(parameter: str) -> str:
    module, _, kind = parameter.rpartition(".")
    return f"{_HEAD}{kind}" if module == "head" else f"{_ENCODER}backbone.{parameter}"


def _faces(size_px: int) -> FacesSection:
    return FacesSection(
        frames=32, keep="largest", align="five_points", margin_ratio=1.3, size_px=size_px
    )


_detector = partial(
    PublishedDetector, paper="2508.06248", trained_on=ON_FACEFORENSICS, faces=_faces(224)
)
_DIFFERENCES = (
    "Faces: MediaPipe's, with its points; there RetinaFace's.",
    "Size: cut at 224 px at once; there cut at the picture's own scale, then resized to 224 px.",
)
_CLIP_L = ModelSection(
    backbone="vit_large_patch14_clip_quickgelu_224",
    num_heads=16,
    pool="token",
    normalise_embedding=True,
    mean=OPENAI_CLIP_MEAN,
    std=OPENAI_CLIP_STD,
)
_CLIP_UNUSED = (
    r"feature_extractor\.(visual_projection\.weight|vision_model\.embeddings\.position_ids)"
)

DETECTORS = (
    _detector(
        name="gend-clip-l",
        title="GenD on CLIP ViT-L/14",
        source=f"{HUB}yermandy/GenD_CLIP_L_14/model.safetensors",
        licence=_LICENCE,
        section=_CLIP_L,
        differences=_DIFFERENCES,
        sources=_clip,
        ignored=_CLIP_UNUSED,
        settled=partial(_settled, encoder="openai/clip-vit-large-patch14"),
    ),
    _detector(
        name="gend-pe-l",
        title="GenD on Perception Encoder L/14",
        source=f"{HUB}yermandy/GenD_PE_L/model.safetensors",
        licence=f"{_LICENCE}; Apache-2.0 (the encoder)",
        section=ModelSection(
            backbone="vit_pe_core_large_patch14_336",
            normalise_embedding=True,
            mean=IMAGENET_INCEPTION_MEAN,
            std=IMAGENET_INCEPTION_STD,
        ),
        differences=_DIFFERENCES,
        sources=_perception,
        settled=partial(_settled, encoder="vit_pe_core_large_patch14_336"),
    ),
    _detector(
        name="gend-dinov3-l",
        title="GenD on DINOv3 ViT-L/16",
        source=f"{HUB}yermandy/GenD_DINOv3_L/model.safetensors",
        licence=f"{_LICENCE}; DINOv3 License (the encoder)",
        section=ModelSection(
            backbone="vit_large_patch16_dinov3_qkvb",
            pool="token",
            normalise_embedding=True,
            mean=IMAGENET_DEFAULT_MEAN,
            std=IMAGENET_DEFAULT_STD,
        ),
        differences=_DIFFERENCES,
        sources=_dinov3,
        ignored=r"feature_extractor\.backbone\.embeddings\.mask_token",
        settled=partial(_settled, encoder="facebook/dinov3-vitl16-pretrain-lvd1689m"),
    ),
    _detector(
        name="clip-l",
        title="CLIP ViT-L/14 tuned on the hypersphere, GenD's predecessor",
        paper="2503.19683",
        source=f"{HUB}yermandy/deepfake-detection/model.ckpt",
        licence=_LICENCE,
        section=_CLIP_L,
        faces=_faces(256),
        differences=("Faces: MediaPipe's, with its points; there dlib's, 256 px as here.",),
        sources=_clip,
        ignored=_CLIP_UNUSED,
    ),
)
