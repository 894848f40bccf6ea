"""Thin entry point: `python jobs/evaluate.py …` is `dfray evaluate …`, to submit or to run as it is."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("evaluate")
