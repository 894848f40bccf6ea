"""Every benchmark of this folder, one after the other, each in a process of its own.

    python -m tests.benchmarks          # those that take minutes
    python -m tests.benchmarks --long   # those too that take half an hour

Exit code 1 if one of them misses a bound that it states.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LONG = {"bench_degrade", "bench_first_jobs", "bench_search"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help=f"with {', '.join(sorted(LONG))}")
    with_long = parser.parse_args(arguments).long
    missed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if path.stem in LONG and not with_long:
            continue
        print(f"\n== {path.stem}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=False)
        if done.returncode:
            missed.append(path.stem)
    print(f"\nBounds missed: {', '.join(missed) or 'none'}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
