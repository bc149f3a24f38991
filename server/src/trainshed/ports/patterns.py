"""Regular expressions of callers, in time linear in the text, whatever the pattern.

Python's own engine takes hours for `^(a+)+$` against forty letters, and no other request is answered meanwhile. RE2 has
neither look-around nor back-references: those patterns are refused. So is one that is searched with for too long: a long one
may cost each character of a text a step for each of its own, and there may be many texts.
"""

import re
from functools import lru_cache
from time import perf_counter
from typing import Any

import re2

from trainshed.domain.errors import InvalidRegex

MAX_PATTERN = 10_000  # characters: compiling a million takes seconds
_MAX_BYTES = 2 * 2**20  # of a compiled pattern; beyond it RE2 refuses
SECONDS = 5.0  # that a question may search with a pattern: a million names take less
_KEPT = 64  # compiled patterns: as many times the bytes above, at worst

# What a pattern is read as: an escaped sign, a set in brackets, a run of ordinary characters or one of the rest.
_PARTS = re.compile(r"\\[^A-Za-z0-9]|\[\^?\]?[^]\[\\]*\]|[^\\.^$*+?{}\[\]|()]+|.", re.DOTALL)
_OPTIONAL = ("*", "?")


class Pattern:
    """A compiled pattern, and how long the question that is being answered may still search with it."""

    def __init__(self, compiled: Any) -> None:
        self._search = compiled.search
        self._left = SECONDS

    def begin(self) -> None:
        """Another question begins."""
        self._left = SECONDS

    def search(self, text: str) -> bool:
        """Whether the pattern is found in the text. Raises InvalidRegex when the question has searched for too long."""
        began = perf_counter()
        found = self._search(text) is not None
        self._left -= perf_counter() - began
        if self._left < 0:
            raise InvalidRegex(f"searching with it takes longer than {SECONDS:g} seconds")
        return found


@lru_cache(maxsize=_KEPT)
def compile_pattern(pattern: str, *, ignore_case: bool) -> Pattern:
    """The compiled pattern. Raises InvalidRegex."""
    if len(pattern) > MAX_PATTERN:
        raise InvalidRegex(f"longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = _MAX_BYTES
    try:
        return Pattern(re2.compile(pattern, options))
    except (re2.error, UnicodeEncodeError) as error:
        raise InvalidRegex(f"{pattern!r}: {_reason(error)}") from error


def required_text(pattern: str) -> str | None:
    """A text that stands in every string in which the pattern is found; None where that is not easily told."""
    parts: list[str] = _PARTS.findall(pattern)
    if any(part in ("|", "(", "{", "\\", "[") for part in parts):
        return None
    runs = [""]
    for part, after in zip(parts, [*parts, ""][1:], strict=True):
        text = part[1:] if part[0] == "\\" else part
        if part[0] in ".^$*+?{}[]()":
            runs.append("")
        elif after in _OPTIONAL:  # its last character alone may be missing or come again
            runs += [runs.pop() + text[:-1], ""]
        elif after == "+":
            runs += [runs.pop() + text, ""]
        else:
            runs.append(runs.pop() + text)
    return max(runs, key=len) or None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
