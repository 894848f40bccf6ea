#!/usr/bin/env bash
# s3fs: opening an existing object for exclusive creation empties it.
#
# Expected: open(key, "xb") raises FileExistsError for an existing object and changes nothing, as Python's open().
# Seen:     if nothing is written before close(), no error is raised and the object has 0 bytes afterwards.
#           With bytes written, close() raises FileExistsError and the object keeps its content.
# Do:       create with pipe_file(key, data, mode="create"), which raises in both cases.
# Versions: s3fs 2026.9.0, moto 5.2.5 as the S3 server. Takes about a minute.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "s3fs==2026.9.0" "moto[s3,server]==5.2.5"
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1

"$work/env/bin/python" - <<'PY'
import logging

import s3fs
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
fs = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}", use_listings_cache=False)
fs.mkdir("bucket")


def attempt(action):
    fs.pipe_file("bucket/key", b"content")
    try:
        action()
        outcome = "no error"
    except FileExistsError:
        outcome = "FileExistsError"
    return outcome, fs.cat_file("bucket/key")


def open_only():
    with fs.open("bucket/key", "xb"):
        pass


def open_and_write():
    with fs.open("bucket/key", "xb") as file:
        file.write(b"other")


seen = {
    'open(key, "xb"), nothing written': attempt(open_only),
    'open(key, "xb"), bytes written': attempt(open_and_write),
    'pipe_file(key, b"", mode="create")': attempt(
        lambda: fs.pipe_file("bucket/key", b"", mode="create")
    ),
}
server.stop()
for call, (outcome, content) in seen.items():
    print(f"{call}: {outcome}, the object is {content!r}")
assert list(seen.values()) == [
    ("no error", b""),
    ("FileExistsError", b"content"),
    ("FileExistsError", b"content"),
], "the behaviour has changed"
PY
