"""Entry point of `dfray search --resume` for jobs: `python jobs/search.py RECIPE ...`.

With --resume, a job that has died resumes when it is submitted again.
"""

from dfray.jobs.environment import require_packages

if __name__ == "__main__":
    require_packages()
    from dfray.cli import main

    main("search", "--resume")
