"""Faces are linked to persons by place and looks, through crossings and gaps, never two in a frame."""

import numpy as np
import pyarrow as pa
import pytest

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import check_scores, video_scores
from dfray.evaluation.tracks import MAX_GAP_S, track_faces, track_persons
from dfray.tables import SCORES, SUMMARIES
from tests.helpers.rows import video_row

SIDE = 50.0


def looks(person: int, rng, noise: float = 0.05) -> np.ndarray:
    """An embedding: people differ, and each face of one a little."""
    return np.eye(8)[person] + noise * rng.normal(size=8)


def walk(paths: list[list[float | None]], noise: float = 0.05, same=False):
    """(frames, boxes, embeddings, truth) of people at these x in each frame; None: not seen.

    Faces of a frame are listed from the right, so that their order does not give people away.
    """
    rng = np.random.default_rng(0)
    rows = []
    for frame, places in enumerate(zip(*paths, strict=True)):
        here = [(x, who) for who, x in enumerate(places) if x is not None]
        for x, who in sorted(here, reverse=True):
            look = looks(0 if same else who, rng, noise)
            rows.append((frame, [x, 10.0, SIDE, SIDE], look, who))
    frames, boxes, embeddings, truth = zip(*rows, strict=True)
    return np.array(frames), np.array(boxes), np.array(embeddings), np.array(truth)


def tracked(*args, rate_fps: float = 1.0, **kwargs) -> tuple[np.ndarray, np.ndarray]:
    frames, boxes, embeddings, truth = walk(*args, **kwargs)
    return track_faces(frames, boxes, embeddings, frames / rate_fps), truth


def assert_same_people(found: np.ndarray, truth: np.ndarray) -> None:
    """The same partition, whatever the names."""
    pairs = set(zip(found.tolist(), truth.tolist(), strict=True))
    assert len(pairs) == len(set(found.tolist())) == len(set(truth.tolist())), (found, truth)


def test_two_people_who_keep_their_places_stay_two():
    assert_same_people(*tracked([[0.0] * 6, [200.0] * 6]))


def test_place_alone_keeps_people_apart_who_look_alike():
    assert_same_people(*tracked([[0.0, 5, 10, 5], [200.0, 195, 190, 200]], same=True))


def test_people_who_cross_are_told_apart_by_their_looks():
    one, other = np.linspace(0, 180, 10).tolist(), np.linspace(180, 0, 10).tolist()
    assert_same_people(*tracked([one, other]))


def test_a_person_who_moves_by_more_than_a_box_is_followed_by_looks():
    assert_same_people(*tracked([[0.0, 90, 180, 270, 360], [400.0] * 5]))


def test_a_gap_in_which_the_face_was_not_found_does_not_make_a_new_person():
    assert_same_people(*tracked([[0.0, None, None, 4, 2], [200.0] * 5]))


def test_a_person_unseen_for_long_is_a_new_one():
    gap = int(MAX_GAP_S) + 1
    paths = [[0.0, *[None] * gap, 0.0], [200.0] * (gap + 2)]
    assert len(set(tracked(paths)[0].tolist())) == 3
    assert len(set(tracked(paths, rate_fps=2.0)[0].tolist())) == 2  # half as long


def test_another_person_in_the_same_place_after_a_cut_is_not_mistaken_if_far_away():
    found, truth = tracked([[0.0, 0, None, None], [None, None, 400.0, 400]])
    assert_same_people(found, truth)


def test_two_faces_of_one_frame_are_never_one_person():
    rng = np.random.default_rng(0)
    frames = np.repeat(np.arange(5), 2)
    boxes = np.tile([[0.0, 0, SIDE, SIDE], [4.0, 0, SIDE, SIDE]], (5, 1))
    embeddings = np.array([looks(0, rng, 0.0) for _ in frames])
    found = track_faces(frames, boxes, embeddings, frames / 1.0)
    assert all(found[2 * n] != found[2 * n + 1] for n in range(5))


