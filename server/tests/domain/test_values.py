"""How values are found and compared."""

from typing import Any

import pytest

from trainshed.domain.values import natural_key, sort_key, walk

DOCUMENT = {"a": {"b.c": {"": 1}}, "list": [{"x": 1}], "text": "x", "null": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), DOCUMENT),
        (("a", "b.c", ""), 1),
        (("a", "b", "c"), None),
        (("list",), [{"x": 1}]),
        (("list", "0"), None),
        (("text", "0"), None),
        (("null", "x"), None),
    ],
    ids=str,
)
def test_walk(path: tuple[str, ...], value: Any) -> None:
    assert walk(DOCUMENT, path) == value


def test_kinds_never_mix() -> None:
    ascending: list[Any] = [0, 1, "", "1", False, True]
    keys = [sort_key(value) for value in ascending]
    assert len(set(keys)) == 6
    assert keys == sorted(key for key in keys if key)
    assert sort_key(1) == sort_key(1.0)
    assert sort_key(None) is sort_key([]) is sort_key({}) is None


def test_natural_order() -> None:
    ordered = ["", "1", "2", "11", "a", "a 2", "a 11", "a1", "a1b", "a1b2", "a1b10", "a2", "a10", "b"]
    as_text = sorted(ordered)
    assert sorted(as_text, key=natural_key) == ordered


def test_leading_zeros_do_not_count() -> None:
    assert natural_key("a007") == natural_key("a7")
    assert natural_key("000") == natural_key("0")
