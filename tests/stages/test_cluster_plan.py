"""`dfray plan`, from the manifest to the printed page."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfray import stages
from dfray.config import CorpusSection, Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.errors import ManifestError, UserError
from dfray.planning import speed
from dfray.recipe import load_recipe
from dfray.render.plan import show_cluster_plan
from dfray.run_context import RunContext
from dfray.stages.cluster_plan import with_lengths
from tests.helpers.corpus import write_corpus
from tests.helpers.rows import video_row, videos_table

NODES = "2x4cpu@0.5,1x8cpu+1h100@10"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_BUDGET_S", 0.2)


def recipe(folder: Path, **sections: object) -> Recipe:
    return Recipe(
        name="small",
        work_dir=str(folder / "runs"),
        corpora=[CorpusSection(reader="folder", root=str(folder / "corpus"), dataset="toy")],
        **{
            "batches": {"batch_size": 4},
            "model": {"backbone": "test_resnet", "size_px": 32},
            "faces": {"size_px": 32},
        }
        | sections,
    )


def test_a_recipe_is_planned_from_its_own_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=("train", "train", "val", "test"))
    plan = stages.plan_cluster(RunContext.of(recipe(tmp_path)), NODES, sample=4, seconds=30)
    (toy,) = plan.extraction.datasets
    assert (toy.name, toy.videos, toy.frames, toy.sampled) == ("toy", 8, 24, 4)
    assert toy.faces_per_frame == 1
    assert plan.extraction.per_epoch == {"train": 12, "val": 6}
    assert plan.training.steps_per_epoch == 3
    assert not (tmp_path / "runs").exists()

    show_cluster_plan(plan)
    output = capsys.readouterr().out
    for name in (
        "nodes",
        "extraction",
        "training",
        "in all",
        "cost",
        "storage",
        "memory",
        "feeding",
    ):
        assert any(line.startswith(name) for line in output.splitlines()), name
    assert any(
        line.startswith("H100") and "neither is needed" in line for line in output.splitlines()
    )
    assert "ASSUMED: 15% of the 989 Tflop/s" in output
    assert "set cluster.extract_on to ensure it" in output
    assert "8 train" not in output
    assert "4 train, 2 val, 2 test" in output


def test_published_videos_are_planned_from_clips_at_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "clips", 2)
    corpora = [CorpusSection(reader=name, root="nowhere") for name in ("ffpp", "wilddeepfake")]
    planned = recipe(tmp_path).model_copy(update={"corpora": corpora})
    options = {"manifest": "published", "clips": str(tmp_path / "clips"), "images_per_s": 50.0}
    plan = stages.plan_cluster(RunContext.of(planned), "1x4cpu", **options)
    ffpp, wild = plan.extraction.datasets
    assert (ffpp.videos, ffpp.frames, ffpp.measured) == (6000, 100_000, "clips")
    assert (wild.videos, wild.frames, wild.measured) == (7314, 7314 * 3, "clips")
    show_cluster_plan(plan)
    output = capsys.readouterr().out
    assert "none was opened" in output
    assert "Each video of wilddeepfake is 3.0 s long (the clips')." in output
    assert "cost          not known" in output


def lengths(*seconds: float | None, dataset: str = "a") -> pa.Table:
    rows = [
        video_row(str(k), dataset=dataset, duration_s=seconds_each)
        for k, seconds_each in enumerate(seconds)
    ]
    return videos_table(rows)


def test_stated_lengths_stay() -> None:
    filled, notes = with_lengths(lengths(3.0, 5.0), lengths(60.0), 18.0)
    assert filled["duration_s"].to_pylist() == [3.0, 5.0]
    assert notes == []


def test_unknown_lengths_are_those_of_the_dataset_before_any_other() -> None:
    filled, notes = with_lengths(lengths(3.0, None), lengths(60.0), 18.0)
    assert filled["duration_s"].to_pylist() == [3.0, None]  # the mean of the others, later
    assert notes == ["Videos of unknown length are as long as the others of a."]


@pytest.mark.parametrize(
    ("clips", "assumed_s", "length", "output"),
    [
        (lengths(60.0), 18.0, 18.0, "18.0 s long (--duration-s)"),
        (lengths(50.0, 70.0, None), None, 60.0, "60.0 s long (the clips')"),
        (None, None, 10.0, "10.0 s long (a guess)"),
    ],
)
def test_a_dataset_of_unknown_lengths_has_the_assumed_length(
    clips: pa.Table | None, assumed_s: float | None, length: float, output: str
) -> None:
    filled, (note,) = with_lengths(lengths(None, None), clips, assumed_s)
    assert filled["duration_s"].to_pylist() == [length, length]
    assert output in note


def test_a_manifest_is_read_where_it_lies(tmp_path: Path) -> None:
    videos = write_corpus(tmp_path / "elsewhere", 2)
    write_manifest(Manifest(videos, [], {}), str(tmp_path / "videos.parquet"))
    plan = stages.plan_cluster(
        RunContext.of(recipe(tmp_path)),
        "1x4cpu",
        manifest=f"{tmp_path}/videos.parquet",
        images_per_s=50.0,
    )
    assert plan.extraction.datasets[0].videos == 2


def test_an_empty_manifest_is_refused(tmp_path: Path) -> None:
    videos = write_corpus(tmp_path / "elsewhere", 2).slice(0, 0)
    write_manifest(Manifest(videos, [], {}), str(tmp_path / "videos.parquet"))
    with pytest.raises(ManifestError, match="videos.parquet holds no video"):
        stages.plan_cluster(
            RunContext.of(recipe(tmp_path)), "1x4cpu", manifest=f"{tmp_path}/videos.parquet"
        )


def test_published_videos_need_clips(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no videos to measure on.*--clips"):
        stages.plan_cluster(RunContext.of(recipe(tmp_path)), "1x4cpu", manifest="published")


def test_a_demo_whose_clips_are_not_drawn_says_what_draws_them(tmp_path: Path) -> None:
    demo = load_recipe("demo", [f"work_dir={tmp_path}", f"corpora.0.root={tmp_path}/clips"])
    with pytest.raises(UserError, match="not drawn yet.*`dfray manifest build`"):
        stages.plan_cluster(RunContext.of(demo), "1x4cpu")


def test_a_folder_without_a_video_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="empty holds no video"):
        stages.plan_cluster(RunContext.of(recipe(tmp_path)), "1x4cpu", clips=f"{tmp_path}/empty")


def test_nodes_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "_measured", lambda *_: pytest.fail("measured"))
    with pytest.raises(UserError, match="cannot read 'four'"):
        stages.plan_cluster(RunContext.of(recipe(tmp_path)), "four")
