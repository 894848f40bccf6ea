"""Texts that may hold names of strangers, made fit for the place they are shown in: one function for each.

A name is text everywhere: it colours no terminal, ends no table, opens no link and starts no formula. Users,
passwords, tokens and signatures of URIs are masked wherever a text is shown or kept.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

LONGEST = 4096
"""Characters of a name that are shown."""
_LONGEST_TAG = 5000
"""Characters of a tag, as MLflow's databases keep them."""
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and new line, those that turn the direction of text, half characters."""
_MARKDOWN = re.compile(r"^[#+-]|[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that begin a block, a span, HTML or a cell; an underscore within a word is none."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_USER = re.compile(r"(\w://)[^/?#\s]*@")
_QUERY_KEY = re.compile(
    r"([?&][\w-]*(?:signature|credential|token|password|secret|key)[\w-]*=)[^&#\s'\"]+",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """Return text without what its URIs have of users, passwords, tokens and signatures."""
    return _QUERY_KEY.sub(r"\1***", _USER.sub(r"\1***@", text))


def visible(text: str) -> str:
    r"""Return lines as a terminal shows them: masked, control characters as escapes such as \x1b."""
    return _CONTROL.sub(_escape, mask(text))


def visible_line(text: str) -> str:
    """Return one line as a terminal shows it: as `visible`, without new lines, and cut if it is very long."""
    line = visible(text).replace("\n", r"\n").replace("\t", r"\t")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line):,} characters)"


def markdown(text: str) -> str:
    """Return a name as it stands in Markdown: nothing in it is a mark, a table's edge or HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", visible_line(text))


def markdown_code(text: str) -> str:
    """Return a name as a span of code in Markdown."""
    return f"`{visible_line(text).replace('`', chr(39))}`"


def tag(text: str) -> str:
    """Return the value of an MLflow tag: what its databases and pages take."""
    value = visible(text)
    return value if len(value) <= _LONGEST_TAG else f"{value[: _LONGEST_TAG - 1]}…"


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV; a text that a spreadsheet would calculate begins with an apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([map(_cell, row) for row in rows])
    return buffer.getvalue()


def csv_text(text: str) -> str:
    """Return a text as a cell of `to_csv` holds it; what it returns stays as it is."""
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _cell(value: object) -> object:
    return csv_text(value) if isinstance(value, str) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
