"""Questions to the Documents port, as a small tree of values. Adapters compile it; nothing above them speaks an engine's language.

A path is a tuple of keys, so that keys with dots, slashes or quotes need no escaping: ("hyperparams", "Args", "lr", "value").
Where a path meets a list, the list itself is the value.

Values are compared within their kind alone: number, string or boolean. So 1 equals 1.0 and never True or "1". Lists and
objects compare with nothing. Integers beyond 64 bits are compared as floats. Strings that hold a NUL are stored well, but
an engine may compare them up to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Path = tuple[str, ...]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; true when empty."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; false when empty."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold. A filter on a missing value is false, so its Not is true."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Eq:
    """The value at path equals value; Eq(path, None) holds when the value is missing or null."""

    path: Path
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """The value at path is one of values (None: missing or null)."""

    path: Path
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """low <= value <= high, each end open when None and exclusive when so marked.

    Holds for values of the ends' kind only, so for none when the ends differ in kind, and for any that compare without ends.
    """

    path: Path
    low: str | int | float | None = None
    high: str | int | float | None = None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """The pattern, in Python's syntax, is found somewhere in the string at path."""

    path: Path
    pattern: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """There is a value other than null at path."""

    path: Path


@dataclass(frozen=True, slots=True)
class Has:
    """The list at path holds value; with key, it holds an object whose value at that key is value (None: missing or null)."""

    path: Path
    value: Scalar
    key: str | None = None


Filter = And | Or | Not | Eq | In | Range | Regex | Exists | Has

EVERYTHING = And()


def paths(where: Filter) -> Iterator[Path]:
    """The paths that the filter asks about."""
    match where:
        case And(parts) | Or(parts):
            for part in parts:
                yield from paths(part)
        case Not(part):
            yield from paths(part)
        case _:
            yield where.path


@dataclass(frozen=True, slots=True)
class Sort:
    """Order by the value at path: numbers before strings before booleans. Ties are broken by id, ascending.

    Documents without a value that compares (missing, null, list, object) come last in either direction.
    natural: compare runs of the digits 0-9 as numbers ("run 2" before "run 11").
    """

    path: Path
    descending: bool = False
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the listing: skip `offset` documents, return at most `limit` (None: all)."""

    offset: int = 0
    limit: int | None = None
