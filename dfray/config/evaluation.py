"""Evaluation of a detector."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from dfray.config.section import Count, Fraction, Section, Unit, Younger
from dfray.errors import did_you_mean
from dfray.post_processing import POST_PROCESSINGS

BALANCED_ACCURACY: Literal["balanced_accuracy"] = "balanced_accuracy"
"""Value of `evaluation.threshold`: the threshold of the highest balanced accuracy on validation."""
UNFITTED_THRESHOLD = 0.5
"""Threshold until one is fitted, and where validation has too few videos for it; the papers' own."""

View = Literal["whole", "flip", "crops", "flipped_crops"]
PASSES: dict[View, int] = {"whole": 1, "flip": 1, "crops": 5, "flipped_crops": 5}
"""View of a face -> passes of the network that it takes."""


class WantedRate(Section):
    """Threshold fitted so that at most this share of the real validation videos is called fake."""

    fpr: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="false positive rate to fit the threshold to"
    )


def _known_post_processing(name: str) -> str:
    """Return the name of a post-processing.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in POST_PROCESSINGS:
        raise ValueError(
            f"no post-processing is called {name!r}; there are {', '.join(POST_PROCESSINGS)}. "
            + did_you_mean(name, POST_PROCESSINGS)
        )
    return name


class EvaluationSection(Section):
    """Scoring, decision rule and metrics (arXiv 2508.19730 section 4.3)."""

    split: Literal["test", "val"] = Field("test", description="split to measure")
    threshold: Fraction | Literal["balanced_accuracy"] | WantedRate = Field(
        BALANCED_ACCURACY,
        description="score from which a video is called fake: balanced_accuracy, where that is highest on "
        "fit_split (0.5 if it has less than min_per_class videos of a class, or is measured itself); "
        "{fpr: 0.05}, where at most that share of its real videos is called fake; or a number",
    )
    calibrate: bool = Field(
        False, description="fit a temperature on fit_split, so that scores are probabilities"
    )
    fit_split: Literal["val"] = Field(
        "val", description="split to fit threshold and temperature on; never test"
    )
    video_rule: Literal["mean", "max_of_persons"] = Field(
        "mean",
        description="score of a video: mean over all faces, or the highest mean of one person in it",
    )
    views: Annotated[list[View], Field(min_length=1), Younger()] = Field(
        ["whole"],
        description="views of a face whose mean log-odds are its score (test-time augmentation); whole: as "
        "it is; flip: mirrored; crops: corners and centre, 7/8 of the side; flipped_crops: those mirrored; "
        "the network runs once for whole and for flip, five times for the crops",
    )
    protocol: str | None = Field(
        None,
        description="protocol that gives the columns of the mean that decides: a name such as paper, or a "
        "YAML file; null: a column for each dataset",
    )
    post_processing: list[Annotated[str, AfterValidator(_known_post_processing)]] = Field(
        [],
        description="post-processing to measure the drop of AUC under, at five strengths each: "
        + ", ".join(POST_PROCESSINGS),
    )
    min_per_class: Annotated[Count, Unit("videos")] = Field(
        5,
        description="lowest number of real and of fake videos that a figure of a group is given for",
    )
    bootstrap: Annotated[Count, Unit("resamples")] | None = Field(
        None,
        description="without effect, for recipes of an earlier date: intervals follow from counts",
    )
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.95, description="confidence of the intervals"
    )
    batch_size: Annotated[Count, Unit("faces")] = Field(128, description="faces per scoring batch")
    num_workers: Annotated[Count, Unit("actors")] = Field(1, description="number of scoring actors")

    @property
    def is_fitted(self) -> bool:
        """True if a threshold or a temperature is to be fitted."""
        return self.calibrate or not isinstance(self.threshold, float)

    @property
    def fixed_threshold(self) -> float:
        """The fixed threshold, or UNFITTED_THRESHOLD until one is fitted."""
        return self.threshold if isinstance(self.threshold, float) else UNFITTED_THRESHOLD

    @property
    def decision_criteria(self) -> dict[str, Any]:
        """The settings that a decision rule is made for, as JSON; other settings need another rule.

        Younger ones at their default are left out, as rules that are older than they do not have them.
        """
        of_rule = {"threshold", "calibrate", "video_rule", "views"} - self.unused_younger()
        return self.model_dump(mode="json", include=of_rule)

    @model_validator(mode="before")
    @classmethod
    def _validation_is_measured_as_it_is(cls, values: Any) -> Any:
        """Fix the default threshold, stated or not, if the split that it would be fitted on is measured."""
        if not isinstance(values, dict) or values.get("split") != "val":
            return values
        is_fitted = values.get("threshold", BALANCED_ACCURACY) == BALANCED_ACCURACY
        return values | ({"threshold": UNFITTED_THRESHOLD} if is_fitted else {})

    @field_validator("views")
    @classmethod
    def _each_view_counts_once(cls, views: list[View]) -> list[View]:
        if len(set(views)) < len(views):
            raise ValueError(f"each view counts once (got {', '.join(views)})")
        return sorted(views, key=[*PASSES].index)

    @field_validator("fit_split", mode="before")
    @classmethod
    def _test_chooses_nothing(cls, value: Any) -> Any:
        if value == "test":
            raise ValueError(
                "the test split chooses no checkpoint, threshold or parameter: metrics on data that "
                "made a choice are too optimistic"
            )
        return value

    @model_validator(mode="after")
    def _fitted_on_other_videos_than_measured(self) -> EvaluationSection:
        if self.is_fitted and self.split == self.fit_split:
            raise ValueError(
                f"split {self.split} would be measured with a threshold or temperature fitted on it: "
                "measure test, or give a fixed threshold and no calibration"
            )
        return self
