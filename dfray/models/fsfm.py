"""FSFM's pre-training checkpoints (Wang et al., CVPR 2025): the encoder in them, and their normalisation.

The file is a torch dictionary whose `model` holds a ViT encoder under timm's names beside what pre-training
alone needs. Fine-tuning takes the encoder without its last norm: the patch tokens' mean goes through a fresh
fc_norm and a fresh head, as in arXiv 2508.19730 section 4.3. The file does not tell the number of attention
heads; that of their ViT-B is timm's.
"""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic import BaseModel, ValidationError
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from dfray.config import Deviations, Levels
from dfray.errors import ModelFileError
from dfray.models.checkpoint import Loaded, load_exactly
from dfray.models.sources import beside, read_text_if_there

DEFAULT_FILE = "pretrained_models/VF2_ViT-B/checkpoint-400.pth"
"""The paper's checkpoint in the repository Wolowolo/fsfm-3c: VGGFace2, ViT-B/16, 400 epochs."""

VGGFACE2_MEAN = (0.5482207536697388, 0.42340534925460815, 0.3654651641845703)
VGGFACE2_STD = (0.2789176106452942, 0.2438540756702423, 0.23493893444538116)

_MEAN_STD_FILE = "pretrain_ds_mean_std.txt"
_PRETRAINING_ONLY = re.compile(
    r"(norm|projector|predictor|(rep_)?decoder_(embed|blocks|norm|pred))\..+"
    r"|mask_token|(rep_)?decoder_pos_embed"
)
_FRESH = ("head.", "fc_norm.")


def load_encoder(backbone: Any, content: dict[str, Any], source: str) -> Loaded:
    """Load the encoder of a checkpoint into a timm ViT, in place.

    Position embeddings are interpolated where the grid of patches differs.

    Args:
        backbone: a timm VisionTransformer that pools the mean of its patch tokens.
        content: what the checkpoint's file holds.

    Raises:
        ModelFileError: there is no `model` in it, or its keys beside those of pre-training are not
            exactly the backbone's without head.* and fc_norm.*; each is named.
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
        tensors["pos_embed"] = _on_grid(tensors["pos_embed"], backbone.patch_embed.grid_size)
    fresh = tuple(name for name in backbone.state_dict() if name.startswith(_FRESH))
    load_exactly(backbone, tensors, fresh, source)
    return Loaded(source, ignored, fresh)


class _Normalisation(BaseModel):
    mean: Levels
    std: Deviations


def mean_and_std(uri: str) -> tuple[Levels, Deviations]:
    """Mean and standard deviation of RGB in 0..1: from the file beside the checkpoint, or VGGFace2's.

    Raises:
        ModelFileError: the file is there and does not hold them, or the place cannot be reached.
    """
    file = beside(uri, _MEAN_STD_FILE)
    text = read_text_if_there(file)
    if text is None:
        return VGGFACE2_MEAN, VGGFACE2_STD
    try:
        found = _Normalisation.model_validate_json(text.strip().partition("\n")[0])
    except ValidationError as error:
        raise ModelFileError(
            f"{file} holds no mean and std of three channels: {text[:80]!r}.",
            "Mend it (one line of JSON with mean and std), or set model.mean and model.std.",
        ) from error
    return found.mean, found.std


def _on_grid(pos_embed: Any, grid: tuple[int, int]) -> Any:
    """(1, 1 + G*G, D) class token and square grid -> (1, 1 + H*W, D); anything else unchanged."""
    if not isinstance(pos_embed, Tensor) or pos_embed.ndim != 3:
        return pos_embed
    if math.isqrt(pos_embed.shape[1] - 1) ** 2 != pos_embed.shape[1] - 1:
        return pos_embed
    return resample_abs_pos_embed(pos_embed, new_size=list(grid), num_prefix_tokens=1)
