"""Thin entry point: `python jobs/evaluate.py …` is `dfray evaluate …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("evaluate")
