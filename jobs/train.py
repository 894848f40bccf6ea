"""Entry point of `dfray train` for jobs: `python jobs/train.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("train")
