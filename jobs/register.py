"""Entry point of `dfray register` for jobs: `python jobs/register.py RECIPE ...`."""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("register")
