"""Entry point of `dfray evaluate` for jobs: `python jobs/evaluate.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("evaluate")
