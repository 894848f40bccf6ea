"""Progress of distributed work: workers report to a small actor, the driver draws one line for each stage.

Workers never wait for the actor, so that progress costs them nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from rich.progress import Progress, TaskID

_POLL_S = 0.5
_LOG_EVERY_S = 30.0
"""Interval of a stage's log lines where no line can be redrawn, as in the log of a job."""
_LOG_WIDTH = 120
"""Columns of such a line: a log has no width, and a narrower line would cut off a stage's result."""
STAGE_NOTE = "in stage "
"""Prefix of the note on an error that ended a stage; the stage's title follows."""


Show = Callable[[dict[str, Any]], None]


class Counts:
    """Sums and latest values that workers report; becomes an actor through `counting_actor`."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._latest: dict[str, Any] = {}

    def add(self, counts: dict[str, float]) -> None:
        """Add to the sums."""
        self._sums.update(counts)

    def note(self, values: dict[str, Any]) -> None:
        """Replace the latest values."""
        self._latest.update(values)

    def get(self) -> dict[str, Any]:
        """Return the sums and the latest values."""
        return dict(self._sums) | self._latest


def counting_actor() -> ActorHandle:
    """Start a `Counts` actor on the driver's node that takes no CPU."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    driver_node = NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(num_cpus=0, scheduling_strategy=driver_node)(Counts).remote()


@contextmanager
def stage(title: str, total: int | None = None) -> Iterator[StageLine]:
    """Draw a line with a bar, a clock and a detail while the block runs."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column

    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = max(console.width, _LOG_WIDTH)
    columns = [SpinnerColumn(finished_text="✓"), TextColumn("{task.description:<15}")]
    if total is not None:
        columns += [BarColumn(bar_width=24), MofNCompleteColumn()]
    # A longer detail, such as a path, would squeeze the other columns away.
    width = console.width - (28 if total is None else 68)
    short = Column(no_wrap=True, overflow="ellipsis", max_width=max(width, 10))
    columns += [
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}", table_column=short),
    ]
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        try:
            yield StageLine(progress, progress.add_task(title, total=total, detail=""), total)
        except Exception as error:
            error.add_note(f"{STAGE_NOTE}{title}")
            raise


class StageLine:
    """The progress line of one running stage."""

    def __init__(self, progress: Progress, task: TaskID, total: int | None) -> None:
        self._progress, self._task, self.total = progress, task, total
        self._logged = time.monotonic()

    def update(self, done: float | None = None, total: int | None = None, detail: str = "") -> None:
        """Redraw the line; what is not given stays."""
        self.total = total or self.total
        fields: dict[str, Any] = {"detail": detail} if detail else {}
        self._progress.update(self._task, completed=done, total=total, **fields)
        if not self._progress.console.is_terminal:
            self._log()

    def _log(self) -> None:
        if time.monotonic() - self._logged > _LOG_EVERY_S:
            self._logged = time.monotonic()
            task = self._progress.tasks[self._task]
            counted = f"{task.completed:g}/{self.total}  " if self.total else ""
            self.say(f"· {task.description}  {counted}{task.fields['detail']}")

    def say(self, text: str) -> None:
        """Print a line that stays, above the stage's own."""
        self._progress.console.print(text, highlight=False, soft_wrap=True)

    def finish(self, detail: str = "") -> None:
        """Mark the stage as done, whatever its count."""
        total = self.total or 1
        self.update(done=total, total=total, detail=detail)


@contextmanager
def watching(actor: ActorHandle, show: Show) -> Iterator[None]:
    """Call `show(counts)` twice a second with the actor's counts, until the block ends."""
    import ray

    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(_POLL_S):
            try:
                show(ray.get(actor.get.remote(), timeout=5))
            except ray.exceptions.RayError:
                return

    thread = threading.Thread(target=poll, daemon=True, name="dfray-progress")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        show(ray.get(actor.get.remote(), timeout=30))
