"""Where weights lie: local paths, an object store, the hub's cache, and what is said where they do not."""

import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import ModelFileError, RecipeError
from dfray.models.sources import complete, local_file, read_text_if_present, sibling
from tests.models.hub_cache import COMMIT, fill


def text_of(uri):
    with local_file(uri) as path, open(path) as file:
        return file.read()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://owner/repo", "hf://owner/repo/a/b.pth"),
        ("hf://owner/repo/", "hf://owner/repo/a/b.pth"),
        ("hf://owner/repo@v1", "hf://owner/repo@v1/a/b.pth"),
        ("hf://owner/repo/c/d.pth", "hf://owner/repo/c/d.pth"),
        ("s3://bucket/c.pth", "s3://bucket/c.pth"),
        ("c.pth", "c.pth"),
    ],
)
def test_a_repository_alone_means_its_usual_file(uri, expected):
    assert complete(uri, "a/b.pth") == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://owner/repo/a/b.pth", "hf://owner/repo/a/note.txt"),
        ("s3://bucket/b.pth", "s3://bucket/note.txt"),
        ("/models/b.pth", "/models/note.txt"),
        ("b.pth", "note.txt"),
    ],
)
def test_beside_is_the_same_folder(uri, expected):
    assert sibling(uri, "note.txt") == expected


def test_a_local_file_and_an_object_are_read_alike(tmp_path, bucket):
    for uri in (f"{tmp_path}/weights.pth", f"{bucket}/models/weights.pth"):
        storage.write_bytes(b"content", uri)
        assert text_of(uri) == "content"
        assert read_text_if_present(sibling(uri, "weights.pth")) == "content"
        assert read_text_if_present(sibling(uri, "none.txt")) is None


def test_a_file_of_the_hub_is_taken_from_its_cache(hub_cache):
    fill(hub_cache, "owner/repo", "a/b.pth", lambda path: path.write_text("content"))
    assert text_of("hf://owner/repo/a/b.pth") == "content"
    assert text_of(f"hf://owner/repo@{COMMIT}/a/b.pth") == "content"
    assert read_text_if_present("hf://owner/repo/a/b.pth") == "content"


def test_a_hub_that_cannot_be_reached_is_told_with_the_ways_round_it(hub_cache):
    for read in (text_of, read_text_if_present):
        with pytest.raises(
            ModelFileError, match=r"a/b\.pth of the repository owner/repo"
        ) as caught:
            read("hf://owner/repo/a/b.pth")
        for way in ("HF_HOME", "HF_ENDPOINT", "s3://"):
            assert way in str(caught.value)
        assert "\n" not in str(caught.value)


class Mirror(http.server.BaseHTTPRequestHandler):
    """The part of the hub that serves files: one repository with one file."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        found = self.path == "/owner/repo/resolve/main/a/b.pth"
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", '"1"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "7" if found else "0")
        self.end_headers()
        if found and body:
            self.wfile.write(b"content")

    def log_message(self, *_):
        pass


def test_a_mirror_serves_files_and_says_which_it_has_not(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    try:
        read = subprocess.run(
            [sys.executable, "-c", _READ_FROM_MIRROR],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert read.stdout == "content None\n", read.stderr


_READ_FROM_MIRROR = """
from dfray.models.sources import local_file, read_text_if_present

with local_file("hf://owner/repo/a/b.pth") as path:
    print(open(path).read(), read_text_if_present("hf://owner/repo/a/note.txt"))
"""


def test_a_name_that_is_no_repository_is_refused(hub_cache):
    with pytest.raises(RecipeError, match="hf://owner/repo"):
        text_of("hf://owner")
    with pytest.raises(ModelFileError, match="no such/repo"):
        text_of("hf://no such/repo/b.pth")


def test_a_missing_file_is_named(tmp_path, bucket):
    for uri in (f"{tmp_path}/none.pth", f"{bucket}/none.pth"):
        with pytest.raises(ModelFileError, match=r"none\.pth"):
            text_of(uri)
