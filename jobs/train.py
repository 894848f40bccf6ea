"""Thin entry point: `python jobs/train.py …` is `dfray train …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("train")
