"""Filters and sorts as SQL.

Everything is compared through a value's *scalar*: numbers and strings as they are, booleans as blobs, and NULL for null,
missing, lists and objects. SQLite then orders as the port asks (numbers, strings, booleans), and tells true from 1.
"""

# ruff: noqa: S608 - statements are put together here, but never from a caller's text: paths and values are parameters

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from trainshed.ports.patterns import compile_pattern
from trainshed.ports.query import And, Eq, Exists, Filter, Has, In, Not, Or, Page, Path, Range, Regex, Scalar, Sort

FALSE, TRUE = b"\x00", b"\x01"
_FIRST_TEXT, _FIRST_BLOB = "''", "x''"  # numbers < every text < every blob

# Longer lists of strings travel as one JSON parameter: the number of parameters has a limit (32,766 by default).
_INLINE_VALUES = 100

# A key that stands in a body as it is, so that SQLite's JSON path finds it: 3.40 compares keys as they are written.
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f]+')

# A text that stands in a body as it is, and nowhere else in another form.
_UNESCAPED = re.compile(r"[A-Za-z0-9_ .:-]+")

_SCALAR = (
    "CASE json_type({json}, {path}) WHEN 'true' THEN x'01' WHEN 'false' THEN x'00' WHEN 'array' THEN NULL"
    " WHEN 'object' THEN NULL ELSE json_extract({json}, {path}) END"
)
_LIST = "CASE json_type({json}, {path}) WHEN 'array' THEN json_extract({json}, {path}) END"
_OBJECT = "CASE json_type({json}, {path}) WHEN 'object' THEN json_extract({json}, {path}) END"
_THERE = "ifnull(json_type({json}, {path}), 'null') <> 'null'"
_MEMBER = "CASE member.type WHEN 'true' THEN x'01' WHEN 'false' THEN x'00' ELSE member.atom END"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement with the parameters in it."""

    text: str
    parameters: tuple[Any, ...] = ()


class Compiler:
    """Compiles for one collection.

    scalars, lists: paths that have a column with their scalar or list, and its name.
    """

    def __init__(self, scalars: Mapping[Path, str], lists: Mapping[Path, str]) -> None:
        self._scalars = scalars
        self._lists = lists

    def where(self, where: Filter) -> Sql:
        """An expression that is true where the filter holds, else false or NULL. Raises InvalidRegex."""
        match where:
            case And(parts):
                return _joined("AND", [self.where(part) for part in parts], empty="TRUE")
            case Or(parts):
                return _joined("OR", [self.where(part) for part in parts], empty="FALSE")
            case Not(part):
                return _wrapped("({}) IS NOT TRUE", self.where(part))
            case Eq(path, value):
                return self._one_of(path, (value,))
            case In(path, values):
                return self._one_of(path, values)
            case Range():
                return self._range(where)
            case Regex(path, pattern, ignore_case):
                compile_pattern(pattern, ignore_case=ignore_case)
                return _wrapped("matches(?, ?, {})", self.scalar(path), pattern, ignore_case)
            case Exists(path):
                return _wrapped("NOT {}", self._missing(path))
            case Has():
                return self._has(where)
            case _:
                assert_never(where)

    def order(self, sort: Sequence[Sort]) -> Sql:
        """The terms of ORDER BY, down to the id."""
        terms = [self._term(part) for part in sort]
        return Sql(", ".join([*(term.text for term in terms), "id"]), _parameters(terms))

    def scalar(self, path: Path) -> Sql:
        """An expression for the scalar at path."""
        if path in self._scalars:
            return Sql(self._scalars[path])
        return _at(path, _SCALAR, "scalar")

    def list(self, path: Path) -> Sql:
        """An expression for the list at path as JSON text, NULL when there is none."""
        if path in self._lists:
            return Sql(self._lists[path])
        return _at(path, _LIST, "list")

    def object(self, path: Path) -> Sql:
        """An expression for the object at path as JSON text, NULL when there is none."""
        return _at(path, _OBJECT, "object")

    def _one_of(self, path: Path, values: tuple[Scalar, ...]) -> Sql:
        wanted = [parameter(value) for value in values if value is not None]
        parts = [_member_of(self.scalar(path), wanted)] if wanted else []
        if len(wanted) < len(values):
            parts.append(self._missing(path))
        return _joined("OR", parts, empty="FALSE")

    def _missing(self, path: Path) -> Sql:
        if path == ("id",):
            return Sql("FALSE")
        # The scalar first: it may be a column, and only lists and objects are left to be told from nothing.
        scalar, there = self.scalar(path), _at(path, _THERE, "there")
        return Sql(f"({scalar.text} IS NULL AND NOT {there.text})", scalar.parameters + there.parameters)

    def _range(self, where: Range) -> Sql:
        low, high = parameter(where.low), parameter(where.high)
        scalar = self.scalar(where.path)
        bounds = [(">" if where.low_open else ">=", low), ("<" if where.high_open else "<=", high)]
        parts = [_wrapped(f"{{}} {sign} ?", scalar, end, after=True) for sign, end in bounds if end is not None]
        ends = [end for _, end in bounds if end is not None]
        parts += [_wrapped(f"{{}} {limit}", scalar) for limit in _limits(ends)]
        return _joined("AND", parts, empty="TRUE")

    def _has(self, where: Has) -> Sql:
        found = _is_member(where.value) if where.key is None else _has_member(where.key, where.value)
        lists = self.list(where.path)
        text = f"EXISTS (SELECT 1 FROM json_each({lists.text}) AS member WHERE {found.text})"
        member = Sql(text, lists.parameters + found.parameters)
        if where.path in self._lists and isinstance(where.value, str) and _UNESCAPED.fullmatch(where.value):
            # Most lists do not even contain the text, which is seen twenty times as fast.
            return _wrapped(f"(instr({lists.text}, ?) > 0 AND {{}})", member, where.value)
        return member

    def _term(self, sort: Sort) -> Sql:
        scalar = self.scalar(sort.path)
        key = _wrapped("natural_key({})", scalar) if sort.natural else scalar
        # NULL is SQLite's smallest: last by itself when descending.
        return Sql(f"{key.text} {'DESC' if sort.descending else 'ASC NULLS LAST'}", key.parameters)


def members_of(lists: Sql) -> Sql:
    """A query for the scalars in the lists that another query gives under the name `list`."""
    return Sql(f"SELECT {_MEMBER} FROM ({lists.text}) AS source, json_each(source.list) AS member", lists.parameters)


def tally_of(compiler: Compiler, by: Sequence[Path], total: Path | None) -> Sql:
    """The columns of a tally: the scalars that it groups by, the sum, the count."""
    scalars = [compiler.scalar(path) for path in by]
    amount = Sql("0.0")
    if total is not None:
        scalar = compiler.scalar(total)
        # Texts and blobs would count with the digits that they begin with.
        amount = Sql(f"total(CASE WHEN {scalar.text} < {_FIRST_TEXT} THEN {scalar.text} END)", scalar.parameters * 2)
    columns = [*scalars, amount]
    return Sql(", ".join([*(column.text for column in columns), "count(*)"]), _parameters(columns))


def entries_of(objects: Sql, depth: int, fields: Sequence[str]) -> Sql:
    """A query for the keys in the objects that another query gives under the name `object`."""
    sources = ["json_each(source.object) AS level0"]
    for level in range(1, depth):
        above = f"level{level - 1}"
        sources.append(f"json_each(CASE {above}.type WHEN 'object' THEN {above}.value ELSE '{{}}' END) AS level{level}")
    last = f"level{depth - 1}"
    inner = [_at((field,), _SCALAR, "scalar", json_text=f"{last}.value") for field in fields]
    columns = [f"level{level}.key" for level in range(depth)]
    columns += [f"CASE {last}.type WHEN 'object' THEN {scalar.text} END" for scalar in inner]
    text = f"SELECT DISTINCT {', '.join(columns)} FROM ({objects.text}) AS source, {', '.join(sources)}"
    return Sql(text, _parameters(inner) + objects.parameters)


def page_of(page: Page) -> Sql:
    """LIMIT and OFFSET."""
    return Sql("LIMIT ? OFFSET ?", (-1 if page.limit is None else page.limit, page.offset))


def parameter(value: Scalar) -> Any:
    """A scalar as a parameter. Integers beyond 64 bits become floats, which is how SQLite reads them in JSON."""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def from_scalar(value: Any) -> Any:
    """The JSON value of a scalar that SQLite returned."""
    return value == TRUE if isinstance(value, bytes) else value


def plain(path: Path) -> bool:
    """Whether SQLite's JSON path can say the path."""
    return all(_PLAIN_KEY.fullmatch(key) for key in path)


