"""Entry point of `dfray extract` for jobs: `python jobs/extract.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("extract")
