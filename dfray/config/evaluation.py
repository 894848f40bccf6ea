"""How a detector is measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dfray.config.section import Count, Fraction, Section


class WantedRate(Section):
    """A threshold that is fitted: at most so many real videos of validation are called fake."""

    fpr: Annotated[float, Field(gt=0, lt=1)] = Field(description="wanted false positive rate")


class EvaluationSection(Section):
    """Scoring, the decision, and metrics (arXiv 2508.19730 section 4.3)."""

    split: Literal["test", "val"] = Field("test", description="the split that is measured")
    threshold: Fraction | WantedRate = Field(
        0.5, description="fake at or above it; or {fpr: 0.05}, fitted on `fit_split`"
    )
    calibrate: bool = Field(
        False, description="fit a temperature on `fit_split`, so that scores are probabilities"
    )
    fit_split: Literal["val"] = Field(
        "val", description="what threshold and temperature are fitted on; never test"
    )
    video_rule: Literal["mean", "max_of_persons"] = Field(
        "mean", description="mean over all faces, or the highest mean of a person seen in the video"
    )
    post_processing: list[Literal["jpeg", "h264", "resize", "blur", "noise"]] = Field(
        [], description="measure the loss of AUC under these, at five strengths each"
    )
    bootstrap: Count = Field(1000, description="resamples of videos for the intervals")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    batch_size: Count = 128
    num_workers: Count = 1

    @property
    def is_fitted(self) -> bool:
        """Whether a threshold or a temperature is to be fitted."""
        return self.calibrate or isinstance(self.threshold, WantedRate)

    @property
    def fixed_threshold(self) -> float:
        """The threshold as given, or 0.5 until one is fitted."""
        return 0.5 if isinstance(self.threshold, WantedRate) else self.threshold

    @property
    def decision_criteria(self) -> dict[str, Any]:
        """The settings that a decision rule is made for, as JSON; other settings need another rule."""
        return self.model_dump(mode="json", include={"threshold", "calibrate", "video_rule"})

    @field_validator("fit_split", mode="before")
    @classmethod
    def _test_chooses_nothing(cls, value: Any) -> Any:
        if value == "test":
            raise ValueError(
                "the test split chooses no checkpoint, threshold or parameter: figures on data that "
                "made a choice are better than the detector is"
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
