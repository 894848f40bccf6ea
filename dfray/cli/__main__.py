"""`python -m dfray.cli …` is `dfray …`."""

import os

from dfray.cli import main

if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
