"""Child process in which `dfray.faces.digests` opens local videos; their disk or mount may hang.

Each message is JSON. It receives {videos: [[URI, kind], ...], n_samples} and answers with the digest of each
video, or null, in order.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from dfray.faces import sources
from dfray.isolation import end_with

_AT_ONCE = 16


def main() -> None:
    """Serve the socket whose file descriptor is the last argument, until the parent closes it."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[-1]))
    with ThreadPoolExecutor(_AT_ONCE) as pool, contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = json.loads(connection.recv_bytes())

            n_samples = itertools.repeat(task["n_samples"])
            uris, kinds = zip(*task["videos"], strict=True)
            for answer in pool.map(sources.content_digest, uris, kinds, n_samples):
                connection.send_bytes(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
