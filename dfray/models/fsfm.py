"""Weights layout of FSFM's pre-training checkpoints (Wang et al., CVPR 2025): encoder and normalisation.

The file is a torch dictionary whose `model` holds a ViT encoder under timm's names and modules of the
pre-training. Fine-tuning uses the encoder without its last norm: the patch tokens' mean goes through a fresh
fc_norm and a fresh head, as in arXiv 2508.19730 section 4.3. The shapes do not tell the number of attention
heads, which is that of the authors' code; timm's ViT-S has another.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from dfray.config import Deviations, Levels
from dfray.errors import ModelFileError
from dfray.models.checkpoint import LoadedWeights, load_exactly, on_grid
from dfray.models.sources import read_text_if_present, sibling

DEFAULT_FILE = "pretrained_models/VF2_ViT-B/checkpoint-400.pth"
"""The paper's checkpoint in the repository Wolowolo/fsfm-3c: VGGFace2, ViT-B/16, 400 epochs."""

LICENCE = "CC BY-NC 4.0 (FSFM's repository; pre-trained on VGGFace2, non-commercial research)"

VGGFACE2_MEAN = (0.5482207536697388, 0.42340534925460815, 0.3654651641845703)
VGGFACE2_STD = (0.2789176106452942, 0.2438540756702423, 0.23493893444538116)

HEADS = {384: 12, 768: 12, 1024: 16, 1280: 16}
"""Width of the encoder -> attention heads of each block, of FSFM's and FS-VFM's ViT-S, -B, -L and -H."""

_WIDTHS = {"small": 384, "base": 768, "large": 1024, "huge": 1280}
_NETWORK = re.compile(r"fsfm_vit_(small|base|large|huge)_patch\d+(_dec512d8b)?")
_MEAN_STD_FILE = "pretrain_ds_mean_std.txt"
_PRETRAINING_ONLY = re.compile(
    r"(norm|projector|predictor|(rep_)?decoder_(embed|blocks|norm|pred))\..+"
    r"|mask_token|(rep_)?decoder_pos_embed"
)
_FRESH = ("head.", "fc_norm.")


def load(backbone: Any, content: dict[str, Any], source: str) -> LoadedWeights:
    """Load the encoder of a checkpoint into a timm ViT, in place.

    Position embeddings are interpolated where the grid of patches differs.

    Args:
        backbone: a timm VisionTransformer that pools the mean of its patch tokens.
        content: of the checkpoint's file.

    Raises:
        ModelFileError: it has no `model`, or the keys of the encoder are not exactly the backbone's
            without head.* and fc_norm.*; the message names each.
    """
    model = content.get("model")
    if not isinstance(model, dict):
        raise ModelFileError(
            f"{source} is no checkpoint of FSFM: it has no `model`, but {', '.join(content) or 'nothing'}.",
            "Give a file of Wolowolo/fsfm-3c, or set model.weights_layout to timm.",
        )
    ignored = tuple(name for name in model if _PRETRAINING_ONLY.fullmatch(name))
    tensors = {name: value for name, value in model.items() if name not in ignored}
    if "pos_embed" in tensors and hasattr(backbone, "patch_embed"):
        grid = backbone.patch_embed.grid_size
        tensors["pos_embed"] = on_grid(tensors["pos_embed"], grid, n_prefix=1)
    fresh = tuple(name for name in backbone.state_dict() if name.startswith(_FRESH))
    load_exactly(backbone, tensors, fresh, source)
    return LoadedWeights(source, ignored, fresh)


def recorded_width(network: str) -> int | None:
    """Return the width of the network that a checkpoint's `args` name, such as fsfm_vit_small_patch16."""
    match = _NETWORK.fullmatch(network)
    return _WIDTHS[match[1]] if match else None


class _Normalisation(BaseModel):
    mean: Levels
    std: Deviations


def mean_and_std(uri: str) -> tuple[Levels, Deviations]:
    """Return mean and standard deviation of RGB in 0..1, from the checkpoint's folder, or VGGFace2's.

    Raises:
        ModelFileError: the file exists without them, or the folder cannot be reached.
    """
    file = sibling(uri, _MEAN_STD_FILE)
    text = read_text_if_present(file)
    if text is None:
        return VGGFACE2_MEAN, VGGFACE2_STD
    try:
        normalisation = _Normalisation.model_validate_json(text.strip().partition("\n")[0])
    except ValidationError as error:
        raise ModelFileError(
            f"{file} holds no mean and std of three channels: {text[:80]!r}.",
            "Correct it (one line of JSON with mean and std), or set model.mean and model.std.",
        ) from error
    return normalisation.mean, normalisation.std
