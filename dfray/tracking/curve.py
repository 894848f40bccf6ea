"""A run's curve, logged while training goes on; training never waits for MLflow, nor fails with it.

The truth is the history that every checkpoint holds. So what is logged on the way may be late or lost: an
epoch is handed to a thread, which tries until the server takes it, and `complete` logs what is missing once
training has ended. An epoch carries the time at which it ended, so a late point stands where it belongs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from queue import SimpleQueue

from dfray.errors import RegistryError
from dfray.tracking.run import Run

PATIENCE_S = 300.0
"""How long `complete` waits for a server that is away."""
_MAX_WAIT_S = 30.0
_NEVER = threading.Event()

_log = logging.getLogger(__name__)


class LogEpoch:
    """Called with the figures of every epoch; returns at once, whatever becomes of the server."""

    def __init__(self, tracked: Run) -> None:
        self.tracked = tracked
        self._epochs: SimpleQueue[Mapping[str, float]] | None = None

    def __call__(self, figures: Mapping[str, float]) -> None:
        if self._epochs is None:
            self._epochs = SimpleQueue()
            threading.Thread(target=self._log_for_ever, daemon=True, name="dfray-curve").start()
        self._epochs.put(figures)

    def __reduce__(self) -> tuple[type[LogEpoch], tuple[Run]]:
        """Ray Train pickles it for its controller, and again for workers that are started anew."""
        return LogEpoch, (self.tracked,)

    def _log_for_ever(self) -> None:
        assert self._epochs is not None
        while True:
            _until_taken(self.tracked, self._epochs.get(), None, _NEVER)


def complete(
    tracked: Run, history: Iterable[Mapping[str, float]], stopped: threading.Event = _NEVER
) -> None:
    """Log what the run does not have yet of `history`; waits for a server that is away.

    Args:
        stopped: once it is set, that is no longer waited for.

    Raises:
        RegistryError: it is away for more than `PATIENCE_S`, or when `stopped` is set.
    """
    for figures in history:
        _until_taken(tracked, figures, PATIENCE_S, stopped)


def _until_taken(
    tracked: Run, figures: Mapping[str, float], patience_s: float | None, stopped: threading.Event
) -> None:
    import tenacity

    def tell(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            later = "later" if patience_s is None else f"within {patience_s:g} s, or training fails"
            _log.warning(
                "%s Epoch %g is logged %s.", state.outcome.exception(), figures["epoch"], later
            )

    ends = tenacity.stop_never if patience_s is None else tenacity.stop_after_delay(patience_s)
    given_up = tenacity.stop_when_event_set(stopped)
    tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RegistryError),
        wait=tenacity.wait_exponential(max=_MAX_WAIT_S),
        stop=tenacity.stop_any(ends, given_up),
        sleep=tenacity.sleep_using_event(stopped),
        before_sleep=tell,
        reraise=True,
    )(_log_epoch, tracked, figures)


def _log_epoch(tracked: Run, figures: Mapping[str, float]) -> None:
    metrics = {
        name: value for name, value in figures.items() if name not in ("epoch", "ended_at_s")
    }
    tracked.log_metrics(metrics, step=int(figures["epoch"]), at_s=figures.get("ended_at_s"))
