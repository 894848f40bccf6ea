"""`dfray extract --verify`: a damaged shard costs its videos, which are named and extracted again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfray.config import CorpusSection, FacesSection, Recipe
from dfray.errors import UserError
from dfray.faces import shards
from dfray.faces.extract import ShardExtractor
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.faces.view import FacesView
from dfray.run_context import RunContext
from dfray.stages.extraction import remove_damaged_shards
from dfray.tables import FACES
from tests.helpers.corpus import write_corpus


@pytest.fixture
def run(tmp_path: Path) -> RunContext:
    """A run of four clips with a second each, two real and two fake, before anything is extracted."""
    videos = write_corpus(tmp_path / "corpus", 4, seconds=1, splits=("train", "test"))
    corpus = CorpusSection(reader="folder", root=str(tmp_path / "corpus"), dataset="toy")
    faces = FacesSection(size_px=32)
    recipe = Recipe(name="a", corpora=[corpus], work_dir=str(tmp_path / "runs"), faces=faces)
    run = RunContext.of(recipe)
    run.look_at(videos)
    return run


def extract(run: RunContext) -> list[str]:
    """Extract what is missing, as the stage does on Ray; return the videos."""
    store, settings = FacesStore(run.faces.uri), run.recipe.faces
    store.claim(settings)
    done = FacesView(store.uri, run.manifest).summaries()
    pending, _ = plan_shards(run.manifest, settings, done, workers=1, seed=0)
    extractor = ShardExtractor(store, settings, "summaries")
    for plan in pending:
        for _ in extractor.extract(plan.shard, plan.videos):
            pass
    extractor.close()
    return [video for plan in pending for video in plan.videos["video_id"].to_pylist()]


def pictures(run: RunContext) -> dict[str, bytes]:
    tables = [FACES.read(run.faces.shard_uri(name)) for name in run.faces.committed()]
    table = pa.concat_tables(tables)
    return dict(zip(table["video_id"].to_pylist(), table["image"].to_pylist(), strict=True))


def test_the_videos_of_a_damaged_shard_are_named_and_extracted_again(
    run: RunContext, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(extract(run)) == 4
    before = pictures(run)
    remove_damaged_shards(run)
    assert run.extracted().missing == 0
    first = run.faces.summaries().to_pylist()[0]
    uri = Path(run.faces.shard_uri(first["shard"]))
    content = bytearray(uri.read_bytes())
    content[len(content) // 2] ^= 1
    uri.write_bytes(content)
    lost = {
        v["video_id"] for v in run.faces.summaries().to_pylist() if v["shard"] == first["shard"]
    }
    capsys.readouterr()
    remove_damaged_shards(run)
    told = capsys.readouterr().err
    assert all(video in told for video in lost)
    assert f"{len(lost)} video(s) are extracted again" in told
    assert run.extracted().missing == len(lost) < 4
    assert set(extract(run)) == lost
    assert pictures(run) == before


def test_a_store_that_takes_no_faces_of_this_version_keeps_its_damaged_shards(
    run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(run)
    (name, *_) = run.faces.committed()
    Path(run.faces.shard_uri(name)).write_bytes(b"")
    monkeypatch.setattr(shards, "FACES_VERSION", shards.FACES_VERSION + 1)
    with pytest.raises(UserError, match="were taken by version"):
        remove_damaged_shards(run)
    assert run.faces.is_committed(name)


def test_nothing_is_verified_where_nothing_is_stored(run: RunContext) -> None:
    remove_damaged_shards(run)
    assert run.extracted().missing == 4
