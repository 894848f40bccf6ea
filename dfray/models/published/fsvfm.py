"""FSFM (arXiv 2412.12032), FS-VFM and FS-Adapter (arXiv 2510.10663): fine-tuned on FaceForensics++.

The file is a torch dictionary whose `model` holds a ViT under timm's names with its fc_norm and head, beside
what training kept. Classes are in the order of the folders' names: fake, then real. An FS-Adapter file holds
the frozen encoder too, and the projector of its contrastive loss, which scoring does not use.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from torch import Tensor

from dfray.config import FacesSection, ModelSection
from dfray.models import fsfm
from dfray.models.published.detector import HUB, ON_FACEFORENSICS, PublishedDetector
from dfray.models.published.layout import Source, same

_REPOSITORY = f"{HUB}Wolowolo/fsfm-3c/finetuned_models"
_EXTENSIONS = f"{_REPOSITORY}/FS-VFM_extensions"
_FILE = "FF++_c23_32frames/checkpoint-min_val_loss.pth"
_REDUCTION = 4
_SIZES = {"s": ("small", 384), "b": ("base", 768), "l": ("large", 1024)}
_MARGIN = 1.3
_CENTRE = 224 / 256
"""Side of the part of a crop that FSFM's evaluation keeps (resized to 256 px, centre of 224 px)."""
_DIFFERENCES = (
    "Faces: MediaPipe's box from chin to brows, the largest of a frame; there dlib's first, moved inside the "
    "picture at its borders.",
)


_MARGIN_OF_SCRIPTS = (
    f"Margin: {_MARGIN}, as the authors' scripts test; the command of their README tests on its centre of "
    "224/256.",
)


def _sources(parameters: Iterable[str]) -> dict[str, Source]:
    """Return timm's own names; the rows of the head are turned round to real, fake."""
    return {
        name: Source((name,), _real_first if name.startswith("head.") else same)
        for name in parameters
    }


def _real_first(head: Tensor) -> Tensor:
    return head.flip(0)


def _settled(section: ModelSection, uri: str) -> ModelSection:
    """Return the section with the mean and deviation in the checkpoint's folder, or VGGFace2's."""
    mean, std = fsfm.mean_and_std(uri)
    return section.model_copy(update={"mean": mean, "std": std})


def _faces(margin: float) -> FacesSection:
    return FacesSection(frames=32, keep="largest", margin_ratio=margin, size_px=224)


def _section(size: str, adapter: int | None = None) -> ModelSection:
    name, width = _SIZES[size]
    return ModelSection(
        backbone=f"vit_{name}_patch16_224",
        num_heads=fsfm.HEADS[width],
        pool="avg",
        fs_adapter=adapter,
        mean=fsfm.VGGFACE2_MEAN,
        std=fsfm.VGGFACE2_STD,
    )


_detector = partial(
    PublishedDetector,
    licence=fsfm.LICENCE,
    trained_on=ON_FACEFORENSICS,
    sources=_sources,
    settled=_settled,
)


def _fsvfm(size: str) -> PublishedDetector:
    return _detector(
        name=f"fsvfm-{size}",
        title=f"FS-VFM ViT-{size.upper()}/16, fine-tuned",
        paper="2510.10663",
        source=f"{_EXTENSIONS}/cross_dataset_DFD_and_DiFF/ViT-{size.upper()}_VF2_600e/FT_on_{_FILE}",
        section=_section(size),
        faces=_faces(_MARGIN),
        differences=_DIFFERENCES + _MARGIN_OF_SCRIPTS,
    )


def _adapter(size: str) -> PublishedDetector:
    return _detector(
        name=f"fs-adapter-{size}",
        title=f"FS-Adapter on a frozen FS-VFM ViT-{size.upper()}/16",
        paper="2510.10663",
        source=f"{_EXTENSIONS}/finetune_fs-adapter/cross_dataset_DfD_and_DiFF/"
        f"ViT-{size.upper()}_VF2_600e/FT_on_{_FILE}",
        section=_section(size, adapter=_REDUCTION),
        faces=_faces(_MARGIN),
        differences=_DIFFERENCES + _MARGIN_OF_SCRIPTS,
        ignored=r"projector\.(weight|bias)",
    )


DETECTORS = (
    _detector(
        name="fsfm-b",
        title="FSFM ViT-B/16, fine-tuned",
        paper="2412.12032",
        source=f"{_REPOSITORY}/{_FILE}",
        section=_section("b"),
        faces=_faces(_MARGIN * _CENTRE),
        differences=(
            *_DIFFERENCES,
            f"Margin: {_MARGIN * _CENTRE:g}, the centre of its 256 px cut from a margin of {_MARGIN}.",
        ),
    ),
    *map(_fsvfm, _SIZES),
    *map(_adapter, _SIZES),
)
