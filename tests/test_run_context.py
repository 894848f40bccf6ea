"""Run context: everything that the stages of one run share, read when it is first used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import LockedError, UserError
from dfray.run_context import ExtractedVideos, RunContext
from dfray.tracking.client import connect
from tests.helpers.locks import living_process, of_elsewhere, record_of
from tests.helpers.rows import video_row, videos_table
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe, toy_videos


def test_making_one_touches_nothing(tmp_path: Path) -> None:
    run = RunContext.of(toy_recipe(tmp_path))
    assert run.runs.root == str(tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_is_not_built_is_refused_with_the_command_that_builds_it(
    tmp_path: Path,
) -> None:
    run = RunContext.of(toy_recipe(tmp_path))
    assert not run.has_manifest
    with pytest.raises(UserError, match=r"no manifest.parquet yet.*dfray manifest build"):
        _ = run.manifest


def test_the_manifest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = toy_recipe(tmp_path)
    write_faces(recipe, toy_videos(videos=4, faces=1))
    run = RunContext.of(recipe)
    first = run.manifest
    monkeypatch.setattr(storage, "exists", lambda uri: pytest.fail(f"looked for {uri}"))
    assert run.manifest is first


def test_extracted_videos_are_counted_among_the_manifests_or_others(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    write_faces(recipe, toy_videos(videos=4, faces=1))
    run = RunContext.of(recipe)
    assert run.extracted() == ExtractedVideos(4, 4)
    run.look_at(videos_table([video_row("elsewhere")]))
    extracted = run.extracted()
    assert (extracted.done, extracted.missing) == (0, 1)
    assert ExtractedVideos(1000, 2000).note.startswith("1,000 of 2,000 videos are done")


def test_stored_faces_have_the_split_of_the_manifest_of_now(
    tmp_path: Path,
) -> None:
    from dfray.datasets.manifest import Manifest, write_manifest

    recipe = toy_recipe(tmp_path)
    write_faces(recipe, toy_videos(videos=4, faces=1))
    rows = RunContext.of(recipe).manifest.to_pylist()
    rows[1]["split"] = "test"
    write_manifest(Manifest(videos_table(rows)), RunContext.of(recipe).runs.manifest)
    run = RunContext.of(recipe)
    assert run.extracted().missing == 0
    assert run.evaluation_set.faces.summaries(["test"])["video_id"].to_pylist() == [
        rows[1]["video_id"]
    ]


def test_the_tracking_server_is_resolved_when_it_is_used() -> None:
    """Extraction to a bucket needs no tracking server."""
    run = RunContext.of(toy_recipe("s3://bucket/runs"))
    assert run.runs.manifest == "s3://bucket/runs/toy/manifest.parquet"
    with pytest.raises(UserError, match=r"registry.tracking_uri is empty"):
        _ = run.tracking_uri


def test_attributes_of_the_evaluation_set_come_from_the_manifest(tmp_path: Path) -> None:
    from dfray.datasets.manifest import Manifest, write_manifest

    run = RunContext.of(toy_recipe(tmp_path))
    rows = [video_row("a", identity_group="asian"), video_row("b")]
    write_manifest(Manifest(videos_table(rows), [], {}), run.runs.manifest)
    attributes = RunContext.of(run.recipe).evaluation_set.attributes
    assert attributes == {"identity group": {rows[0]["video_id"]: "asian"}}


def test_a_registered_bundle_is_shared_with_every_node_in_the_runs_folder(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text("{}")
    recipe = toy_recipe(tmp_path / "runs")
    write_faces(recipe, [])
    folder = RunContext.of(recipe).folder
    uri = folder.share_version("model", "3", bundle)
    assert uri == f"{folder.root}/versions/model/3"
    assert Path(uri, "bundle.json").read_text() == "{}"


def test_a_run_that_another_command_writes_to_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    write_faces(recipe, [])
    run = RunContext.of(recipe)
    record_of(run.folder.root, of_elsewhere("toy/first"))
    with (
        pytest.raises(
            LockedError, match=r"writes to .*: toy/first \(host elsewhere, pid"
        ) as refused,
        run.claimed(),
    ):
        pytest.fail("both write to the run")
    assert refused.value.exit_code == 2
    assert [path.name for path in Path(run.folder.root).iterdir()] == ["lock"]
    assert run.runs.latest() is None


def test_runs_of_other_keys_are_claimed_side_by_side(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    write_faces(recipe, [])
    first, second = RunContext.of(recipe), RunContext.of(toy_recipe(tmp_path, "other"))
    write_faces(second.recipe, [])
    with first.claimed(), second.claimed():
        assert storage.exists(first.folder.recipe_file)
        assert storage.exists(second.folder.recipe_file)


def test_a_training_ends_the_mlflow_runs_that_killed_trainings_left_open(tmp_path: Path) -> None:
    names = ("toy", "other", "alive")
    killed, of_another_name, alive = (RunContext.of(toy_recipe(tmp_path, name)) for name in names)
    new = RunContext.of(toy_recipe(tmp_path, "toy", "training.lr=0.002"))
    contexts = [killed, of_another_name, alive, new]
    for context in contexts:
        write_faces(context.recipe, [])
        context.claim()
    with living_process("toy") as holder:
        for context in (killed, of_another_name):
            record_of(context.folder.root, holder)
            context.tracking_run()
    with alive.claimed(), new.claimed():
        alive.tracking_run()
        new.tracking_run()
        client = connect(new.tracking_uri)
        ids = [str(context.folder.state().run_id) for context in contexts]
        statuses = [client.get_run(run_id).info.status for run_id in ids]
        assert statuses == ["KILLED", "KILLED", "RUNNING", "RUNNING"]
        with killed.claimed():
            assert killed.tracking_run().run_id == ids[0]
            assert client.get_run(ids[0]).info.status == "RUNNING"
            new.tracking_run()  # by then it is another process's
            assert client.get_run(ids[0]).info.status == "RUNNING"
