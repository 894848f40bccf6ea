"""Thin entry point: `python jobs/score.py …` is `dfray score …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("score")
