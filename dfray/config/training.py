"""Training of a detector."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dfray.config.section import Count, NotNegative, Positive, Section, Unit, Younger

Selection = Literal["objective", "cross_entropy", "auc", "average_precision"]

SELECTION_LOSSES: dict[Selection, str] = {
    "objective": "validation loss",
    "cross_entropy": "validation cross-entropy",
    "auc": "1 - validation AUC",
    "average_precision": "1 - validation average precision",
}
"""Selection -> the quantity in which the kept epoch is the lowest."""


class TrainingSection(Section):
    """Ray Train workers, optimizer and schedule."""

    num_workers: Annotated[Count, Unit("workers")] = Field(
        1, description="data-parallel training workers"
    )
    min_workers: Annotated[Count, Unit("workers")] | None = Field(
        None,
        description="lowest number of workers to continue with while nodes are lost, at the same global "
        "batch; null: wait for num_workers",
    )
    use_gpu: bool | None = Field(
        None, description="one GPU per worker; null: if the cluster has any"
    )
    cpus_per_worker: Annotated[Count, Unit("CPUs")] = Field(
        1, description="CPUs that each worker reserves"
    )
    epochs: Annotated[Count, Unit("epochs")] = Field(30, description="number of training epochs")
    lr: Positive = Field(1e-4, description="highest learning rate, reached after the warm-up")
    min_lr: NotNegative = Field(1e-6, description="learning rate at the end of the cosine schedule")
    warmup_epochs: Annotated[NotNegative, Unit("epochs")] = Field(
        5.0, description="length of the linear warm-up"
    )
    weight_decay: NotNegative = Field(0.05, description="weight decay of AdamW")
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="decay of the learning rate per layer, from the head down (0.75 in arXiv 2508.19730 "
        "section 4.3); null: off",
    )
    clip_norm: Positive | None = Field(
        None, description="highest norm of all gradients together; null: no clipping"
    )
    accumulate: Annotated[Count, Unit("steps")] = Field(
        1,
        description="gradient accumulation: chunks of a worker's share of the batch; terms on embeddings "
        "see one chunk of every worker instead of the whole batch",
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of a moving average of the weights, which is validated and saved; null: off",
    )
    precision: Literal["auto", "bf16", "float32"] = Field(
        "auto", description="arithmetic of the network; auto: bf16 on a GPU that supports it"
    )
    parallelism: Annotated[Literal["ddp", "fsdp"], Younger()] = Field(
        "ddp",
        description="distribution over workers; ddp: each holds the whole network; fsdp (FSDP2): each holds "
        "a part of weights, gradients and moments, the same steps with less memory and more traffic",
    )
    activation_checkpointing: Annotated[bool, Younger()] = Field(
        False,
        description="compute each block again in the backward pass in place of keeping its activations: the "
        "same steps with less memory, about a third slower",
    )
    compile: bool = Field(
        False,
        description="compile network and objective for training (torch.compile); on a GPU as CUDA graphs",
    )
    selection: Selection = Field(
        "objective",
        description="criterion that selects the epoch to save, the lowest: a validation loss over faces, or "
        "1 - auc or 1 - average_precision of the validation videos, mean over datasets",
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        2, description="restarts of the worker group after lost workers"
    )

    @model_validator(mode="after")
    def _sharded_is_not_compiled(self) -> TrainingSection:
        if self.parallelism == "fsdp" and self.compile:
            raise ValueError("compile goes with parallelism ddp: set one of them back")
        return self

    @property
    def worker_counts(self) -> range:
        """Numbers of workers that a run may have at a time."""
        return range(self.min_workers or self.num_workers, self.num_workers + 1)

    @model_validator(mode="after")
    def _least_is_not_most(self) -> TrainingSection:
        if not self.worker_counts:
            raise ValueError(
                f"min_workers {self.min_workers} is more than num_workers {self.num_workers}"
            )
        return self
