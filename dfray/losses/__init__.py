"""Objectives on logits and embeddings, in plain torch."""
