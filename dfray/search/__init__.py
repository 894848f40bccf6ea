"""Ray Tune over a recipe's search space: trials, finalists, a winner, and what MLflow keeps of them."""
