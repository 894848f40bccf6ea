"""Thin entry point: `python jobs/promote.py …` is `dfray promote …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("promote")
