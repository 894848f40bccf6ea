"""Tables that name files give the same rows in each format, and say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfray.datasets.named_rows import named_rows, place_of
from dfray.errors import UserError


def test_each_format_gives_name_and_wanted_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("kind,video,other\nframes,a.mp4,1\n,b.mp4,2\n")
    (tmp_path / "t.jsonl").write_text(
        '{"kind": "frames", "video": "a.mp4"}\n\n{"video": "b.mp4", "kind": ""}\n'
    )
    columns = {"kind": ["frames", ""], "video": ["a.mp4", "b.mp4"], "other": [1, 2]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for suffix in ("csv", "jsonl", "parquet"):
        rows = list(named_rows(str(tmp_path / f"t.{suffix}"), ("kind", "stride")))
        assert rows == [{"kind": "frames", "name": "a.mp4"}, {"kind": "", "name": "b.mp4"}], suffix


def test_a_column_uri_comes_before_others(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("input,uri\na,b\n")
    assert list(named_rows(str(tmp_path / "t.csv"), ())) == [{"name": "b"}]
    assert place_of("/lists/t.csv", "b") == "/lists/b"
    assert place_of("s3://bucket/lists/t.csv", "b/") == "s3://bucket/lists/b"
    assert place_of("/lists/t.csv", "s3://bucket/b") == "s3://bucket/b"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        (
            "t.txt",
            "a",
            r"t.txt ends with none of .csv, .parquet, .jsonl. Name the files in a column",
        ),
        ("t.csv", "path\na\n", r"t.csv has no column uri, video or input; it has path."),
        ("t.csv", "", r"t.csv has no column .*; it has none."),
        ("t.jsonl", "\n[1]\n", r"t.jsonl line 2 is no JSON object"),
        ("t.jsonl", '{"uri": "a"}\n{\n', r"t.jsonl line 2 is not valid JSON"),
        ("t.jsonl", '{"uri": "a", "uri": "b"}\n', r"t.jsonl line 1 .* has the key 'uri' twice"),
        ("t.jsonl", '{"uri": ' + "[" * 100_000, r"t.jsonl line 1 is nested more than 64 levels"),
        ("t.jsonl", json.dumps({"path": 1}), r"t.jsonl has no column uri"),
        ("t.parquet", "text", r"t.parquet is no Parquet file"),
    ],
)
def test_a_file_that_is_no_such_table_is_told(
    name: str, content: str, fault: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=fault):
        list(named_rows(str(tmp_path / name), ()))
