"""Validation over the whole split, with the same result for any number of workers.

Each worker scores its share; logits and embeddings (not losses) are gathered, shuffled by the seed and
cut into global batches, so that triplets are mined over batches as large and mixed as in training, and the
result does not depend on the shares.

`auc` and `log_loss` are of videos, real against fake: they do not depend on the weights, margins and
classes of an objective, so runs that differ in these can be compared by them.
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
from dfray.training.step import DIVERGED_HINT, forward


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
    """Return the objective's terms, means over all faces of the sample, and its videos' AUC and log loss.

    Args:
        detector: the network, not its DDP wrapper.
        blend: makes a fake of each face, the same one at every validation.
        batch_size: faces in one batch of the objective; in training over all workers.
        dtype: of the network's arithmetic, `compute_dtype`.

    Raises:
        TrainingError: an output of the network is not finite.
    """
    _broadcast_buffers(detector)
    detector.eval()
    objective.eval()  # it mines its own batch, and gathers nothing
    num_classes = detector.backbone.get_classifier().out_features
    # A worker without faces contributes empty tensors of the same shapes.
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
    shares = (logits, embeddings, labels, videos)
    *gathered, video = (_gather(torch.cat(share)) for share in shares)
    if not torch.isfinite(gathered[0]).all():
        raise TrainingError("The network's outputs on validation are not finite.", DIVERGED_HINT)
    terms = _objective_over(objective, *gathered, batch_size=batch_size, seed=reader.seed)
    return terms | _video_metrics(fake_probability(gathered[0]), gathered[2] != REAL, video)


def _pixels(
    batch: Batch, preprocess: Preprocess, blend: SelfBlend | None, device: torch.device, seed: int
) -> tuple[Tensor, Tensor]:
    """Return the detector's input of a batch, before normalisation, and the labels."""
    pixels = preprocess.pixels(torch.from_numpy(batch.images).to(device))
    if blend is None:
        return pixels, torch.from_numpy(batch.labels).to(device)
    assert batch.landmarks is not None, "the reader brings them with self_blend"
    landmarks = torch.from_numpy(batch.landmarks)
    return blend.pairs(pixels, landmarks.to(device), Draws.of(landmarks, seed).to(device))


def _videos(batch: Batch, count: int) -> Tensor:
    """Return the video of each of `count` inputs, int64 (count,); blending makes two of each face."""
    assert batch.videos is not None, "written faces have a video"
    return torch.from_numpy(batch.videos).repeat_interleave(count // len(batch.videos))


def _video_metrics(probability: Tensor, is_fake: Tensor, video: Tensor) -> dict[str, float]:
    """Return AUC and binary log loss (nats) of videos scored by the mean over their faces.

    Without both classes AUC is left out. The blended faces of a video count as another video.

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
    metrics = {"log_loss": float(binary_cross_entropy(score.clamp(0, 1), fake.double()))}
    if 0 < target.sum() < len(target):
        metrics["auc"] = float(roc_auc_score(target, score.cpu().numpy()))
    return metrics


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
    for rows in torch.split(order, batch_size):
        terms = objective(logits[rows], embeddings[rows], labels[rows])
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(rows)
    return {name: value / len(labels) for name, value in sums.items()}


def _gather(share: Tensor) -> Tensor:
    """Return the shares of all workers, rank after rank; lengths may differ."""
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return share
    length = torch.tensor([len(share)], device=share.device)
    lengths = [torch.zeros_like(length) for _ in range(dist.get_world_size())]
    dist.all_gather(lengths, length)
    longest = max(int(n) for n in lengths)
    padded = torch.zeros((longest, *share.shape[1:]), dtype=share.dtype, device=share.device)
    padded[: len(share)] = share
    shares = [torch.zeros_like(padded) for _ in lengths]
    dist.all_gather(shares, padded)
    return torch.cat([share[: int(n)] for share, n in zip(shares, lengths, strict=True)])


def _broadcast_buffers(detector: nn.Module) -> None:
    """Give every worker the buffers of rank 0 (BatchNorm's statistics differ between workers)."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        for buffer in detector.buffers():
            dist.broadcast(buffer, src=0)