def json_path(path: Path) -> str:
    """A plain path in SQLite's language."""
    return "$" + "".join(f'."{key}"' for key in path)


def column_definition(path: Path, *, is_list: bool) -> str:
    """The expression of a generated column. The path is the registry's, never a caller's."""
    quoted = "'" + json_path(path).replace("'", "''") + "'"
    return (_LIST if is_list else _SCALAR).format(json="body", path=quoted)


def _at(path: Path, expression: str, function: str, *, json_text: str = "body") -> Sql:
    """The expression for a plain path, else the registered function."""
    if not plain(path):
        return Sql(f"{function}({json_text}, ?)", (_json(path),))
    return Sql(expression.format(json=json_text, path="?"), (json_path(path),) * expression.count("{path}"))


def _is_member(value: Scalar) -> Sql:
    """Whether a member of a list is the value."""
    return Sql("member.type = 'null'") if value is None else Sql(f"{_MEMBER} = ?", (parameter(value),))


def _has_member(key: str, value: Scalar) -> Sql:
    """Whether a member of a list is an object with the value at the key."""
    if value is None:
        found = _wrapped("NOT {}", _at((key,), _THERE, "there", json_text="member.value"))
    else:
        scalar = _at((key,), _SCALAR, "scalar", json_text="member.value")
        found = _wrapped("{} = ?", scalar, parameter(value), after=True)
    # CASE, as AND may look at its second part first, and what is no object need not be JSON.
    return _wrapped("CASE member.type WHEN 'object' THEN {} END", found)


