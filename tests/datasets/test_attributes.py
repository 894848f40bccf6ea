"""Attributes of person or recording, as readers store them and evaluations take them."""

from __future__ import annotations

from dfray.datasets.attributes import attributes_of, encoded
from tests.helpers.rows import video_row, videos_table


def test_empty_values_are_no_attributes():
    assert encoded({"age": " 30-39 ", "sex": "", "language": "  "}) == '{"age": "30-39"}'
    assert encoded({"age": ""}) is None
    assert encoded({}) is None


def test_each_attribute_has_the_videos_that_state_it():
    rows = [
        video_row("a", attributes=encoded({"age": "young", "language": "日本語"})),
        video_row("b", attributes=encoded({"age": "old"}), identity_group="women/African"),
        video_row("c"),
    ]
    found = attributes_of(videos_table(rows))
    assert found == {
        "age": {"toy/camera/a": "young", "toy/camera/b": "old"},
        "language": {"toy/camera/a": "日本語"},
        "identity group": {"toy/camera/b": "women/African"},
    }
