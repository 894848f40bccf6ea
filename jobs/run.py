"""Thin entry point: `python jobs/run.py …` is `dfray run …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("run")
