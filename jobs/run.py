"""Entry point of `dfray run` for jobs: `python jobs/run.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("run")
