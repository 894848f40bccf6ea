"""The registered model's code, which MLflow copies into the model and runs whenever it loads it.

It uses the dfray that is installed, or else the wheel that the model carries: pure Python, so it is imported
from the zip as it lies there. Nothing else in dfray imports this file; running it declares the model.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import mlflow
import pandas as pd


class RegisteredDetector(mlflow.pyfunc.PythonModel):
    """Pictures or videos in, one row of scores for each out; see `dfray.serving.scorer`."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        if importlib.util.find_spec("dfray") is None:
            sys.path.append(context.artifacts["wheel"])
        from dfray.serving.scorer import MediaScorer

        self.scorer = MediaScorer(context.artifacts["bundle"], context.artifacts["face_detector"])

    # MLflow checks what comes in against this hint; only a DataFrame's is left to the model.
    def predict(
        self,
        context: mlflow.pyfunc.PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        return self.scorer.predict(model_input)

    def close(self) -> None:
        self.scorer.close()


mlflow.models.set_model(RegisteredDetector())
