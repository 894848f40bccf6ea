"""MLflow runs: client, run, learning curve, provenance."""
