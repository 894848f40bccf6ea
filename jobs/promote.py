"""Thin entry point: `python jobs/promote.py …` is `dfray promote …`, to submit or to run as it is."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("promote")
