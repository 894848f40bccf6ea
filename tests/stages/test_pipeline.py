"""The pipeline: a training that is cut off, and its last stage, in which the champion scores one clip."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from dfray import stages
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.errors import CheckError, TrainingError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.stages.pipeline import held_out_clip, score_held_out_clip, train, truth_of
from dfray.tracking.client import connect
from tests.helpers.corpus import write_corpus
from tests.helpers.remux import remux
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.runs import write_run
from tests.helpers.toy import TOY, toy_recipe, toy_videos

PICTURES = [
    fake_row("frames", split="test", kind="frames", n_images=3),
    fake_row("faces", split="test", kind="faces", n_images=3),
]


def test_the_clip_is_a_fake_video_before_a_real_one_and_never_pictures() -> None:
    real, fake = video_row("real", split="test"), fake_row("fake", split="test")
    clips = [
        held_out_clip(videos_table([*PICTURES, *videos]), "test")
        for videos in ([real, fake], [real])
    ]
    assert [clip and clip["uri"] for clip in clips] == ["/videos/fake.mp4", "/videos/real.mp4"]
    assert [truth_of(clip) for clip in clips if clip] == [f"fake ({fake['method']})", "real"]


def test_a_split_of_pictures_alone_skips_the_step_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = videos_table([fake_row("trained on"), *PICTURES])
    run = RunContext.of(toy_recipe(tmp_path))
    write_manifest(Manifest(videos, [], {}), run.runs.manifest)
    assert held_out_clip(videos, "test") is None
    assert score_held_out_clip(run) == []
    assert "Split test has no video file: no clip is scored." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), "KILLED"), (TrainingError("no more", ""), "FAILED")]
)
def test_the_mlflow_run_of_a_training_that_is_cut_off_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str
) -> None:
    def cut_off(*_: object) -> None:
        raise error

    recipe = toy_recipe(tmp_path)
    write_run(recipe, toy_videos())
    monkeypatch.setattr("dfray.stages.pipeline.train_model", cut_off)
    monkeypatch.setattr(RunContext, "session", lambda _: nullcontext())
    run = RunContext.of(recipe)
    with pytest.raises(type(error)):
        train(run)
    tracked = connect(run.tracking_uri).get_run(str(run.folder.state().run_id))
    assert tracked.info.status == status


@pytest.fixture
def remuxed(tmp_path: Path, ray_session: None) -> RunContext:
    """A run whose faces are not extracted, of which a test video is a training video in another container."""
    corpus = tmp_path / "corpus"
    write_corpus(corpus, 8, seconds=2, splits=("train", "val", "test"))
    remux(corpus / "train/real/000.mp4", corpus / "test/real/new.mkv")
    words = [
        f"work_dir={tmp_path}/runs",
        f"corpora=[{{reader: folder, root: {corpus}, dataset: toy}}]",
        "batches.batch_size=4",
        "training={num_workers: 1, epochs: 2, warmup_epochs: 0}",
        "search={trials: 1, grace_epochs: 1, reduction_factor: 2, finalists: 1, seeds: 1}",
        "cluster.extract_workers=1",
    ]
    return RunContext.of(load_recipe(TOY, words))


def streaming(run: RunContext, *, streams: bool) -> RunContext:
    batches = run.recipe.batches.model_copy(update={"stream_first_epoch": streams})
    return RunContext.of(run.recipe.model_copy(update={"batches": batches}))


SAME_VIDEO = r"toy/real/000 \(train\) = toy/real/new \(test\)"


@pytest.mark.ray
@pytest.mark.parametrize("streams", [True, False])
def test_a_training_ends_as_soon_as_its_own_extraction_has_found_equal_faces(
    remuxed: RunContext, streams: bool
) -> None:
    run = streaming(remuxed, streams=streams)
    with pytest.raises(CheckError, match=SAME_VIDEO):
        train(run)
    assert run.extracted().missing == 0
    assert run.folder.state().history is None
    epochs = list(Path(run.folder.root).glob("train/epoch-*"))
    assert [epoch.name for epoch in epochs] == (["epoch-000"] if streams else [])


@pytest.mark.ray
def test_no_trial_is_started_once_equal_faces_were_extracted(remuxed: RunContext) -> None:
    with pytest.raises(CheckError, match=SAME_VIDEO):
        stages.search(streaming(remuxed, streams=False))
    assert not list(Path(remuxed.runs.root).glob("search/trials/*"))
