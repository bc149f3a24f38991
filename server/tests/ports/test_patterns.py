import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import InvalidRegex
from trainshed.ports.patterns import compile_pattern, required_text

REFUSED = {
    "open": "(",
    "deep": "(" * 20_000,
    "long": "a" * 10_001,
    "huge when compiled": "((a{100}){100}){100}",
    "look-ahead": "(?=x)",
    "back-reference": r"(a)\1",
    "lone surrogate": "\udcff",
}


@pytest.mark.parametrize("pattern", REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_pattern_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(InvalidRegex):
        compile_pattern(pattern, ignore_case=False)


def test_a_pattern_built_to_explode_does_not() -> None:
    # Backtracking would take longer than the universe has.
    assert not compile_pattern("^(a+)+$", ignore_case=False).search("a" * 100_000 + "!")


def test_case() -> None:
    assert not compile_pattern("ÄB", ignore_case=False).search("xäbx")
    assert compile_pattern("ÄB", ignore_case=True).search("xäbx")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_the_client_escapes_matches_itself_and_nothing_more(name: str) -> None:
    pattern = compile_pattern(f"^{re.escape(name)}$", ignore_case=False)
    assert pattern.search(name)
    assert not pattern.search(f"{name}x")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("run 99", "run 99"),
        ("^run 9+.*end$", "run 9"),
        ("a.bcd?e", "bc"),
        (r"v1\.2", "v1.2"),
        (r"x\+*yz", "yz"),
        ("[abc]de[^]x]f", "de"),
        ("", None),
        ("a|b", None),
        ("(ab)?c", None),
        ("ab{0,2}c", None),
        (r"\d\Qab", None),
        ("[[:alpha:]]b", None),
        ("(?i)abc", None),
    ],
)
def test_what_a_pattern_asks_for(pattern: str, text: str | None) -> None:
    assert required_text(pattern) == text
