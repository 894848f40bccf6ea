"""Validation over the whole split, the same whatever the number of workers.

Each worker scores its share; logits and embeddings (not losses) are gathered, put in one fixed mixed order
and cut into global batches, so that triplets are mined over batches as large and mixed as in training and the
figure does not depend on who scored what.

`auc` and `log_loss` are of videos, real against fake: the weights and margins of an objective and the
classes it learns do not enter them, so runs that differ in these compare by them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from dfray.batches.reader import Batch, FacesReader
from dfray.batches.self_blend import Draws, SelfBlend
from dfray.errors import TrainingError
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector
from dfray.models.bundle import fake_probability
from dfray.models.preprocess import Preprocess
from dfray.tables import REAL
from dfray.training.step import LESS_STEEP, forward


@torch.inference_mode()
def validate(
    detector: Detector,
    preprocess: Preprocess,
    objective: Objective,
    reader: FacesReader,
    device: torch.device,
    blend: SelfBlend | None = None,
    *,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
) -> dict[str, float]:
    """The objective's terms over all faces of `reader`'s sample, as means over faces; AUC and log loss of
    its videos.

    Args:
        detector: the network itself, not its DDP wrapper.
        blend: gives each face a fake of its own, the same one at every validation.
        batch_size: faces that the objective sees at once, in training over all workers.
        dtype: of the network's arithmetic, `compute_dtype`.

    Raises:
        TrainingError: an output of the network is not finite.
    """
    _same_buffers(detector)
    detector.eval()
    objective.eval()  # it mines what it is given, and gathers nothing
    num_classes = detector.backbone.get_classifier().out_features
    # A worker may have no face, and then gathers nothing in the shape of the others' shares.
    logits = [torch.empty(0, num_classes, device=device)]
    embeddings = [torch.empty(0, detector.embedding_dim, device=device)]
    labels = [torch.empty(0, dtype=torch.int64, device=device)]
    videos = [torch.empty(0, dtype=torch.int64, device=device)]
    for batch in reader.in_order():
        pixels, label = _pixels(batch, preprocess, blend, device, reader.seed)
        out, embedding = forward(detector, preprocess.normalise(pixels), dtype)
        logits.append(out.float())
        embeddings.append(embedding.float())
        labels.append(label)
        videos.append(_videos(batch, len(label)).to(device))
    parts = (logits, embeddings, labels, videos)
    *gathered, video = (_gather(torch.cat(part)) for part in parts)
    if not torch.isfinite(gathered[0]).all():
        raise TrainingError("The network's outputs on validation are not finite.", LESS_STEEP)
    terms = _objective_over(objective, *gathered, batch_size=batch_size, seed=reader.seed)
    return terms | _of_videos(fake_probability(gathered[0]), gathered[2] != REAL, video)


def _pixels(
    batch: Batch, preprocess: Preprocess, blend: SelfBlend | None, device: torch.device, seed: int
) -> tuple[Tensor, Tensor]:
    """What the detector is shown of a batch, and the labels."""
    pixels = preprocess.pixels(torch.from_numpy(batch.images).to(device))
    if blend is None:
        return pixels, torch.from_numpy(batch.labels).to(device)
    assert batch.landmarks is not None, "the reader brings them with self_blend"
    landmarks = torch.from_numpy(batch.landmarks)
    return blend.pairs(pixels, landmarks.to(device), Draws.of(landmarks, seed).to(device))


def _videos(batch: Batch, shown: int) -> Tensor:
    """int64 (shown,): the video of each face that the detector is shown; blending shows each twice."""
    assert batch.videos is not None, "written faces know their video"
    return torch.from_numpy(batch.videos).repeat_interleave(shown // len(batch.videos))


def _of_videos(probability: Tensor, is_fake: Tensor, video: Tensor) -> dict[str, float]:
    """AUC and binary log loss (nats) of videos scored by the mean over their faces.

    Without both classes there is no AUC, and it is left out. A blended video is one beside its original.

    Args:
        probability: float (N,) of being fake, any kind of fake.
        is_fake, video: bool and int64 (N,).
    """
    from sklearn.metrics import roc_auc_score  # a second of CPU, not before the first step

    _, index = torch.unique(video * 2 + is_fake, return_inverse=True)
    count = torch.bincount(index).double()
    score = torch.bincount(index, probability.double()) / count
    fake = torch.bincount(index, is_fake.double()) > 0
    target = fake.cpu().numpy()
    figures = {"log_loss": float(binary_cross_entropy(score.clamp(0, 1), fake.double()))}
    if 0 < target.sum() < len(target):
        figures["auc"] = float(roc_auc_score(target, score.cpu().numpy()))
    return figures


def _objective_over(
    objective: Objective,
    logits: Tensor,
    embeddings: Tensor,
    labels: Tensor,
    *,
    batch_size: int,
    seed: int,
) -> dict[str, float]:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    order = order.to(labels.device)
    sums: dict[str, float] = {}
    for chosen in order.split(batch_size):
        terms = objective(logits[chosen], embeddings[chosen], labels[chosen])
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(chosen)
    return {name: value / len(labels) for name, value in sums.items()}


def _gather(share: Tensor) -> Tensor:
    """The shares of all workers, rank after rank; lengths may differ."""
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return share
    length = torch.tensor([len(share)], device=share.device)
    lengths = [torch.zeros_like(length) for _ in range(dist.get_world_size())]
    dist.all_gather(lengths, length)
    longest = max(int(n) for n in lengths)
    padded = torch.zeros((longest, *share.shape[1:]), dtype=share.dtype, device=share.device)
    padded[: len(share)] = share
    parts = [torch.zeros_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)])


def _same_buffers(detector: nn.Module) -> None:
    """Give every worker the buffers of rank 0 (BatchNorm's statistics differ between workers)."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        for buffer in detector.buffers():
            dist.broadcast(buffer, src=0)
