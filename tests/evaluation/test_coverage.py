import pyarrow as pa

from dfray.evaluation.coverage import Reason, count_coverage
from dfray.tables import OUTCOMES


def test_every_status_outcome_and_reason_is_counted_per_split(make_scored):
    test = make_scored(2, lost=("unreadable", "unreadable", "no_face"))
    train = make_scored(3, split="train", datasets=("other",))
    broken = {
        "video_id": "demo/source/0000",
        "frame_index": 9,
        "outcome": "decode_error",
        "n_faces": 0,
        "reason": "bad slice",
    }
    outcomes = [test.outcomes, train.outcomes, OUTCOMES.from_rows([broken])]
    found = count_coverage(
        pa.concat_tables([test.summaries, train.summaries]), pa.concat_tables(outcomes)
    )
    assert [split.split for split in found] == ["train", "test"]
    of_test = found[1]
    assert of_test.videos == {"ok": 6, "unreadable": 2, "no_face": 1}
    assert of_test.frames == {"faces": test.faces.num_rows, "no_face": 3, "decode_error": 1}
    assert of_test.n_frames_doubtful == 0
    assert of_test.n_faces == test.faces.num_rows
    assert of_test.cpu_s == 9 * 0.25
    assert of_test.reasons == [
        Reason("unreadable", "why it was unreadable", 2),
        Reason("decode_error", "bad slice", 1),
    ]
    assert found[0].reasons == []


def test_videos_that_were_never_extracted_count_in_their_split(make_scored):
    test, train = make_scored(2), make_scored(1, split="train", datasets=("other",)).summaries
    never = pa.concat_tables([make_scored(1, datasets=("later",)).summaries, train])
    found = count_coverage(test.summaries, test.outcomes, never)
    assert [split.split for split in found] == ["train", "test"]
    assert found[0].videos == {"not_extracted": 3}
    assert found[1].videos == {"ok": 6, "not_extracted": 3}


def test_frames_with_a_doubtful_face_are_counted_and_older_tables_have_none(make_scored):
    test = make_scored(2)
    counts = pa.array([3, None, *[0] * (test.summaries.num_rows - 2)], pa.int32())
    at = test.summaries.schema.get_field_index("n_frames_doubtful")
    (found,) = count_coverage(
        test.summaries.set_column(at, test.summaries.schema.field(at), counts), test.outcomes
    )
    assert found.n_frames_doubtful == 3
