"""Documents of strangers are read within limits; what is beyond one ends in one line with the place.

The limits are lowered here, so that small documents are beyond them.
"""

import time
from datetime import date

import pytest

from dfray import documents
from dfray.documents import parse_json, parse_yaml, read_json, read_yaml, validated
from dfray.errors import ManifestError, RecipeError, UserError


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setattr(documents, "VALUES", 40)
    monkeypatch.setattr(documents, "DEPTH", 5)


def told(text: str) -> str:
    with pytest.raises(UserError) as refused:
        parse_yaml(text, "mine.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_aliases_are_read_and_count_as_what_they_stand_for():
    assert parse_yaml("a: &x [1, 2]\nb: *x\n", "mine.yaml").value == {"a": [1, 2], "b": [1, 2]}
    doubling = "a: &a [1, 1, 1, 1]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"
    assert "mine.yaml:3 stands for more than 40 values, by its aliases" in told(doubling)
    merging = (
        "a: &a {k: 1}\nb: &b {<<: [*a, *a, *a]}\nc: &c {<<: [*b, *b]}\nd: {<<: [*c, *c, *c]}\n"
    )
    assert "mine.yaml:4 stands for more than 40 values" in told(merging)


def test_the_number_of_values_is_bounded():
    assert len(parse_yaml("- 1\n" * 39, "mine.yaml").value) == 39
    assert "mine.yaml:41 is beyond the limit of 40 values" in told("- 1\n" * 45)


def test_nesting_is_bounded_in_brackets_and_by_aliases():
    assert parse_yaml("[[[[[1]]]]]", "mine.yaml").value == [[[[[1]]]]]
    assert "mine.yaml:2 is nested more than 5 levels deep" in told("#\n[[[[[[[1]]]]]]]")
    chain = "a: &a [1]\nb: &b [*a]\nc: &c [*b]\nd: &d [*c]\ne: [*d]\n"
    assert "levels deep, by its aliases" in told(chain)
    assert "mine.yaml:1 contains itself, by an alias" in told("&a [1, *a]")


def test_a_key_that_is_there_twice_is_refused_with_its_line_and_that_of_the_first():
    twice = "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n"
    assert "mine.yaml:5 has the key 'c' a second time; the first is in line 3" in told(twice)
    assert "mine.yaml:1 has the key 'a' a second time" in told('{a: 1, "a": 2}')
    assert "has the key 1 a second time" in told("1: a\n0x1: b\n")
    assert parse_yaml("a: &a {k: 1}\nb: {<<: *a, k: 2}\n", "x").value["b"] == {"k": 2}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: 2026-13-45",
        "a: !!int many",
        "a: !!bool perhaps",
        "a: !!timestamp soon",
        "a: !!python/name:os.system",
        "? [a, b]\n: 1\n",
        "? !!seq a\n: 1\n",
        "a: b: c",
        b"a: \xff\xfe",
        "a: \x07",
        "--- 1\n--- 2\n",
        "a: *nothing",
        "a: " + "1" * 400,
    ],
)
def test_what_yaml_cannot_say_is_one_line_that_names_the_file(text):
    assert told(text).startswith("mine.yaml")


def test_yaml_keeps_its_types_and_an_empty_document_has_no_node():
    assert parse_yaml("[1, 1.5, x, null, true, 2026-11-30]", "x").value == [
        1,
        1.5,
        "x",
        None,
        True,
        date(2026, 11, 30),
    ]
    assert parse_yaml("", "x") == documents.Yaml(None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("", "is not valid JSON"),
        (b"\xff\xfe\xfd", "is not valid JSON"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[[[[[[[1]]]]]]]", "nested more than 5 levels"),
        ('{"a":' * 7 + "1" + "}" * 7, "nested more than 5 levels"),
        ("1" * 5000, "is not valid JSON"),
    ],
)
def test_what_json_cannot_say_is_one_line_that_names_the_file(text, message):
    with pytest.raises(ManifestError, match=message) as refused:
        parse_json(text, "list.json", ManifestError, "Mend it.")
    assert str(refused.value).startswith("list.json")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("Mend it.")


def test_json_takes_nan_only_where_it_is_asked_for():
    assert parse_json("[1, 2.5]", "x") == [1, 2.5]
    (value,) = parse_json("[NaN]", "x", with_nan=True)
    assert value != value


def test_a_file_beyond_the_limit_of_its_size_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "YAML_BYTES", 10)
    monkeypatch.setattr(documents, "JSON_BYTES", 10)
    for name, content in {"small": b"[1, 2]", "long": b"[1, 2, 3, 4]", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
    assert read_json(str(tmp_path / "small")) == [1, 2]
    assert read_yaml(str(tmp_path / "small")).value == [1, 2]
    assert read_yaml(str(tmp_path / "empty")).value is None
    for read in (read_json, read_yaml):
        with pytest.raises(UserError, match="long has more than 10 bytes"):
            read(str(tmp_path / "long"))


def test_a_folder_is_no_document(tmp_path):
    with pytest.raises(RecipeError, match="is a folder, not a file"):
        read_yaml(str(tmp_path), RecipeError)


def test_a_value_of_another_kind_is_refused_with_each_key_and_the_beginning_of_its_value():
    with pytest.raises(UserError, match=r"x.json: b.0: .*got 'aaa.*\.\.\.\)") as refused:
        validated(dict[str, list[int]], {"a": [1], "b": ["a" * 1000]}, "x.json", hint="Mend it.")
    assert len(str(refused.value)) < 300
    assert validated(dict[str, list[int]], {"a": [1]}, "x.json") == {"a": [1]}


def test_a_refusal_takes_no_second(monkeypatch):
    """What goes beyond the limits that dfray has, by little, is refused before it is built."""
    monkeypatch.undo()
    begun = time.process_time()
    told("a: &a [" + "1," * 400 + "1]\nb: [" + "*a," * 300 + "*a]\n")
    told("[" * 100)
    with pytest.raises(UserError, match="levels deep"):
        parse_json("[" * 100 + "]" * 100, "x")
    assert time.process_time() - begun < 1
