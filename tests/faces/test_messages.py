"""Whatever a child sends, its parent reads messages from it and nothing else."""

from __future__ import annotations

import os
import pickle
from collections import Counter

import numpy as np
import pytest

from dfray.errors import ModelFileError
from dfray.faces.messages import Failed, FrameFound, SourceDone, StreamRead, read_message
from dfray.faces.properties import StreamProperties
from dfray.faces.video import Face, Frame


class _Call:
    """Pickles as a call of a harmless function."""

    def __init__(self, function: object) -> None:
        self._function = function

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return self._function, ("PATH",)


def test_messages_come_back_as_they_were() -> None:
    crop, points = np.ones((4, 4, 3), np.uint8), np.ones((468, 2), np.float32)
    face = Face(
        0, float(np.float32(0.5)), (0.0, 0.0, 1.0, 1.0), (0.0,) * 12, (0, 0, 4), crop, points
    )
    found = FrameFound(Frame(0, 0.5, "faces", None, 4, 4, [face]), np.float64(1.0))
    read = read_message(pickle.dumps(found))
    assert np.array_equal(read.frame.faces[0].image, crop)
    assert np.array_equal(read.frame.faces[0].landmarks, points)
    for message in (SourceDone("why", 1.0), StreamRead(StreamProperties("h264"), 0.0)):
        assert read_message(pickle.dumps(message)) == message
    failed = read_message(pickle.dumps(Failed(ModelFileError("no model", "Fetch it."))))
    assert (type(failed.error), failed.error.hint) == (ModelFileError, "Fetch it.")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("function", [os.getenv, Counter, np.zeros])
def test_nothing_else_is_called(function: object, protocol: int) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is no part of a message"):
        read_message(pickle.dumps(SourceDone(_Call(function), 0.0), protocol))  # type: ignore[arg-type]


def test_no_module_is_reached_through_ours() -> None:
    for path in (
        b"cdfray.errors\ndifflib\n.",
        b"cdfray.faces.messages\npickle\n.",
        b"cdfray.errors\nmask\n.",
    ):
        with pytest.raises(pickle.UnpicklingError, match="is no part of a message"):
            read_message(path)
