"""One of two workers, as its own process: `ddp_worker.py RANK FOLDER`; see test_two_workers.py."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.training.kit import faces_and_labels, step_over

LABELS = torch.tensor([0, 0, 1, 1] * 3)  # unlike the faces' brightness, so that triplets are active


def gradients(shares, rank, wrap=lambda model: model):
    """Gradients of one step on `shares[rank]`, and the terms it told of."""
    step, detector = step_over("test_vit", weight=0.7, wrap=wrap)
    faces, _ = faces_and_labels(len(LABELS))
    chosen = torch.tensor(shares[rank])
    terms = step(faces[chosen], LABELS[chosen], 0)
    return {name: p.grad.clone() for name, p in detector.named_parameters()}, terms


def main(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    try:
        for case, shares in torch.load(f"{folder}/cases.pt").items():
            torch.save(
                gradients(shares, rank, DistributedDataParallel), f"{folder}/{case}{rank}.pt"
            )
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
