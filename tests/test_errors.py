"""Messages of errors, from what libraries raise and users type."""

import pytest

from dfray.errors import ManifestError, UserError, did_you_mean, explain, first_line, root_error


def test_the_first_line_has_the_type_and_no_full_stop():
    assert first_line(ValueError("the reason.\nand pages more")) == "ValueError: the reason"
    assert first_line(ValueError("the reason."), with_type=False) == "the reason"


@pytest.mark.parametrize("with_type", [True, False])
def test_an_error_without_a_message_is_its_type(with_type):
    assert first_line(EOFError(), with_type=with_type) == "EOFError"


def test_the_root_is_the_innermost_cause_that_has_a_message():
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ValueError("the real reason.\nand pages more")
    wrapped.__cause__.__cause__ = EOFError()
    assert first_line(root_error(wrapped)) == "ValueError: the real reason"


def test_a_missing_package_comes_with_how_nodes_get_it():
    line = first_line(ModuleNotFoundError("No module named 'mediapipe'"))
    assert line.startswith("ModuleNotFoundError: No module named 'mediapipe' (every node needs")
    assert "requirements.txt" in line


def test_an_error_is_explained_by_the_dfray_error_inside_or_by_its_first_line():
    wrapped = RuntimeError("task failed")
    wrapped.__cause__ = ManifestError("Rows contradict.", "Correct them.")
    assert explain(wrapped, UserError, "Extraction failed", "Look.") is wrapped.__cause__
    failure = explain(ValueError("bad"), UserError, "Extraction failed", "Run again.")
    assert (type(failure), str(failure)) == (
        UserError,
        "Extraction failed: ValueError: bad. Run again.",
    )


def test_a_suggestion_names_the_nearest_candidates():
    names = ("demo", "twin-demo", "clip")
    assert did_you_mean("dmeo", names) == "Did you mean demo?"
    assert did_you_mean("demo1", names, limit=2, cutoff=0.4) == "Did you mean demo, twin-demo?"
    assert did_you_mean("xyz", names) == ""
