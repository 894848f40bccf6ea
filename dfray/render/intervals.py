"""Estimates as text: the value, its confidence interval and a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfray.planning.extraction import Interval


def as_range(interval: Interval, unit: str, form: str = "{:,.1f}") -> str:
    """Return `value [low, high] unit`, each number in the given format."""
    low, high, value = (form.format(x) for x in (interval.low, interval.high, interval.value))
    return f"{value} [{low}, {high}] {unit}".rstrip()


def as_work(cpu_s: Interval) -> str:
    """Return CPU seconds as CPU-minutes or CPU-hours."""
    if cpu_s.value < 3600:
        return as_range(cpu_s * (1 / 60), "CPU-minutes")
    return as_range(cpu_s * (1 / 3600), "CPU-hours")


def as_duration(seconds: Interval) -> str:
    """Return seconds of wall time in minutes, hours or days."""
    return f"{as_time(seconds.value)} [{as_time(seconds.low)}, {as_time(seconds.high)}]"


def as_time(seconds: float) -> str:
    """Return seconds in minutes, hours or days."""
    if seconds < 3600:
        return f"{seconds / 60:,.1f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 96 * 3600 else f"{seconds / 86400:,.1f} days"


def as_bytes(size: Interval) -> str:
    """Return bytes in GiB or TiB."""
    unit, factor = ("TiB", 2**40) if size.value > 2**40 else ("GiB", 2**30)
    return as_range(size * (1 / factor), unit, "{:,.2f}")
