"""Refusal of a request: a status of HTTP and the reason, which the client gets as JSON."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - an answer, which users of Python never see
    """A request that is refused or fails.

    Attributes:
        status: of HTTP (RFC 9110, 15.5 and 15.6; RFC 6585, 4).
        reason: one sentence.
        headers: of the answer.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})
