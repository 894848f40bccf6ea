"""Reproduction of a paper's table: rows, corpora that are held, figures beside published ones, the page."""
