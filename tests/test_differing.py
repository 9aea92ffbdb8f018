"""Differences of configs."""

from rnncli.differing import differing_keys


def test_only_keys_that_differ_are_named():
    configs = [{"a": 1, "b.c": None, "name": "x"}, {"a": 1, "b.d": 2, "name": "y"}]
    assert differing_keys(configs, ("name",)) == {"b.d": [None, 2]}
    assert differing_keys([{"a": [1, 2]}, {"a": [1, 2]}]) == {}


def test_keys_keep_their_order():
    found = differing_keys([{"a": 1, "d": 1}, {"a": 2, "b": 1, "c": 1, "d": 2}, {"c": 3, "e": 1}])
    assert list(found) == ["a", "b", "c", "e", "d"]
