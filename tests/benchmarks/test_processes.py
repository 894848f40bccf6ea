"""CPU time as the benchmarks tell it is that of every process, whatever it is called, whenever it ends."""

from __future__ import annotations

import subprocess
import sys

from tests.benchmarks.processes import CpuWatch, by_name

BURN = "import time\nwhile time.process_time() < 2.5: pass"


def test_one_that_has_ended_is_counted_though_another_has_no_name() -> None:
    with CpuWatch() as watch:
        nameless = subprocess.Popen(["", "60"], executable="sleep")
        subprocess.run([sys.executable, "-c", BURN, "burner"], check=True)
        nameless.kill()
        nameless.wait()
        spent = watch.look()
    assert max(by_name(spent).values()) > 1
