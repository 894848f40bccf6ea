"""A proxy in front of an HTTP server that can cut it off, slow it down, or answer in its place.

Each connection carries one request: its head is read here, the rest is pumped through untouched, so uploads
of any encoding pass.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_KEEP_ALIVE = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """`target` is the path and the query, as the client wrote them."""

    method: str
    target: str


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: it waits for `delay_s`, and is answered with `status` if there is one.

    `code` is what an object store would call it. With `is_lost` it is passed on, and its answer is not.
    """

    status: int | None = None
    code: str = ""
    delay_s: float = 0.0
    is_lost: bool = False

    def answer(self, method: str) -> bytes:
        body = (
            f"<Error><Code>{self.code}</Code><Message>The proxy says {self.code}</Message></Error>"
        )
        if method == "HEAD":  # whose answers have no body
            body = ""
        head = f"HTTP/1.1 {self.status} Fault\r\nContent-Type: application/xml\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


FULL, BUSY = Fault(507, "XMinioStorageFull"), Fault(503, "SlowDown")
"""What object stores say of themselves."""


class FaultProxy:
    """As a context: listens on loopback at `url` and passes everything on to `upstream`.

    Attributes:
        requests: every request that came, in order.
        answered: the request and the bytes of each piece of an answer that was passed on, heads included.
        fault: called with every request; what it returns is done to it.
        is_cut: connections are closed without an answer.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.requests: list[Request] = []
        self.answered: list[tuple[Request, int]] = []
        self._over = threading.Event()
        self.pass_on()

    def pass_on(self) -> None:
        """Do nothing to any request, from now on; one that still waits is dropped."""
        self._over.set()
        self._over = threading.Event()
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.is_cut = False

    def refuse_every(self, nth: int) -> list[Request]:
        """Answer 503 to the next request and every `nth` after it; those it is done to, as they come."""
        counter, refused = itertools.count(), []

        def fault(request: Request) -> Fault | None:
            if next(counter) % nth:
                return None
            refused.append(request)
            return BUSY

        self.fault = fault
        return refused

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # wakes who accepts; closing alone does not
        self._accepting.join()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):  # shut down
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head, rest = _read_head(client)
            if not head:
                return
            method, target, _ = head.split(b" ", 2)
            request = Request(method.decode(), target.decode())
            self.requests.append(request)
            fault = self.fault(request) or Fault()
            if self._over.wait(fault.delay_s) or self.is_cut:
                return
            if fault.status is not None:
                _drain(client)
                client.sendall(fault.answer(request.method))
                return
            with socket.create_connection(self._upstream) as server:
                server.sendall(_KEEP_ALIVE.sub(b"", head) + b"\r\nConnection: close\r\n\r\n" + rest)
                pump = threading.Thread(target=_pump, args=(client, server), daemon=True)
                pump.start()
                if fault.is_lost:
                    server.recv(1)  # it has been done
                    client.shutdown(socket.SHUT_RDWR)  # closing alone would wait for the pump
                    return
                _pump(server, client, lambda n_bytes: self.answered.append((request, n_bytes)))


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The request's head, and what of its body came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _drain(client: socket.socket) -> None:
    """Read what the client still sends, else closing would reset the connection before the answer."""
    client.settimeout(0.1)
    with suppress(TimeoutError):
        while client.recv(65536):
            pass
    client.settimeout(None)


def _pump(
    source: socket.socket, target: socket.socket, note: Callable[[int], None] = lambda n_bytes: None
) -> None:
    """Pass on all that comes; the bytes of each piece are noted before, so that who reads it finds them."""
    with suppress(OSError):
        while data := source.recv(65536):
            note(len(data))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
