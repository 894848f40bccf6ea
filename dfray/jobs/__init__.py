"""Stages as jobs of a running Ray cluster."""
