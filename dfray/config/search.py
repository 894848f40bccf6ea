"""Space, budget and metric of a search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, field_validator, model_validator

from dfray.config.section import Count, Section, Unit

METRICS = {"auc": "max", "log_loss": "min"}
"""Metric -> direction of improvement; each is `val_<metric>` in the metrics of an epoch."""

_OF_TRAINING = ("loss", "cross_entropy", "triplet", "alignment", "uniformity", "metric", "weight")
_RANGES = ("uniform", "log_uniform", "int")

# Defined here, as one of the keys below is called int.
Ends = tuple[FiniteFloat, FiniteFloat]
WholeEnds = tuple[int, int]
Choices = list[bool | int | float | str]


class ParameterSection(Section):
    """Values of one recipe key, by exactly one of four keys."""

    uniform: Ends | None = Field(None, description="low and high end of a uniform distribution")
    log_uniform: Ends | None = Field(
        None, description="low and high end of a log-uniform distribution"
    )
    int: WholeEnds | None = Field(None, description="low and high end of integers, both included")
    choice: Choices | None = Field(None, description="values to choose from")

    @model_validator(mode="after")
    def _one_that_is_not_empty(self) -> ParameterSection:
        kinds = [name for name in (*_RANGES, "choice") if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_RANGES)} and choice (got "
                f"{' and '.join(kinds) or 'none'})"
            )
        kind = kinds[0]
        values = getattr(self, kind)
        if kind == "choice":
            if len(set(values)) < len(values) or not values:
                raise ValueError(f"choice lists different values, one at least (got {values})")
        elif values[0] >= values[1]:
            raise ValueError(f"the range {kind} {list(values)} is empty: its ends are low, high")
        elif kind == "log_uniform" and values[0] <= 0:
            raise ValueError(f"log_uniform {list(values)} has no logarithm at its low end")
        return self

    @property
    def ends(self) -> list[Any]:
        """All values of a choice, or both ends of a range."""
        return list(self.choice or self.uniform or self.log_uniform or self.int or [])


class SearchSection(Section):
    """Search over a space of recipe keys; each trial is a training, the best are repeated with new seeds.

    The default space holds w and m, which arXiv 2508.19730 tuned and does not publish.
    """

    space: Annotated[dict[str, ParameterSection], Field(min_length=1)] = Field(
        {
            "objective.triplet.weight": ParameterSection(log_uniform=(0.01, 10.0)),
            "objective.triplet.margin": ParameterSection(uniform=(0.1, 2.0)),
        },
        description="recipe key -> its values: {uniform: [a, b]}, {log_uniform: [a, b]}, {int: [a, b]} or "
        "{choice: [...]}",
    )
    trials: Annotated[Count, Unit("trials")] = Field(12, description="number of trials")
    metric: Literal["auc", "log_loss"] = Field(
        "auc",
        description="metric of the validation videos, real against fake, mean over datasets; a trial's best "
        "epoch counts",
    )
    scheduler: Literal["asha", "none"] = Field(
        "asha",
        description="asha: stop weak trials early (arXiv 1810.05934); none: train all in full",
    )
    grace_epochs: Annotated[Count, Unit("epochs")] = Field(
        1, description="epochs that ASHA trains every trial at least"
    )
    reduction_factor: Annotated[int, Field(ge=2)] = Field(
        3, description="ASHA continues one in so many of the trials that reach a rung"
    )
    startup_trials: Annotated[Count, Unit("trials")] = Field(
        10, description="random trials before the TPE sampler's model is used"
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="random seed of the sampler")
    finalists: Annotated[int, Field(ge=0), Unit("trials")] = Field(
        3, description="best trials to repeat with new seeds; 0: the best trial wins"
    )
    seeds: Annotated[Count, Unit("seeds")] = Field(3, description="new seeds for each finalist")
    trial_workers: Annotated[Count, Unit("workers")] = Field(
        1, description="training.num_workers of every trial, at the same global batch"
    )
    max_concurrent: Annotated[Count, Unit("trials")] | None = Field(
        None,
        description="highest number of concurrent trials; null: as many as the cluster can run",
    )

    @field_validator("metric", mode="before")
    @classmethod
    def _enters_no_loss(cls, value: Any) -> Any:
        """Return the metric, or raise the reason where a Literal would only list its values."""
        if str(value) in METRICS:
            return value
        name = str(value).removeprefix("selection_").removeprefix("train_").removeprefix("val_")
        listed = " or ".join(METRICS)
        if name in METRICS:
            raise ValueError(f"the validation metric is called {name}")
        if name.startswith(_OF_TRAINING):
            raise ValueError(
                f"{value} depends on the weights, margins and classes that trials differ in, so it does "
                f"not compare them: use {listed}, which do not depend on those"
            )
        raise ValueError(f"no trial reports {value!r}: use {listed}")

    def content(self) -> dict[str, Any]:
        """Return the settings that a search's result depends on, as JSON."""
        return self.model_dump(mode="json", exclude={"max_concurrent"})

    @property
    def mode(self) -> Literal["max", "min"]:
        """Direction in which the metric improves."""
        return "max" if METRICS[self.metric] == "max" else "min"

    @property
    def metric_key(self) -> str:
        """Key of the metric in the metrics of an epoch."""
        return f"val_{self.metric}"

    def best(self, values: list[float]) -> float:
        """Return the best of one or more values of the metric."""
        return max(values) if self.mode == "max" else min(values)
