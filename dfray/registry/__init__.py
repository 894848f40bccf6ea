"""Registered models in MLflow: versions, measurements, gates, promotion, rollback, history."""
