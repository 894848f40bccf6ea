"""Requests over HTTP to a service of two replicas: scores, refusals and limits, results, and what is left."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from dfray import storage
from dfray.serving.score_files import score_files
from dfray.serving.score_table import FILE_SCORES
from tests.helpers.heads import background
from tests.helpers.processes import wait_for
from tests.helpers.service import TOKEN, Service, register_tiny, service
from tests.helpers.tiny import png, portrait, write_clip

pytestmark = pytest.mark.usefixtures("ray_session")
URI = "models:/served@champion"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offered")


@pytest.fixture(scope="module")
def served(
    ray_session: None, tracking_uri: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    register_tiny(tmp_path_factory.mktemp("served"), tracking_uri, "served")
    limits = {"max_mb": 1, "max_minutes": 0.1, "queue": 6, "timeout_s": 20, "replicas": 2}
    with service(tracking_uri, model=URI, allow=(str(folder), "s3://offered"), **limits) as running:
        yield running


def reason(answer: requests.Response) -> str:
    """Return the reason of a refusal, which has the status in JSON, too."""
    document = answer.json()
    assert document["status"] == answer.status_code
    return document["reason"]


def test_a_file_has_the_score_of_dfray_score(served: Service, clip: Path, tracking_uri: str):
    answer = served.score(clip)
    assert answer.status_code == 200, answer.text
    score = answer.json()["score"]
    assert list(score) == [column.name for column in FILE_SCORES.columns]
    (alone,) = score_files([str(clip)], model_uri=URI, tracking_uri=tracking_uri)
    assert score["input"] == "ein clip.mp4"
    assert score["fake_probability"] == pytest.approx(alone.fake_probability, abs=1e-5)
    varying = {"input", "fake_probability", "work_s", "scored_at"}
    assert {k: v for k, v in score.items() if k not in varying} == {
        k: v for k, v in alone.row().items() if k not in varying
    }


def test_curl_s_form_is_taken(served: Service, clip: Path):
    command = f"curl -sS -H 'Authorization: Bearer {TOKEN}' -F 'file=@{clip}' {served.url}/score"
    assert json.loads(os.popen(command).read())["score"]["outcome"] == "ok"


def test_a_picture_without_a_face_has_a_result_and_no_score(served: Service, tmp_path: Path):
    (tmp_path / "wall.png").write_bytes(png(background(320, 240)))
    answer = served.score(tmp_path / "wall.png")
    assert answer.status_code == 200
    score = answer.json()["score"]
    assert (score["outcome"], score["fake_probability"]) == ("no_face", None)


def test_a_result_is_kept_under_a_name_that_nobody_can_guess(served: Service, clip: Path):
    first, second = (served.score(clip, headers={"Prefer": "respond-async"}) for _ in range(2))
    assert first.status_code == 202
    assert first.headers["Preference-Applied"] == "respond-async"
    place = first.headers["Location"]
    assert re.fullmatch(r"/result/[\w-]{43}", place)
    assert place != second.headers["Location"]
    wait_for(lambda: served.get(place).json()["state"] == "done")
    assert served.get(place).json()["score"]["outcome"] == "ok"
    assert served.get("/result/guessed").status_code == 404
    assert served.get(place, token=None).status_code == 401


@pytest.mark.parametrize("path", ["/result/x", "/metrics"])
@pytest.mark.parametrize("token", [None, "wrong", f"{TOKEN} "[:-2]])
def test_without_the_token_nothing_is_told(served: Service, path: str, token: str | None):
    answer = served.get(path, token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in reason(answer)


def test_without_the_token_no_body_is_read(served: Service):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        head = "POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        assert b" 401 " in connection.recv(4096)


def test_a_file_that_is_too_large_is_refused_by_its_length_and_by_its_bytes(
    served: Service, tmp_path: Path
):
    (tmp_path / "large.mp4").write_bytes(bytes(2**20 + 1))
    answers = [served.score(tmp_path / "large.mp4")]

    def parts() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(40):
            yield bytes(64 * 1024)

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    answers.append(served.post(data=parts(), headers=form))
    for answer in answers:
        assert answer.status_code == 413
        assert "larger than 1 MiB" in reason(answer)


@pytest.mark.parametrize("name", ["text.txt", "no suffix", "sound.mp3"])
def test_a_file_of_another_kind_is_refused(served: Service, clip: Path, name: str):
    answer = served.score(clip, name)
    assert answer.status_code == 415
    assert "suffix" in reason(answer)


def test_another_kind_of_body_is_refused_and_told_what_to_send(served: Service):
    answer = served.post(data={"file": "clip.mp4"})
    assert answer.status_code == 415
    assert "curl -F file=@clip.mp4" in reason(answer)


def test_the_kind_of_a_body_is_written_in_any_case(served: Service):
    answer = served.post(data=b"{}", headers={"Content-Type": "Application/JSON"})
    assert answer.status_code == 422
    answer = served.post(data=b"", headers={"Content-Type": "Multipart/Form-Data; Boundary=b"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("PUT", "/score", 405, "Method Not Allowed"),
        ("POST", "/score?report=perhaps", 422, "report"),
    ],
)
def test_every_refusal_has_a_reason(
    served: Service, method: str, path: str, status: int, said: str
):
    answer = served.ask(method, path)
    assert answer.status_code == status
    assert said in reason(answer)


FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no form at all", "damaged"),
        (FILE + b"cut", "damaged"),
        (FILE.replace(b"file", b"other", 1) + b"1\r\n--b--\r\n", "no whole file"),
        (b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n", "damaged"),
        (FILE + b"\r\n--b--\r\n", "empty"),
        (FILE + b"1\r\n" + FILE + b"2\r\n--b--\r\n", "two fields"),
    ],
)
def test_a_damaged_form_is_refused(served: Service, body: bytes, said: str):
    answer = served.post(data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 422
    assert said in reason(answer)


def test_a_file_that_is_no_video_is_unreadable_with_a_reason(served: Service, tmp_path: Path):
    (tmp_path / "text.mp4").write_text("no video")
    answer = served.score(tmp_path / "text.mp4")
    assert answer.status_code == 422
    assert reason(answer)
    assert answer.json()["score"]["outcome"] == "unreadable"


def test_a_video_that_is_too_long_is_refused(served: Service, tmp_path: Path):
    answer = served.score(write_clip(tmp_path / "long.mp4", portrait(), seconds=7))
    assert answer.status_code == 422
    assert "longer than 0.1 min" in reason(answer)


def test_what_exceeds_the_queue_is_refused_at_once_and_the_rest_scored(
    served: Service, tmp_path: Path
):
    clip = write_clip(tmp_path / "clip.mp4", portrait(), seconds=5)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: served.score(clip), range(24)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 6
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) > 0
    wait_for(lambda: served.front.n_open == 0, 5)


def test_a_body_that_does_not_come_is_given_up(served: Service, monkeypatch: pytest.MonkeyPatch):
    settings = served.front.settings.model_copy(update={"timeout_s": 0.5})
    monkeypatch.setattr(served.front, "settings", settings)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        head = f"POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += "Content-Length: 1000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b"
        connection.sendall(head.encode())
        assert b" 504 " in connection.recv(4096)
    wait_for(lambda: served.front.n_open == 0, 20)


def test_work_ends_with_the_client_that_waits_for_it(served: Service, folder: Path):
    write_clip(folder / "left.mp4", portrait(), seconds=5)
    body = json.dumps({"uri": str(folder / "left.mp4")})
    with ExitStack() as clients:
        for _ in range(served.front.settings.queue):
            begin(served, clients, body)
        wait_for(lambda: served.front.n_open == served.front.settings.queue)
    wait_for(lambda: served.front.n_open == 0, 20)
    assert 'dfray_requests_total{status="499"}' in served.get("/metrics").text


def begin(served: Service, clients: ExitStack, body: str) -> None:
    """Send a request of JSON, and do not wait for its answer."""
    host, port = served.url.removeprefix("http://").split(":")
    connection = clients.enter_context(socket.create_connection((host, int(port)), 10))
    head = f"POST /score?report=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall((head + body).encode())


def test_strangers_cannot_fill_the_log(served: Service, caplog: pytest.LogCaptureFixture):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"no HTTP at all\r\n\r\n")
        assert b" 400 " in connection.recv(4096)
    assert not caplog.records


def test_a_file_that_takes_too_long_is_given_up(
    served: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = served.front.settings.model_copy(update={"timeout_s": 0.05})
    monkeypatch.setattr(served.front, "settings", settings)
    answer = served.score(write_clip(tmp_path / "clip.mp4", portrait(), seconds=5))
    assert answer.status_code == 504
    assert "0.05 s" in reason(answer)
    wait_for(lambda: served.front.n_open == 0, 20)


def test_a_file_below_an_allowed_folder_is_opened_by_name(
    served: Service, folder: Path, clip: Path
):
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    answer = served.post(json={"uri": str(folder / "clip.mp4")})
    assert answer.status_code == 200
    assert answer.json()["score"]["input"] == str(folder / "clip.mp4")


def test_requests_at_once_may_name_the_same_file(served: Service, folder: Path, clip: Path):
    (folder / "same.mp4").write_bytes(clip.read_bytes())
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(served.post, json={"uri": str(folder / "same.mp4")}) for _ in range(6)]
    assert [one.result().status_code for one in sent] == [200] * 6


def test_nothing_else_is_opened_by_name(served: Service, folder: Path, clip: Path):
    (folder / "link.mp4").symlink_to(clip)
    for uri in (
        str(clip),
        str(folder / "link.mp4"),
        f"{folder}/../{clip.name}",
        "s3://bucket/clip.mp4",
        "http://127.0.0.1/clip.mp4",
        f"file://{clip}",
        "a\0.mp4",
        "s3://offered/\ud800.mp4",
    ):
        answer = served.post(json={"uri": uri})
        assert answer.status_code == 403, uri
        assert "does not open" in reason(answer)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"uri": 1}', b'{"uri": "a", "more": 1}', b"[" * 9999]
)
def test_other_json_is_refused(served: Service, body: bytes):
    answer = served.post(data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "JSON" in reason(answer)


def test_requests_at_once_share_batches_of_the_network(served: Service, tmp_path: Path):
    (tmp_path / "face.png").write_bytes(png(portrait()))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: served.score(tmp_path / "face.png"), range(6)))
    scores = {answer.json()["score"]["fake_probability"] for answer in answers}
    assert max(scores) - min(scores) < 1e-5


def test_health_tells_strangers_the_state_alone(served: Service):
    assert served.get("/health", token=None).json() == {"status": "ok"}
    known = served.get("/health").json()
    assert known["model"] == "models:/served/1"
    assert (known["replicas"], known["queue"], known["fault"]) == (2, 6, None)


def test_openapi_describes_bodies_and_refusals(served: Service):
    document = served.get("/openapi.json", token=None).json()
    score = document["paths"]["/score"]["post"]
    assert set(score["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert {"401", "413", "415", "422", "429", "504"} <= set(score["responses"])
    assert score["security"]


def test_an_upload_is_deleted_once_it_is_scored(served: Service, clip: Path):
    with storage.temporary_folder() as here:
        place = Path(here).parent

        def uploads() -> list[Path]:
            return list(place.glob("*/upload.mp4"))

        assert served.score(clip).status_code == 200
        wait_for(lambda: not uploads(), 5)


def test_results_are_forgotten_after_their_time(served: Service, clip: Path):
    done = served.score(clip).json()
    place = f"/result/{done['id']}"
    assert served.get(place).status_code == 200
    job = served.front.results.get(done["id"])
    job.ended = time.monotonic() - 15 * 60 - 1
    assert served.get(place).status_code == 404
    assert "15 min" in reason(served.get(place))