def test_people_are_numbered_as_they_appear():
    found, _ = tracked([[0.0] * 3, [None, 200.0, 200.0]])
    assert found.tolist() == [0, 1, 0, 1, 0]


# The video rule.


def scored_video(paths, probabilities, stem="000", timed=True) -> tuple[pa.Table, pa.Table, dict]:
    """(SCORES, boxes, SUMMARIES row) of a video whose people have these fake probabilities.

    A person has one, or one for each frame. Without times every one is 0.0, as of pictures in a folder.
    """
    frames, boxes, embeddings, truth = walk(paths)
    video = video_row(stem, split="test")
    seen: dict[int, int] = {}
    rows = []
    for frame, box, look, who in zip(frames.tolist(), boxes, embeddings, truth, strict=True):
        rank = seen[frame] = seen.get(frame, -1) + 1
        where = {"frame_index": frame, "face_index": rank, "time_s": float(frame if timed else 0)}
        where["box"] = box.tolist()
        probability = np.broadcast_to(probabilities[who], len(paths[0]))[frame]
        score = {"fake_probability": float(probability), "embedding": look.tolist()}
        rows.append(video | where | score)
    names = ("video_id", "dataset", "label", "frame_index", "face_index", "time_s", "box")
    table = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows])
    summary = video | {"status": "ok", "attempts": 1, "n_frames": 9, "n_frames_with_face": 9}
    summary |= {"n_decode_errors": 0, "n_faces": len(rows), "cpu_s": 0.0, "first_row": 0}
    return SCORES.from_rows(rows), table, summary


def rule_of(*made) -> list[float]:
    scores, boxes, summaries = zip(*made, strict=True)
    scores, boxes = pa.concat_tables(scores), pa.concat_tables(boxes)
    persons = track_persons(scores, boxes, 1.0)
    table = video_scores(scores, SUMMARIES.from_rows(list(summaries)), persons)
    return table["fake_probability"].to_pylist()


TWO = [[0.0] * 5, [200.0] * 5]


def test_a_fake_beside_a_real_person_is_not_averaged_away():
    scores, boxes, summary = scored_video(TWO, [0.1, 0.9])
    mean = video_scores(scores, SUMMARIES.from_rows([summary]))["fake_probability"].to_pylist()
    assert mean == pytest.approx([0.5])
    assert rule_of((scores, boxes, summary)) == pytest.approx([0.9])


def test_one_person_alone_scores_by_both_rules_alike():
    assert rule_of(scored_video([[0.0] * 5], [0.3])) == pytest.approx([0.3])


def test_pictures_without_times_of_one_person_are_averaged():
    scores = [0.1] * 9 + [0.95]
    assert rule_of(scored_video([[0.0] * 10], [scores], timed=False)) == pytest.approx([0.185])


def test_a_still_whose_frames_share_one_time_is_of_one_person():
    found, boxes, _ = scored_video([[0.0] * 4], [0.3], timed=False)
    assert track_persons(found, boxes, 1.0).tolist() == [0, 0, 0, 0]


def test_a_face_seen_once_does_not_decide_over_a_person_seen_often():
    passing = [[0.0] * 5, [None, 200.0, None, None, None]]
    assert rule_of(scored_video(passing, [0.2, 1.0])) == pytest.approx([0.2])


def test_where_nobody_is_seen_often_the_highest_counts():
    assert rule_of(scored_video([[0.0, 0.0], [200.0, 200.0]], [0.2, 0.7])) == pytest.approx([0.7])


def test_people_of_different_videos_are_not_linked():
    one = scored_video(TWO, [0.1, 0.9], "000")
    two = scored_video([[0.0] * 4], [0.4], "001")
    assert rule_of(one, two) == pytest.approx([0.9, 0.4])


def test_boxes_of_other_faces_are_refused():
    scores, boxes, _ = scored_video(TWO, [0.1, 0.9])
    with pytest.raises(EvaluationError, match="not of the same faces"):
        track_persons(check_scores(scores), boxes.slice(1), 1.0)
