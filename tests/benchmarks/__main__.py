"""Every benchmark of this folder, one after the other, each in a process of its own.

    python -m tests.benchmarks

Exit code 1 if one of them misses a bound that it states.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    missed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"\n== {path.stem}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=False)
        if done.returncode:
            missed.append(path.stem)
    print(f"\nBounds missed: {', '.join(missed) or 'none'}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
