"""Names of strangers are text in every place that shows them."""

from __future__ import annotations

import csv
import io

import pytest
from markdown_it import MarkdownIt

from dfray.errors import DfrayError, first_line
from dfray.text import LONGEST, markdown, markdown_code, mask, tag, to_csv, visible, visible_line

HOSTILE = (
    "[z].mp4",
    "[link](http://host)",
    "![p](http://host/p.png)",
    "<script>x</script>",
    "<http://host>",
    "`code`",
    "a|b",
    "**bold** _em_ ~~no~~ __init__",
    "# heading",
    "- item",
    "back\\slash",
    "&lt;b&gt;",
    "two\nlines",
)


def test_escape_sequences_and_turned_text_are_shown_as_what_they_are() -> None:
    assert visible("a\x1b[31mb\x07\x9b\x7f") == r"a\x1b[31mb\x07\x9b\x7f"
    assert visible("a\u202egnp.exe") == r"a\u202egnp.exe"
    assert visible("\udcff.mp4") == r"\udcff.mp4"
    assert visible("größe-видео-映像 🙂\n\ttwo") == "größe-видео-映像 🙂\n\ttwo"


def test_a_name_is_one_line_and_not_endless() -> None:
    assert visible_line("a\nb\tc\rd") == r"a\nb\tc\x0dd"
    assert visible_line("x" * 2**20).endswith("x… (1,048,576 characters)")
    assert len(visible_line("x" * 2**20)) < LONGEST + 50


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_markdown_is_read_back_as_it_is(name: str) -> None:
    """By another reader of Markdown, at the start of a paragraph and in a cell of a table."""
    reader = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    shown = visible_line(name)
    for text, tag_name in ((markdown(name), "p"), (f"| a |\n|---|\n| {markdown(name)} |", "td")):
        tokens = reader.parse(text)
        kinds = [token.type for token in tokens if token.tag == tag_name]
        assert len(kinds) == 2, "one paragraph, or one cell"
        inline = [token for token in tokens if token.type == "inline"][-1]
        assert {child.type for child in inline.children or []} <= {"text", "text_special"}
        assert "".join(child.content for child in inline.children or []) == shown


def test_a_name_as_code_ends_no_span_of_code() -> None:
    (_, inline, _) = MarkdownIt().parse(markdown_code("a`b` <i>"))
    assert [child.type for child in inline.children or []] == ["code_inline"]


@pytest.mark.parametrize("name", ["=1+1", "+1 2", "-a", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    ((cell, number, text, value),) = csv.reader(io.StringIO(to_csv([[name, -0.5, "-0.5", "a=b"]])))
    assert cell.startswith(("'", "\\"))
    assert (number, text, value) == ("-0.5", "-0.5", "a=b")


def test_a_tag_is_no_longer_than_mlflow_keeps() -> None:
    assert tag("s3://user:word@host/a\0") == r"s3://***@host/a\x00"
    assert len(tag("x" * 9000)) == 5000


def test_passwords_are_masked_in_every_error() -> None:
    uri = "postgresql://me:pass-word@host/db"
    error = DfrayError(f"{uri} is away.", f"Start {uri}.")
    assert "pass-word" not in str(error) + repr(error) + error.message + error.hint
    assert "pass-word" not in first_line(ValueError(f"no {uri}"))
    assert mask("s3://key:pass@word@bucket/a") == "s3://***@bucket/a"
