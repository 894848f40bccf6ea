"""Entry point of `dfray score` for jobs: `python jobs/score.py FILE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("score")
