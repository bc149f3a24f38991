"""How JSON values are found and compared: the rules that every Documents engine shares."""

import re
from typing import Any

_INT64 = range(-(2**63), 2**63)
_LENGTH_DIGITS = 6  # room for runs of up to 999,999 digits

# (rank, value): numbers before strings before booleans, and never equal across those.
Key = tuple[int, str | int | float]


def walk(document: Any, path: tuple[str, ...]) -> Any:
    """The value at path, or None where there is none. Only objects are entered: a list has no keys."""
    value = document
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def sort_key(value: Any) -> Key | None:
    """What a number, string or boolean is compared by; None for null, lists and objects, which compare with nothing."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int):
        return (0, value if value in _INT64 else float(value))
    if isinstance(value, float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return None


def natural_key(text: str) -> str:
    """A string that sorts as `text` does with its runs of digits read as numbers: "run 2" before "run 11".

    A run becomes a 0, its length and its digits: against other characters it stays where digits are, against a run it goes
    by size.
    """
    return re.sub("0*([0-9]+)", _sized, text)


def _sized(run: re.Match[str]) -> str:
    digits = run[1]
    return f"0{len(digits):0{_LENGTH_DIGITS}}{digits}"
