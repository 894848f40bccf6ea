"""Entry point of `dfray promote` for jobs: `python jobs/promote.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("promote")
