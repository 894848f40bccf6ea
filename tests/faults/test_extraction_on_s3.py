"""Extraction into an object store that fails: a while is not noticed, more is told, what is done is kept."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest

from dfray import storage, tables
from dfray.config import FacesSection
from dfray.errors import StorageError
from dfray.faces.extract import write_faces
from dfray.faces.shards import FacesStore
from tests.faults.kit import fails_for_good
from tests.helpers.corpus import write_corpus
from tests.helpers.proxy import Fault, FaultProxy, Request

pytestmark = pytest.mark.ray

SETTINGS = FacesSection(size_px=64)
FACES = 3  # of a clip
CLIPS = 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return write_corpus(tmp_path_factory.mktemp("clips"), CLIPS, seconds=FACES)


@pytest.fixture
def store(ray_session: None, bucket: str, s3_faults: FaultProxy) -> FacesStore:
    return FacesStore(f"{bucket}/faces")


def assert_whole(videos: pa.Table, store: FacesStore) -> None:
    """Every face of every video, once."""
    kept = store.summaries()
    assert sorted(kept["video_id"].to_pylist()) == sorted(videos["video_id"].to_pylist())
    assert kept["n_faces"].to_pylist() == [FACES] * CLIPS
    rows = [tables.FACES.read(uri).num_rows for uri in store.shards("train")]
    assert sum(rows) == FACES * CLIPS


def written_at(uris: list[str]) -> list[datetime]:
    fs, _ = storage.filesystem(uris[0])
    return [fs.modified(uri) for uri in uris]


@pytest.mark.slow
def test_a_store_that_refuses_every_third_request_is_not_noticed(
    videos: pa.Table, store: FacesStore, s3_faults: FaultProxy
):
    refused = s3_faults.refuse_every(3)
    write_faces(videos, store.uri, SETTINGS)
    assert {"HEAD", "PUT"} <= {request.method for request in refused}
    assert_whole(videos, store)


@fails_for_good
def test_a_store_that_fails_for_good_ends_it_with_its_reason_and_what_is_done_is_gone_on_with(
    videos: pa.Table, store: FacesStore, s3_faults: FaultProxy, fault: Fault, told: str
):
    def after_the_first_shard(request: Request) -> Fault | None:
        is_shard = request.method == "PUT" and "/faces/faces/" in request.target
        is_late = any(
            r.method == "PUT" and "/faces/videos/" in r.target for r in s3_faults.requests
        )
        return fault if is_shard and is_late else None

    s3_faults.fault = after_the_first_shard
    with pytest.raises(
        StorageError, match=rf"Cannot write {store.uri}/faces/.*{told}.*finished work is kept"
    ) as caught:
        write_faces(videos, store.uri, SETTINGS)
    assert "\n" not in str(caught.value)
    s3_faults.pass_on()
    done = store.shards("train")
    assert 0 < len(done) < CLIPS
    before = written_at(done)
    write_faces(videos, store.uri, SETTINGS)
    assert written_at(done) == before
    assert_whole(videos, store)
