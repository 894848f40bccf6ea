"""Two workers of one run, forked from a process that has imported what they need: `two_processes.py FOLDER`.

See test_sharding.py.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[2]))
from dfray.recipe import load_recipe
from dfray.run_folder import RunFolder
from dfray.training.launch import worker_config
from dfray.training.worker import Worker
from tests.helpers.toy import TOY
from tests.training.forked import run_two


class OneOfTwo:
    """The surroundings of a worker; rank 0 keeps the state of each epoch under `folder`.

    Args:
        after: the epoch from whose state it resumes; None: it starts.
    """

    world_size = 2
    device = torch.device("cpu")

    def __init__(self, folder: Path, after: int | None) -> None:
        self.rank, self.folder, self.after = dist.get_rank(), folder, after

    def checkpoint(self):
        return None if self.after is None else nullcontext(str(self.folder / str(self.after)))

    def prepare(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model)

    def report(self, learner, history) -> None:
        kept = self.folder / str(len(history) - 1)
        if self.rank == 0:
            kept.mkdir(parents=True, exist_ok=True)
        learner.save(kept if self.rank == 0 else None, history)


def work(rank: int, root: str) -> None:
    for name, words, resumes in torch.load(f"{root}/runs.pt"):
        recipe = load_recipe(TOY, words)
        config = worker_config(recipe, RunFolder(recipe))
        folder = Path(root) / name
        history = Worker(config, OneOfTwo(folder, None)).run()
        if resumes:
            dist.barrier()
            resumed = Worker(config, OneOfTwo(folder, 0)).run()
            assert len(resumed) == len(history)
            history = [*history, *resumed[1:]]
        torch.save(history, folder / f"history-{rank}.pt")


if __name__ == "__main__":
    import torch._dynamo

    sys.exit(run_two(work, sys.argv[1]))
