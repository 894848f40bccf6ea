"""Notes on a training's faces, printed before it starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dfray.run_context import RunContext
from dfray.stages.training import pairing_notes, unblended_notes
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe


def test_real_faces_without_landmarks_are_noted_before_self_blending(tmp_path: Path) -> None:
    blends = ["faces.landmarks=true", "batches.self_blend={}"]
    run = RunContext.of(toy_recipe(tmp_path, "toy", *blends))
    crops = [np.zeros((32, 32, 3), np.uint8)] * 3
    videos = [
        (video_row("a"), crops),
        (video_row("b", dataset="crops", kind="faces", split="val"), crops),
    ]
    points = np.zeros((468, 2), np.float32)
    write_faces(run.recipe, videos, lambda video, _: points if video["kind"] == "video" else None)
    assert unblended_notes(run) == [
        "val: 3 of 3 real faces of crops have no landmarks and are not blended"
    ]
    assert unblended_notes(RunContext.of(toy_recipe(tmp_path))) == []


def test_the_videos_in_pairs_are_noted_before_training(tmp_path: Path) -> None:
    paired = toy_recipe(tmp_path, "toy", "batches.pairing=source")
    crops = [np.zeros((32, 32, 3), np.uint8)] * 3
    sourced = fake_row("b", source_video=video_row("a")["video_id"])
    videos = [(video_row("a"), crops), (sourced, crops), (fake_row("c"), crops)]
    write_faces(paired, videos)
    (note,) = pairing_notes(RunContext.of(paired))
    assert "1 of 2 fake videos of split train have the video they were made from in it" in note
    assert pairing_notes(RunContext.of(toy_recipe(tmp_path))) == []
