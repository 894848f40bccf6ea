"""Estimates of the hours, memory, storage and cost of a recipe on a cluster, from measurements here."""
