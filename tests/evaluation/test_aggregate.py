import numpy as np
import pyarrow as pa
import pytest

from dfray.config import EvaluationSection
from dfray.errors import EvaluationError, SchemaError
from dfray.evaluation.aggregate import VIDEO_SCORES, frame_scores, video_scores
from dfray.evaluation.metrics import compute_metrics
from dfray.tables import SCORES


def with_probability(scores: pa.Table, row: int, value: float) -> pa.Table:
    values = scores.column("fake_probability").to_numpy().copy()
    values[row] = value
    at = scores.column_names.index("fake_probability")
    return scores.set_column(at, scores.schema.field(at), pa.array(values))


def test_a_video_scores_the_mean_over_its_faces(make_scored):
    scored = make_scored(4)
    naive: dict[str, list[float]] = {}
    for row in scored.faces.to_pylist():
        naive.setdefault(row["video_id"], []).append(row["fake_probability"])
    for row in scored.videos.to_pylist():
        assert row["fake_probability"] == pytest.approx(np.mean(naive[row["video_id"]]), abs=1e-12)
        assert row["n_faces"] == len(naive[row["video_id"]])
        assert row["reason"] is None


def test_a_frame_scores_the_mean_over_the_faces_in_it(make_scored):
    faces = make_scored(12).faces
    naive: dict[tuple, list[float]] = {}
    for row in faces.to_pylist():
        naive.setdefault((row["video_id"], row["frame_index"]), []).append(row["fake_probability"])
    assert max(map(len, naive.values())) == 2
    found = {
        (row["video_id"], row["frame_index"]): row["fake_probability"]
        for row in frame_scores(faces).to_pylist()
    }
    assert found == pytest.approx({key: np.mean(values) for key, values in naive.items()})


def test_a_video_without_a_score_keeps_its_row_and_says_why(make_scored):
    videos = make_scored(2, lost=("no_face", "unreadable", "crashed", "timed_out")).videos
    unscored = [row for row in videos.to_pylist() if row["fake_probability"] is None]
    assert {(row["status"], row["reason"], row["n_faces"]) for row in unscored} == {
        ("no_face", "no face in 3 frame(s)", 0),
        ("unreadable", "why it was unreadable", 0),
        ("crashed", "why it was crashed", 0),
        ("timed_out", "why it was timed_out", 0),
    }


def test_a_listed_video_that_was_never_extracted_has_a_row_and_lowers_the_coverage(make_scored):
    scored = make_scored(2)
    never = make_scored(3, datasets=("later",)).summaries
    videos = video_scores(scored.faces, scored.summaries, unextracted=never)
    assert videos["video_id"].to_pylist() == sorted(videos["video_id"].to_pylist())
    lost = videos.filter(pa.array([v.startswith("later") for v in videos["video_id"].to_pylist()]))
    assert set(lost["status"].to_pylist()) == {"not_extracted"}
    assert lost["fake_probability"].null_count == lost.num_rows == 9
    counts = compute_metrics(videos, scored.faces, EvaluationSection(), 0).overall.counts
    assert (counts.videos, counts.scored, counts.not_extracted) == (15, 6, 9)
    assert counts.coverage == 6 / 15


def test_the_order_of_scores_does_not_matter(make_scored):
    scored = make_scored(6)
    shuffled = scored.faces.take(np.random.default_rng(1).permutation(scored.faces.num_rows))
    assert video_scores(shuffled, scored.summaries).equals(scored.videos)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_what_is_no_probability_is_refused_by_name(make_scored, value):
    scored = make_scored(2)
    row = scored.faces.slice(3, 1).to_pylist()[0]
    with pytest.raises(EvaluationError, match=f"1 of .* {row['video_id']}, frame"):
        video_scores(with_probability(scored.faces, 3, value), scored.summaries)


def test_a_missing_face_is_refused(make_scored):
    scored = make_scored(3)
    with pytest.raises(EvaluationError, match=r"\d face\(s\) scored, \d extracted"):
        video_scores(scored.faces.slice(1), scored.summaries)


def test_a_face_scored_twice_is_refused(make_scored):
    scored = make_scored(3)
    with pytest.raises(EvaluationError, match=r"\d face\(s\) scored, \d extracted"):
        video_scores(pa.concat_tables([scored.faces, scored.faces.slice(0, 1)]), scored.summaries)


def test_scores_of_another_split_are_refused(make_scored):
    scored = make_scored(3)
    with pytest.raises(EvaluationError, match="not in the summaries, such as demo/source/0000"):
        video_scores(scored.faces, scored.summaries.slice(1))


def test_a_table_that_is_not_scores_is_refused(make_scored):
    with pytest.raises(SchemaError, match="embedding"):
        video_scores(make_scored(1).faces.drop_columns("embedding"), make_scored(1).summaries)


def test_no_videos_give_no_rows(make_scored):
    empty = video_scores(SCORES.schema.empty_table(), make_scored(1).summaries.slice(0, 0))
    assert empty.num_rows == 0
    assert empty.schema.names == VIDEO_SCORES.names
