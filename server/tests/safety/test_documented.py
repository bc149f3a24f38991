"""What docs/security.md says of tests: each is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parents[1] / "docs" / "security.md"


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_]+/test_\w+\.py|test_\w+\.py)`", PAGE.read_text()))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (TESTS / name).exists()] == []
