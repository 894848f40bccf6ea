"""Runs, registered models, and which of them is the champion; kept in MLflow."""
