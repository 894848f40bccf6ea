"""How a detector is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dfray.config.section import Count, NotNegative, Positive, Section


class TrainingSection(Section):
    """Ray Train workers, optimizer and schedule."""

    num_workers: Count = 1
    min_workers: Count | None = Field(
        None,
        description="go on with as few while nodes are lost, at the same global batch; none: wait for "
        "num_workers",
    )
    use_gpu: bool | None = Field(None, description="none: use GPUs if the cluster has any")
    cpus_per_worker: Count = 1
    epochs: Count = 30
    lr: Positive = 1e-4
    min_lr: NotNegative = 1e-6
    warmup_epochs: NotNegative = 5.0
    weight_decay: NotNegative = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="layer-wise lr decay (0.75 in arXiv 2508.19730 section 4.3)"
    )
    clip_norm: Positive | None = Field(None, description="largest norm of all gradients together")
    accumulate: Count = Field(
        1,
        description="parts that a worker's share of a batch is taken in; the terms on embeddings see a "
        "part of every worker, not the whole batch",
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of a moving average of the weights, which is then validated and kept",
    )
    precision: Literal["auto", "bf16", "float32"] = Field(
        "auto", description="of the network's arithmetic; auto: bf16 on a GPU that has it"
    )
    compile: bool = Field(False, description="compile the network for training (torch.compile)")
    selection: Literal["objective", "cross_entropy"] = Field(
        "objective", description="validation loss whose lowest epoch is kept"
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        2, description="restarts of the worker group after a lost worker"
    )

    @property
    def worker_counts(self) -> range:
        """How many workers a run may have at a time."""
        return range(self.min_workers or self.num_workers, self.num_workers + 1)

    @model_validator(mode="after")
    def _least_is_not_most(self) -> TrainingSection:
        if not self.worker_counts:
            raise ValueError(
                f"min_workers {self.min_workers} is more than num_workers {self.num_workers}"
            )
        return self