def _json(texts: Sequence[str]) -> str:
    return msgspec.json.encode(texts).decode()


def _member_of(scalar: Sql, wanted: list[Any]) -> Sql:
    if len(wanted) == 1:
        return _wrapped("{} = ?", scalar, wanted[0], after=True)
    strings = [value for value in wanted if isinstance(value, str)]
    if len(strings) <= _INLINE_VALUES:
        return _wrapped(f"{{}} IN ({', '.join('?' * len(wanted))})", scalar, *wanted, after=True)
    others = [value for value in wanted if not isinstance(value, str)]
    listed = _wrapped("{} IN (SELECT value FROM json_each(?))", scalar, _json(strings), after=True)
    return _joined("OR", [listed, *([_member_of(scalar, others)] if others else [])], empty="FALSE")


def _limits(ends: list[Any]) -> Iterable[str]:
    """What keeps a range within the type of its ends."""
    if not ends:
        yield "IS NOT NULL"
    for end in ends:
        if isinstance(end, str):
            yield f">= {_FIRST_TEXT}"
            yield f"< {_FIRST_BLOB}"
        elif isinstance(end, bytes):
            yield f">= {_FIRST_BLOB}"
        else:
            yield f"< {_FIRST_TEXT}"


def _joined(operator: str, parts: Sequence[Sql], *, empty: str) -> Sql:
    """The parts in a balanced tree: SQLite limits the depth of an expression to 1,000."""
    if len(parts) < 2:
        return parts[0] if parts else Sql(empty)
    middle = len(parts) // 2
    left, right = (_joined(operator, half, empty=empty) for half in (parts[:middle], parts[middle:]))
    return Sql(f"({left.text} {operator} {right.text})", left.parameters + right.parameters)


def _wrapped(text: str, inner: Sql, *values: Any, after: bool = False) -> Sql:
    """`inner` at the braces of text; values before its parameters, or after."""
    parameters = inner.parameters + values if after else values + inner.parameters
    return Sql(text.replace("{}", inner.text), parameters)


def _parameters(parts: Iterable[Sql]) -> tuple[Any, ...]:
    return tuple(value for part in parts for value in part.parameters)
