"""Progress of distributed work: workers report to a small actor, the driver shows one line for each stage.

Workers never wait for the actor, so that progress costs them nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from dfray.notes import emit, is_quiet
from dfray.text import visible, visible_line

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

DONE, FAILED, ASIDE = "✓", "✗", "·"
"""Marks of a stage that has ended: with its result, refused or failed, or with nothing done."""
_POLL_S = 0.5
_LOG_EVERY_S = 30.0
"""Interval of a stage's log lines where no line can be redrawn, as in the log of a job."""
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
    """Show a line with a count, a clock and a detail while the block runs.

    On a terminal the line is redrawn; elsewhere, as in the log of a job, it is printed every half a minute
    and at its end. An error that leaves the block is marked, and noted with the title.
    """
    line = StageLine(title, total)
    with _surface(line) as line.surface:
        try:
            yield line
        except BaseException as error:
            line.mark = FAILED
            if isinstance(error, Exception):
                error.add_note(f"{STAGE_NOTE}{title}")
            raise
        finally:
            emit(line.text())


class StageLine:
    """The progress line of one running stage.

    Attributes:
        done: steps of `total`, if there is one.
        detail: what the stage is at, and at its end its result.
        mark: DONE, FAILED or ASIDE once the stage has ended; before that empty.
    """

    def __init__(self, title: str, total: int | None) -> None:
        self.title, self.total = title, total
        self.done, self.detail, self.mark = 0.0, "", ""
        self.surface: Surface = _Nothing()
        self._start = time.monotonic()

    def update(self, done: float | None = None, total: int | None = None, detail: str = "") -> None:
        """Redraw the line; what is not given stays."""
        self.done = self.done if done is None else done
        self.total = total or self.total
        self.detail = detail or self.detail
        self.surface.draw(self)

    def say(self, text: str) -> None:
        """Print a line that stays, above the stage's own."""
        emit(text)
        self.surface.say(text)

    def finish(self, detail: str = "", mark: str = DONE) -> None:
        """End the stage with its result.

        Args:
            mark: FAILED if it was refused, ASIDE if nothing was done.
        """
        self.mark = mark
        self.update(done=self.total or 1, detail=detail)

    def text(self) -> str:
        """Return the line for a log."""
        count = f"{self.done:g}/{self.total}" if self.total else ""
        clock = str(timedelta(seconds=int(time.monotonic() - self._start)))
        parts = [f"{self.mark or '·'} {self.title:<15}", count, clock, self.detail]
        return " ".join(part for part in parts if part)


class Surface(Protocol):
    """Place that shows a stage's line."""

    def draw(self, line: StageLine) -> None: ...

    def say(self, text: str) -> None: ...


class _Nothing:
    """Surface of a quiet command."""

    def draw(self, line: StageLine) -> None: ...

    def say(self, text: str) -> None: ...


class _Log:
    """Surface of a log: lines that stay, of any length."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def draw(self, line: StageLine) -> None:
        if not line.mark and time.monotonic() - self._printed > _LOG_EVERY_S:
            self._printed = time.monotonic()
            self.say(line.text())

    def say(self, text: str) -> None:
        print(visible(text), file=sys.stderr, flush=True)


class _Terminal:
    """Surface of a terminal: a line that is redrawn."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def draw(self, line: StageLine) -> None:
        self._progress.update(
            self._task,
            completed=line.done,
            total=line.total or (1 if line.mark else None),
            detail=visible_line(line.detail),
            mark=line.mark,
        )

    def say(self, text: str) -> None:
        self._progress.console.print(visible(text), highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _surface(line: StageLine) -> Iterator[Surface]:
    """Yield the place of a stage's line; at the end the line is shown as it ended."""
    from rich.console import Console

    console = Console(stderr=True, emoji=False)
    if is_quiet():
        yield _Nothing()
    elif console.is_terminal:
        with _terminal(console, line) as surface:
            try:
                yield surface
            finally:
                surface.draw(line)
    else:
        log = _Log()
        try:
            yield log
        finally:
            log.say(line.text())


@contextmanager
def _terminal(console: Console, line: StageLine) -> Iterator[_Terminal]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Mark(SpinnerColumn):
        """A spinner, and once the stage has ended its mark."""

        def render(self, task: Task) -> RenderableType:
            return Text(task.fields["mark"]) if task.fields["mark"] else super().render(task)

    columns = [Mark(), TextColumn("{task.description:<15}")]
    if line.total is not None:
        columns += [BarColumn(bar_width=24), MofNCompleteColumn()]
    # A longer detail, such as a path, would squeeze the other columns away.
    width = console.width - (28 if line.total is None else 68)
    short = Column(no_wrap=True, overflow="ellipsis", max_width=max(width, 10))
    columns += [
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False, table_column=short),
    ]
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield _Terminal(
            progress, progress.add_task(line.title, total=line.total, detail="", mark="")
        )


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
