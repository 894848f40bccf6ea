"""Under which terms a backbone's first weights came; what nobody states is said to be unknown."""

from __future__ import annotations

from dfray.config import ModelSection

FSFM = "CC BY-NC 4.0 (FSFM's repository; pre-trained on VGGFace2, non-commercial research)"


def weights_licence(section: ModelSection) -> str | None:
    """The licence's name; None: it is not known. A model from scratch has none to keep to."""
    if section.weights is None:
        return "none: trained from scratch"
    if section.weights_layout == "fsfm":
        return FSFM
    if section.weights != "timm":
        return None
    import timm

    published = timm.get_pretrained_cfg(section.backbone)
    stated = published.license if published else None
    return f"{stated}, as timm states it" if stated else None
