"""Validation over the whole split, with the same result for any number of workers.

Each worker scores its share; logits and embeddings (not losses) are gathered, shuffled by the seed and
cut into global batches, so that triplets are mined over batches as large and mixed as in training, and the
result does not depend on the shares.

`auc`, `average_precision` and `log_loss` are of videos, real against fake: they do not depend on the weights,
margins and classes of an objective, so runs that differ in these can be compared by them. They are means over
the datasets, and `log_loss` over both classes of each: what tells datasets apart, and no fake, gains nothing.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from dfray.batches.reader import Batch, FacesReader
from dfray.batches.self_blend import Draws, SelfBlend
from dfray.errors import TrainingError
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector
from dfray.models.bundle import fake_probability
from dfray.models.preprocess import Preprocess
from dfray.tables import REAL
from dfray.training.finite import DIVERGED_HINT
from dfray.training.step import forward


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
    """Return the objective's terms, means over all faces of the sample, and the metrics of its videos.

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
    probability, is_fake = fake_probability(gathered[0]), gathered[2] != REAL
    dataset = torch.from_numpy(reader.sample.dataset).to(video.device)[video]
    return terms | _video_metrics(probability, is_fake, video, dataset)


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


def _video_metrics(
    probability: Tensor, is_fake: Tensor, video: Tensor, dataset: Tensor
) -> dict[str, float]:
    """Return the metrics of videos that are scored by the mean over their faces, as means over datasets.

    Datasets without both classes do not count; without any other there is no metric. The blended faces of a
    video count as another video.

    Args:
        probability: float (N,) of being fake, any kind of fake.
        is_fake, video, dataset: bool, int64 and int64 (N,).
    """
    ids, index = torch.unique(
        torch.stack([dataset, video, is_fake.long()]), dim=1, return_inverse=True
    )
    score = torch.bincount(index, probability.double()) / torch.bincount(index)
    of_dataset, target = ids[0].cpu().numpy(), ids[2].cpu().numpy()
    scores = score.clamp(0, 1).cpu().numpy()
    found = [
        _of_dataset(scores[mask], target[mask])
        for mask in (of_dataset == number for number in np.unique(of_dataset))
        if 0 < target[mask].sum() < mask.sum()
    ]
    names = found[0] if found else ()
    return {name: float(np.mean([metrics[name] for metrics in found])) for name in names}


def _of_dataset(scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the metrics of one dataset's videos; log loss in nats, each class counting half."""
    from sklearn.metrics import (  # a second of CPU, not before the first step
        average_precision_score,
        log_loss,
        roc_auc_score,
    )

    weights = np.where(target, 1 / target.sum(), 1 / (1 - target).sum())
    return {
        "auc": roc_auc_score(target, scores),
        "average_precision": average_precision_score(target, scores),
        "log_loss": log_loss(target, scores, sample_weight=weights),
    }


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
