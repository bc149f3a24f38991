"""Filters and sorts as SQL.

Everything is compared through a value's *scalar*: numbers and strings as they are, booleans as blobs, and NULL for null,
missing, lists and objects. SQLite then orders as the port asks (numbers, strings, booleans), and tells true from 1.
"""

# ruff: noqa: S608 - statements are put together here, but never from a caller's text: paths and values are parameters

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, assert_never

import msgspec

from trainshed.ports.patterns import compile_pattern, required_text
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
# From each value to the next, as DISTINCT would go through all that are the same.
_DIFFERENT = (
    '(WITH RECURSIVE each(value) AS (SELECT min(value) FROM "{table}" UNION ALL'
    ' SELECT (SELECT min(value) FROM "{table}" WHERE value > each.value) FROM each WHERE value IS NOT NULL)'
    " SELECT value FROM each WHERE value IS NOT NULL)"
)
_MEMBER = "CASE member.type WHEN 'true' THEN x'01' WHEN 'false' THEN x'00' ELSE member.atom END"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement with the parameters in it."""

    text: str
    parameters: tuple[Any, ...] = ()


class Compiler:
    """Compiles for one collection.

    table: its name. scalars, lists: paths that have a column with their scalar or list, and its name. values: paths whose
    values stand in a table of their own (values), and its name. broad: so many rows match that a page of them is
    best met in the order asked for.
    """

    def __init__(
        self,
        table: str,
        scalars: Mapping[Path, str],
        lists: Mapping[Path, str],
        values: Mapping[Path, str] | None = None,
        *,
        broad: bool = False,
    ) -> None:
        self._table = table
        self._scalars = scalars
        self._lists = lists
        self._values = values or {}
        self._row = f'"{table}".rowid'
        # The sign keeps SQLite from going through the rows that an IN gives.
        self._member = f"+{self._row}" if broad else self._row

    def knowing(self, values: Mapping[Path, str]) -> "Compiler":
        """This one, with these tables of values."""
        return Compiler(self._table, self._scalars, self._lists, values)

    def broadly(self) -> "Compiler":
        """This one, for a question that many rows answer."""
        return Compiler(self._table, self._scalars, self._lists, self._values, broad=True)

    # statements

    def select(
        self,
        what: str | Sql,
        where: Filter,
        *,
        name: str = "value",
        sort: Sequence[Sort] | None = None,
        tail: Sql | None = None,
    ) -> Sql:
        """SELECT `what` AS `name` of the rows that match; in order when a sort is given. tail: what comes after that."""
        what = Sql(what) if isinstance(what, str) else what
        parts = [what, Sql(f'AS {name} FROM "{self._table}" WHERE'), self.where(where)]
        if sort is not None:
            parts += [Sql("ORDER BY"), self.order(sort)]
        if tail is not None:
            parts.append(tail)
        return _statement("SELECT", parts)

    def delete(self, where: Filter) -> Sql:
        """DELETE of the rows that match."""
        return _statement(f'DELETE FROM "{self._table}" WHERE', [self.where(where)])

    def count(self, where: Filter, *, limit: int = -1) -> Sql:
        """How many rows match, counted up to the limit."""
        inner = self.select("1", where, tail=Sql("LIMIT ?", (limit,)))
        return _wrapped("SELECT count(*) FROM ({})", inner)

    def parts(self, where: Filter, *, limit: int) -> Iterator[Sql]:
        """For each part of the filter that is answered from values: how many rows it gives, counted up to the limit."""
        match where:
            case And(parts):
                for part in parts:
                    yield from self.parts(part, limit=limit)
            case Eq(path) | In(path) | Range(path) | Regex(path) if path in self._values:
                rows = self.where(where)
                start = f"{self._member} IN "
                if rows.text.startswith(start):  # and not one that also holds for what is missing
                    text = f"SELECT count(*) FROM (SELECT 1 FROM {rows.text.removeprefix(start)} LIMIT ?)"
                    yield Sql(text, (*rows.parameters, limit))

    def walk(self, where: Filter, sort: Sequence[Sort], page: Page) -> Sql | None:
        """The rows of a page, read off the values of its first sort; None when they are not at hand.

        What has no value is not among them: with fewer rows than the page's limit, they are not the answer.
        """
        if not sort or sort[0].natural or sort[0].path not in self._values or page.limit is None:
            return None
        source = f'FROM "{self._values[sort[0].path]}" AS first CROSS JOIN "{self._table}" ON {self._row} = first.row'
        others = self.order(sort[1:])
        direction = "DESC" if sort[0].descending else "ASC"
        return _statement(
            f"SELECT {self._row} {source} WHERE first.value IS NOT NULL AND",
            [self.where(where), Sql(f"ORDER BY first.value {direction},"), others, page_of(page)],
        )

    def distinct(self, path: Path, where: Filter) -> Sql:
        """The different scalars at path, and those in the lists there."""
        # Where one of the two can be told without the body, few bodies are left to look in for the other.
        unlisted = Sql(f"{self._lists[path]} IS NULL") if path in self._lists else None
        unvalued = Sql(f"{self._scalars[path]} IS NULL") if path in self._scalars else None
        if path in self._values:
            unvalued = Sql(f'{self._row} IN (SELECT row FROM "{self._values[path]}" WHERE value IS NULL)')
        scalars = self._different(self.scalar(path), where, unlisted)
        lists = self._different(self.list(path), where, unvalued)
        text = f"{scalars.text} UNION SELECT {_MEMBER} FROM ({lists.text}) AS source, json_each(source.value) AS member"
        return Sql(f"{text} ORDER BY 1", scalars.parameters + lists.parameters)

    def _different(self, what: Sql, where: Filter, left: Sql | None) -> Sql:
        """The different values of `what` where the filter holds, and `left` too."""
        what = _wrapped("DISTINCT {}", what)
        if left is None:
            return self.select(what, where)
        rows = self.select("rowid", where, tail=_wrapped("AND {}", left))
        return _wrapped(
            f'SELECT {what.text} AS value FROM "{self._table}" WHERE rowid IN ({{}})', rows, *what.parameters
        )

    # expressions

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
            case Regex():
                return self._regex(where)
            case Exists(path):
                return self._there(path)
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
        if path in self._values:
            return Sql(f'(SELECT value FROM "{self._values[path]}" WHERE row = {self._row})')
        return scalar_at(path)

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
        parts = [self._compared(path, lambda scalar: _member_of(scalar, wanted))] if wanted else []
        if len(wanted) < len(values):
            parts.append(_wrapped("NOT {}", self._there(path)))
        return _joined("OR", parts, empty="FALSE")

    def _compared(self, path: Path, holds: Callable[[Sql], Sql]) -> Sql:
        """What `holds` says of the scalar at path; it must not hold for NULL."""
        if path not in self._values:
            return holds(self.scalar(path))
        return _wrapped(f'{self._member} IN (SELECT row FROM "{self._values[path]}" WHERE {{}})', holds(Sql("value")))

    def _there(self, path: Path) -> Sql:
        """Whether something other than null is at path."""
        if path == ("id",):
            return Sql("TRUE")
        if path in self._values:
            return Sql(f'{self._member} IN (SELECT row FROM "{self._values[path]}")')
        known = [Sql(f"{names[path]} IS NOT NULL") for names in (self._scalars, self._lists) if path in names]
        # The columns first: what they do not know is rare, and has to be looked for in the body.
        return _joined("OR", [*known, there_at(path)], empty="FALSE")

    def _regex(self, where: Regex) -> Sql:
        compile_pattern(where.pattern, ignore_case=where.ignore_case).begin()
        literal = None if where.ignore_case else required_text(where.pattern)

        def found(scalar: Sql) -> Sql:
            matches = _wrapped("matches(?, ?, {})", scalar, where.pattern, where.ignore_case)
            if not literal or scalar.parameters:
                return matches
            # Most texts do not even contain what the pattern asks for, which is seen ten times as fast.
            return _wrapped(f"(instr({scalar.text}, ?) > 0 AND {{}})", matches, literal)

        if where.path not in self._values:
            return found(self.scalar(where.path))
        # Many documents share a value: each is looked at once.
        every = _DIFFERENT.format(table=self._values[where.path])
        matching = _wrapped(f"SELECT value FROM {every} WHERE {{}}", found(Sql("value")))
        return self._compared(where.path, lambda scalar: _wrapped(f"{scalar.text} IN ({{}})", matching))

    def _range(self, where: Range) -> Sql:
        low, high = parameter(where.low), parameter(where.high)
        bounds = [(">" if where.low_open else ">=", low), ("<" if where.high_open else "<=", high)]
        parts = [Sql(f"{{}} {sign} ?", (end,)) for sign, end in bounds if end is not None]
        parts += [Sql(f"{{}} {limit}") for limit in _limits([end for _, end in bounds if end is not None])]
        return self._compared(
            where.path,
            lambda scalar: _joined(
                "AND", [_wrapped(p.text, scalar, *p.parameters, after=True) for p in parts], empty="TRUE"
            ),
        )

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


def scalar_of(value: Any) -> Any:
    """The scalar of a JSON value."""
    if value is None or type(value) is str:  # as most are
        return value
    if isinstance(value, list | tuple | dict) or (isinstance(value, float) and not isfinite(value)):
        return None
    return parameter(value)


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


def scalar_at(path: Path) -> Sql:
    """An expression for the scalar at path, from the body."""
    return _at(path, _SCALAR, "scalar")


def there_at(path: Path) -> Sql:
    """An expression for whether something other than null is at path, from the body."""
    return _at(path, _THERE, "there")


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


def _statement(verb: str, parts: Sequence[Sql]) -> Sql:
    return Sql(" ".join([verb, *(part.text for part in parts)]), _parameters(parts))


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
