"""Thin entry point: `python jobs/extract.py …` is `dfray extract …`, to submit or to run as it is."""

from dfray.cli import main

if __name__ == "__main__":
    main("extract")
