"""A video that is there twice counts once: in its dataset, and in pooled figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.config import EvaluationSection
from dfray.evaluation.copies import Copies
from dfray.evaluation.metrics import compute_metrics
from dfray.registry.measurements import headline_metrics
from dfray.run_context import RunContext
from dfray.tables import SCORES, SUMMARIES
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe


def summaries(*rows: dict) -> pa.Table:
    plain = {"status": "ok", "attempts": 1, "n_frames": 1, "n_frames_with_face": 1}
    plain |= {"n_decode_errors": 0, "n_faces": 1, "cpu_s": 0.1, "first_row": 0}
    return SUMMARIES.from_rows([plain | row for row in rows])


def test_the_first_of_equal_videos_counts_in_each_dataset_and_once_in_all() -> None:
    same = {"faces_digest": "f"}
    table = summaries(
        video_row("b", **same),
        video_row("a", **same),
        video_row("a", dataset="other", **same),
        video_row("c", faces_digest="g"),
    )
    copies = Copies.of(table)
    assert copies.of_dataset == {"toy/camera/b"}
    assert copies.pooled == {"toy/camera/a", "toy/camera/b"}


def test_equal_videos_of_two_labels_and_those_without_a_face_are_no_copies() -> None:
    table = summaries(
        video_row("a", faces_digest="f"),
        video_row("b", faces_digest="f", label=1, category="FS"),
        video_row("c", n_faces=0, digest="d"),
        video_row("d", n_faces=0, digest="d"),
    )
    assert Copies.of(table) == Copies()


def test_faces_of_the_time_before_are_compared_by_the_digests_of_their_files() -> None:
    table = summaries(video_row("a", digest="d"), video_row("b", digest="d"), video_row("c"))
    assert Copies.of(table).of_dataset == {"toy/camera/b"}


def test_pooled_figures_leave_copies_out_and_columns_keep_their_own(make_scored) -> None:
    scored = make_scored(12, datasets=("a", "b"))
    reals = scored.videos.filter(pc.equal(scored.videos["label"], 0))
    copies = [video for video in reals["video_id"].to_pylist() if video.startswith("b/")]
    plain, once = (
        compute_metrics(scored.videos, scored.faces, EvaluationSection(), 0, copies=names)
        for names in ((), copies)
    )
    assert (plain.overall.video.n_real, once.overall.video.n_real) == (24, 12)
    assert plain.datasets == once.datasets
    assert plain.mean == once.mean


def test_a_copy_of_a_dataset_is_in_no_figure(make_scored) -> None:
    scored = make_scored(12)
    kept = scored.videos.filter(pa.array(np.arange(scored.videos.num_rows) > 0))
    metrics = compute_metrics(kept, scored.faces, EvaluationSection(), 0)
    assert metrics.overall.counts.videos == kept.num_rows
    assert metrics.overall.frame.n_real + metrics.overall.frame.n_fake < len(
        set(zip(*(scored.faces[c].to_pylist() for c in ("video_id", "frame_index")), strict=True))
    )


def test_the_evaluation_set_of_a_run_scores_a_copy_once(tmp_path: Path) -> None:
    recipe, crop = toy_recipe(tmp_path), np.zeros((32, 32, 3), np.uint8)
    digests = {"a": "f", "b": "f", "c": "g"}
    rows = [
        (video_row(name, split="test", faces_digest=digest), [crop, crop])
        for name, digest in digests.items()
    ]
    write_faces(recipe, rows)
    evaluation_set = RunContext.of(recipe).evaluation_set
    scores = SCORES.from_rows(
        [
            video
            | {"frame_index": frame, "face_index": 0, "time_s": 0.0}
            | {"fake_probability": 0.5, "embedding": [0.0]}
            for video, _ in rows
            for frame in range(2)
        ]
    )
    videos = evaluation_set.video_scores(scores, "test", "mean")
    assert videos["video_id"].to_pylist() == ["toy/camera/a", "toy/camera/c"]
    assert evaluation_set.copies("test").pooled == {"toy/camera/b"}
    plain = f"test-{evaluation_set.faces.fingerprint('test')}-mean"
    assert evaluation_set.name("mean").startswith(f"{plain}-"), "an earlier dfray measured copies"


def test_the_registrys_pooled_metrics_leave_copies_out_and_its_mean_does_not(make_scored) -> None:
    videos = make_scored(20, datasets=("one", "two")).videos
    ids = videos["video_id"].to_pylist()
    copies = [video for video in ids if video.startswith("two/source")]
    measured, all_of_them = (
        headline_metrics(videos, threshold=0.5, evaluation_set="s", copies=left_out)
        for left_out in (copies, ())
    )
    assert (measured.n_videos, all_of_them.n_videos) == (100, 120)
    assert measured.calibration_error != all_of_them.calibration_error
    assert measured.mean_auc == all_of_them.mean_auc


def test_validation_videos_without_faces_and_copies_do_not_count() -> None:
    rows = [video_row("a"), video_row("b"), video_row("c"), fake_row("d")]
    found = [{"n_faces": 2, "faces_digest": "f"}, {"n_faces": 2, "faces_digest": "f"}]
    found += [{"n_faces": 0}, {"n_faces": 1}]
    videos = summaries(*(row | counts for row, counts in zip(rows, found, strict=True)))
    assert Copies.without(videos)["video_id"].to_pylist() == ["toy/camera/a", "toy/swap/d"]
