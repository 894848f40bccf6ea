"""From faces and a model to figures: scores, their mean per video, metrics, and the report."""
