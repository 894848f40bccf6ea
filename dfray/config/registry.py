"""Where models are kept, and what one must reach to become the champion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dfray.config.section import Count, Fraction, Positive, Section


class GatesSection(Section):
    """What a candidate must reach before the alias `champion` moves to it.

    The first group stands by itself. The second sets the candidate against the champion on the same
    videos: overall, in each dataset, and in each column of `protocols`.
    """

    min_auc: Fraction = 0.5
    min_balanced_accuracy: Fraction = 0.5
    min_coverage: Fraction = Field(0.9, description="videos with a score over videos in the split")
    min_videos: Count = Field(20, description="scored videos, or the figures mean too little")
    max_calibration_error: Fraction | None = Field(
        None, description="expected calibration error of the videos' scores; none: not asked"
    )
    max_post_processing_drop: Fraction | None = Field(
        None,
        description="AUC lost at the worst strength of any kind in evaluation.post_processing; "
        "none: not asked",
    )

    protocols: list[str] = Field(
        [], description="protocols whose columns are compared, such as paper, or YAML files"
    )
    auc_margin: Fraction = Field(
        0.02, description="the lower bound of candidate - champion must lie above minus this"
    )
    balanced_accuracy_margin: Fraction = Field(0.05, description="likewise")
    max_coverage_drop: Fraction = Field(
        0.02, description="coverage it may lose against the champion"
    )
    max_slowdown: Positive | None = Field(
        2.0, description="CPU seconds a face over the champion's; none: not asked"
    )
    min_per_class: Count = Field(
        10, description="real and fake videos that a comparison needs, or it proves nothing"
    )
    resamples: Count = Field(2000, description="of people (or videos), for the lower bound")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.95, description="of the two-sided interval whose lower bound counts"
    )


class RegistrySection(Section):
    """MLflow: where runs and models are kept."""

    tracking_uri: str | None = Field(
        None, description="none: MLFLOW_TRACKING_URI of the environment, or sqlite beside the run"
    )
    experiment: str = "dfray"
    model_name: str = "deepfake-detector"
    gates: GatesSection = GatesSection()
