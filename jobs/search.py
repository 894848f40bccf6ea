"""Thin entry point: `python jobs/search.py …` is `dfray search --resume …`, to submit or to run as it is.

A job that has died goes on where it was when it is submitted again, a search like every other.
"""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("search", "--resume")
