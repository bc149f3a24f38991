"""Filters and sorts, evaluated on plain dicts."""

from collections.abc import Sequence
from typing import Any, assert_never

from trainshed.domain.values import Key, natural_key, sort_key, walk
from trainshed.ports.documents import Document
from trainshed.ports.patterns import compile_pattern
from trainshed.ports.query import And, Eq, Exists, Filter, Has, In, Not, Or, Range, Regex, Scalar, Sort


def validate(where: Filter) -> None:
    """Compile every pattern in the tree. Raises InvalidRegex."""
    match where:
        case And(parts) | Or(parts):
            for part in parts:
                validate(part)
        case Not(part):
            validate(part)
        case Regex(_, pattern, ignore_case):
            compile_pattern(pattern, ignore_case=ignore_case).begin()


def matches(document: Document, where: Filter) -> bool:
    """Whether the filter holds for the document."""
    match where:
        case And(parts):
            return all(matches(document, part) for part in parts)
        case Or(parts):
            return any(matches(document, part) for part in parts)
        case Not(part):
            return not matches(document, part)
        case _:
            return _holds(walk(document, where.path), where)


def _holds(value: Any, where: Eq | In | Range | Regex | Exists | Has) -> bool:
    match where:
        case Eq(_, wanted):
            return _equal(value, wanted)
        case In(_, wanted_values):
            return any(_equal(value, wanted) for wanted in wanted_values)
        case Range():
            return _in_range(sort_key(value), where)
        case Regex(_, pattern, ignore_case):
            return isinstance(value, str) and compile_pattern(pattern, ignore_case=ignore_case).search(value)
        case Exists():
            return value is not None
        case Has(_, wanted, key):
            return any(_equal(member, wanted) for member in _members(value, key))
        case _:
            assert_never(where)


def _equal(value: Any, wanted: Scalar) -> bool:
    if wanted is None:
        return value is None
    key = sort_key(value)
    return key is not None and key == sort_key(wanted)


def _members(value: Any, key: str | None) -> list[Any]:
    """The list's members; with a key, what its objects have there."""
    members = value if isinstance(value, list) else []
    return members if key is None else [member.get(key) for member in members if isinstance(member, dict)]


def _in_range(key: Key | None, where: Range) -> bool:
    if key is None:
        return False
    low, high = sort_key(where.low), sort_key(where.high)
    if low is None and high is None:
        return True
    return (low is None or _before(low, key, equal=not where.low_open)) and (
        high is None or _before(key, high, equal=not where.high_open)
    )


def _before(low: Key, high: Key, *, equal: bool) -> bool:
    return low[0] == high[0] and (low <= high if equal else low < high)


def ordered(documents: Sequence[Document], sort: Sequence[Sort]) -> list[Document]:
    """By each sort in turn, then by id: a stable sort per key, the last key first."""
    result = sorted(documents, key=lambda document: document["id"])
    for part in reversed(sort):
        keyed = [(_order(document, part), document) for document in result]
        present = [(key, document) for key, document in keyed if key is not None]
        present.sort(key=lambda pair: pair[0], reverse=part.descending)
        result = [document for _, document in present] + [document for key, document in keyed if key is None]
    return result


def _order(document: Document, sort: Sort) -> Key | None:
    key = sort_key(walk(document, sort.path))
    if key is not None and sort.natural and isinstance(key[1], str):
        return (key[0], natural_key(key[1]))
    return key
