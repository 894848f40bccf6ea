"""Nested mappings as dotted keys."""

from dfray.nested import flatten


def test_every_leaf_has_its_dotted_key_in_order():
    values = {"training": {"lr": 0.1, "ema": None}, "name": "demo", "search": {"space": {}}}
    assert list(flatten(values)) == [("training.lr", 0.1), ("training.ema", None), ("name", "demo")]


def test_a_list_of_mappings_is_entered_and_any_other_list_is_a_value():
    values = {"corpora": [{"root": "a"}, {"root": "b"}], "scale": [0.9, 1.1], "only": []}
    assert dict(flatten(values)) == {
        "corpora.0.root": "a",
        "corpora.1.root": "b",
        "scale": [0.9, 1.1],
        "only": [],
    }
