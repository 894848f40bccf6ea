"""Tracking server, model registry and promotion gates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dfray.config.section import Count, Fraction, Positive, Section, Unit, Younger


class GatesSection(Section):
    """Gates that a candidate must pass before the alias `champion` moves to it.

    Those of the first group are absolute. Those of the second compare the candidate with the champion on
    the same videos: the mean over columns, each dataset, and each column of `protocols`. The columns of the
    mean are those of `evaluation.protocol`, one for each dataset, and each counts the same.
    """

    min_auc: Fraction = Field(0.5, description="lowest AUC, mean over columns")
    min_balanced_accuracy: Fraction = Field(
        0.5, description="lowest balanced accuracy at the model's threshold, mean over columns"
    )
    min_column_auc: Fraction | None = Field(
        None, description="lowest AUC of any column with min_per_class videos; null: no gate"
    )
    min_coverage: Fraction = Field(
        0.9, description="lowest share of the split's videos that have a score"
    )
    min_videos: Annotated[Count, Unit("videos")] = Field(
        20, description="lowest number of scored videos"
    )
    max_calibration_error: Fraction | None = Field(
        None, description="highest expected calibration error of the videos' scores; null: no gate"
    )
    max_group_error_rate: Annotated[Fraction | None, Younger()] = Field(
        None,
        description="highest error rate (mean of false alarms and misses) of any group by an attribute "
        "(corpora.N.attributes) with evaluation.min_per_class real and fake videos; null: no gate",
    )
    max_post_processing_drop: Fraction | None = Field(
        None,
        description="highest drop of AUC at the worst strength of any kind in evaluation.post_processing; "
        "null: no gate",
    )

    protocols: list[str] = Field(
        [],
        description="more protocols whose columns are compared: names such as paper, or YAML files",
    )
    auc_margin: Fraction = Field(
        0.02,
        description="AUC that the candidate may lose, by the lower bound of candidate - champion",
    )
    balanced_accuracy_margin: Fraction = Field(
        0.05, description="balanced accuracy that the candidate may lose, by the lower bound"
    )
    max_coverage_drop: Fraction = Field(0.02, description="coverage that the candidate may lose")
    max_slowdown: Positive | None = Field(
        2.0, description="highest CPU time per face, as a multiple of the champion's; null: no gate"
    )
    min_per_class: Annotated[Count, Unit("videos")] = Field(
        10,
        description="lowest number of real and of fake videos of a comparison, and of a column with a floor",
    )
    resamples: Annotated[Count, Unit("resamples")] = Field(
        2000, description="bootstrap resamples of people (or videos) for the lower bound"
    )
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.95, description="confidence of the two-sided interval whose lower bound counts"
    )


class RegistrySection(Section):
    """MLflow tracking server and model registry."""

    tracking_uri: str | None = Field(
        None,
        description="MLflow's tracking URI; null: MLFLOW_TRACKING_URI of the environment, or sqlite in "
        "work_dir",
    )
    experiment: str = Field("dfray", description="MLflow experiment of the runs")
    model_name: str = Field("deepfake-detector", description="name of the registered model")
    gates: GatesSection = GatesSection()
