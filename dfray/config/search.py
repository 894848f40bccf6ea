"""What a search varies, how long, and by which figure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, field_validator, model_validator

from dfray.config.section import Count, Section

METRICS = {"auc": "max", "log_loss": "min"}
"""metric -> which way it is better; each is `val_<metric>` among an epoch's figures"""

_OF_TRAINING = ("loss", "cross_entropy", "triplet", "alignment", "uniformity", "metric", "weight")
_RANGES = ("uniform", "log_uniform", "int")

# Named here, as one of the keys below is called int.
Ends = tuple[FiniteFloat, FiniteFloat]
WholeEnds = tuple[int, int]
Choices = list[bool | int | float | str]


class ParameterSection(Section):
    """The values of one recipe key; exactly one of the four."""

    uniform: Ends | None = None
    log_uniform: Ends | None = None
    int: WholeEnds | None = Field(None, description="both ends included")
    choice: Choices | None = None

    @model_validator(mode="after")
    def _one_that_is_not_empty(self) -> ParameterSection:
        given = [name for name in (*_RANGES, "choice") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_RANGES)} and choice (got "
                f"{' and '.join(given) or 'none'})"
            )
        kind = given[0]
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
        """Every value of a choice, or both ends of a range."""
        return list(self.choice or self.uniform or self.log_uniform or self.int or [])


class SearchSection(Section):
    """Trials over the recipe's search space, each a training; the best are repeated with fresh seeds.

    The defaults search what arXiv 2508.19730 tuned and does not publish: w and m.
    """

    space: Annotated[dict[str, ParameterSection], Field(min_length=1)] = Field(
        {
            "objective.triplet.weight": ParameterSection(log_uniform=(0.01, 10.0)),
            "objective.triplet.margin": ParameterSection(uniform=(0.1, 2.0)),
        },
        description="recipe key -> {uniform: [a, b]}, {log_uniform: [a, b]}, {int: [a, b]} or "
        "{choice: [...]}",
    )
    trials: Count = 12
    metric: Literal["auc", "log_loss"] = Field(
        "auc", description="of validation videos, real against fake; the best epoch counts"
    )
    scheduler: Literal["asha", "none"] = Field(
        "asha", description="asha: stop the worse trials early (arXiv 1810.05934)"
    )
    grace_epochs: Count = Field(1, description="epochs that ASHA gives every trial")
    reduction_factor: Annotated[int, Field(ge=2)] = Field(
        3, description="of the trials that reach a rung of ASHA, one in so many goes on"
    )
    startup_trials: Count = Field(
        10, description="trials drawn at random before TPE's model is used"
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="of the sampler")
    finalists: Annotated[int, Field(ge=0)] = Field(
        3, description="best trials that are repeated with fresh seeds; 0: the best trial wins"
    )
    seeds: Count = Field(3, description="fresh seeds for each finalist")
    trial_workers: Count = Field(
        1, description="training.num_workers of every trial; the global batch stays"
    )
    max_concurrent: Count | None = Field(None, description="none: as many as the cluster holds")

    @field_validator("metric", mode="before")
    @classmethod
    def _enters_no_loss(cls, value: Any) -> Any:
        """The reason, where a literal would only list what it takes."""
        if str(value) in METRICS:
            return value
        name = str(value).removeprefix("selection_").removeprefix("train_").removeprefix("val_")
        listed = " or ".join(METRICS)
        if name in METRICS:
            raise ValueError(f"the validation's figure is called {name}")
        if name.startswith(_OF_TRAINING):
            raise ValueError(
                f"{value} depends on the very weights, margins and classes that trials differ in, so "
                f"that it does not compare them: take {listed}, which those do not enter"
            )
        raise ValueError(f"no trial reports {value!r}: take {listed}")

    def content(self) -> dict[str, Any]:
        """What a search's result depends on."""
        return self.model_dump(mode="json", exclude={"max_concurrent"})

    @property
    def mode(self) -> Literal["max", "min"]:
        return "max" if METRICS[self.metric] == "max" else "min"

    @property
    def metric_key(self) -> str:
        """The metric's key among the metrics of an epoch."""
        return f"val_{self.metric}"

    def best(self, values: list[float]) -> float:
        """The best of one or more values of the metric."""
        return max(values) if self.mode == "max" else min(values)
