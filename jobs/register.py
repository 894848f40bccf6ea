"""Thin entry point: `python jobs/register.py …` is `dfray register …`, to submit or to run as it is."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("register")
