"""Two workers, forked from a process that has imported what they need: `ddp_worker.py FOLDER`.

See test_two_workers.py.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[2]))
from dfray.config import ObjectiveSection
from dfray.training.validate import _gather
from tests.training.forked import run_two
from tests.training.kit import faces_and_labels, step_over

LABELS = torch.tensor([0, 0, 1, 1] * 3)  # unlike the faces' brightness, so that triplets are active


def gradients(shares, rank, objective, *, steps=1, wrap=lambda model: model, **options):
    """After `steps` steps on `shares[rank]`.

    Returns:
        gradients of the last step (of the detector's and the objective's parameters), its terms, the
        objective's parameters, its figures.
    """
    section = ObjectiveSection.model_validate(objective)
    step, detector = step_over("test_vit", objective=section, wrap=wrap, **options)
    faces, _ = faces_and_labels(len(LABELS))
    chosen = torch.tensor(shares[rank])
    torch.manual_seed(rank)
    for number in range(steps):
        terms = step(faces[chosen], LABELS[chosen], number)
    named = [*detector.named_parameters(), *step.objective.named_parameters()]
    own = {name: p.detach().clone() for name, p in step.objective.named_parameters()}
    return {n: p.grad.clone() for n, p in named}, terms, own, step.objective.end_epoch()


class Counted(DistributedDataParallel):
    """Counts the exchanges of gradients."""

    exchanges = 0

    def __init__(self, module):
        super().__init__(module)
        self.register_comm_hook(None, self.exchange)

    @staticmethod
    def exchange(_, bucket):
        Counted.exchanges += 1
        return default_hooks.allreduce_hook(None, bucket)


class Together(nn.Module):
    """A detector and its objective in one module, as some wrap them."""

    def __init__(self, detector, objective):
        super().__init__()
        self.detector, self.objective = detector, objective

    def forward(self, images, labels):
        return self.objective(*self.detector(images), labels)["loss"]


def gradients_inside(shares, rank, objective):
    """As those of `gradients`, of one backward pass with the objective inside the wrapped model."""
    step, detector = step_over("test_vit", objective=ObjectiveSection.model_validate(objective))
    faces, _ = faces_and_labels(len(LABELS))
    chosen = torch.tensor(shares[rank])
    wrapped = DistributedDataParallel(Together(detector, step.objective))
    wrapped(step.augment.preprocess(faces[chosen]), LABELS[chosen]).backward()
    named = [*detector.named_parameters(), *step.objective.named_parameters()]
    return {name: p.grad.clone() for name, p in named}


def work(rank: int, folder: str) -> None:
    cases = torch.load(f"{folder}/cases.pt")
    for number, case in enumerate(cases):
        found = gradients(**case, rank=rank, wrap=DistributedDataParallel)
        torch.save(found, f"{folder}/{number}-{rank}.pt")
    found = gradients_inside(**torch.load(f"{folder}/inside.pt"), rank=rank)
    torch.save(found, f"{folder}/{len(cases)}-{rank}.pt")
    found = gradients(**torch.load(f"{folder}/accumulated.pt"), rank=rank, wrap=Counted)
    torch.save((found[0], Counted.exchanges), f"{folder}/accumulated-{rank}.pt")
    found = _gather(torch.full((2 * rank, 3), float(rank)))  # rank 0 has nothing
    torch.save(found, f"{folder}/validated-{rank}.pt")


if __name__ == "__main__":
    import pytorch_metric_learning.losses  # noqa: F401  what the first loss and optimizer would import
    import torch._dynamo

    sys.exit(run_two(work, sys.argv[1]))
