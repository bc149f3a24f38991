"""Listings: from the arguments of a `get_all` to a question for the Documents port, and from documents to what was asked for.

The rules are the contract's: list filters with `-` and `__$` operators, regular expressions, date and number ranges,
`filters`, `_any_` / `_all_` / `_or_`, dotted paths, total order, paging and scrolling, projection.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from trainshed.domain import fieldpath
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.domain.status import Status
from trainshed.ports.cache import Cache
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import (
    EVERYTHING,
    And,
    Eq,
    Exists,
    Filter,
    Has,
    In,
    Not,
    Or,
    Page,
    Path,
    Range,
    Regex,
    Scalar,
    Sort,
)
from trainshed.services import checks
from trainshed.services.limits import LIMITS, Limits

Arguments = Mapping[str, Any]


MAX_CONDITIONS = 1000  # of a listing, with each value that is compared for itself: what an engine can be asked at once

_STATUSES = frozenset(Status)
_ARRAYS = frozenset({("tags",), ("system_tags",)})
_ALL_WORDS = frozenset({"__$all", "__$and"})
_ANY_WORDS = frozenset({"__$any", "__$or"})
_NOT_WORD = "__$not"
# Fields of named entries, section.name or metric.variant, that are sorted by their value.
_WITH_VALUE = frozenset({"hyperparams", "last_metrics"})
_LENGTH_OF_ENTRY = 3
_BOUND = re.compile(r"(>=|<=|>|<)(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Entity:
    """How one collection may be listed.

    patterns: fields filtered by regular expression. lists: fields filtered by a value or list of values. statuses: such
    fields whose values are statuses. dates: fields filtered by date ranges. flags: fields filtered by true or false.
    search: fields that `search_text` looks in.
    hides: whether objects with the system tag `hidden` appear only when asked for.
    """

    collection: str
    patterns: tuple[str, ...] = ("name", "comment")
    lists: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    search: tuple[str, ...] = ("id", "name", "comment")
    hides: bool = False


TASKS = Entity(
    collection="tasks",
    lists=("id", "user", "project", "type", "parent", "tags", "system_tags"),
    statuses=("status",),
    dates=("status_changed", "last_update", "last_change", "created", "started", "completed"),
    hides=True,
)
MODELS = Entity(
    collection="models",
    lists=("id", "user", "project", "task", "framework", "uri", "parent", "tags", "system_tags"),
    dates=("last_update", "last_change", "created"),
    flags=("ready",),
)
PROJECTS = Entity(
    collection="projects",
    patterns=("name", "basename", "description"),
    lists=("id", "parent", "tags", "system_tags"),
    dates=("last_update", "created"),
    search=("id", "name", "description"),
    hides=True,
)
USERS = Entity(collection="users", patterns=("name",), lists=("id",), search=("id", "name"))


@dataclass(frozen=True, slots=True)
class Listed:
    """Documents as asked for. scroll_id: to be given with the next call, when one was asked for."""

    documents: list[Document]
    scroll_id: str | None = None


def visible(identity: Identity) -> Filter:
    """What the caller may see: the company's documents and the public ones."""
    return In(("company",), (identity.company, ""))


def fetch(
    documents: Documents,
    cache: Cache,
    entity: Entity,
    identity: Identity,
    arguments: Arguments,
    *,
    extra: Filter = EVERYTHING,
    limits: Limits = LIMITS,
) -> Listed:
    """Answer a listing. extra: a further condition that the service knows of."""
    where = _where(entity, identity, arguments, extra)
    sort = order(arguments.get("order_by"))
    _check_size(where, len(sort))
    if "scroll_id" in arguments:
        return _scroll(documents, cache, entity, arguments, where, sort, limits)
    found = documents.find(entity.collection, where, sort=sort, page=_page(arguments, limits.page_rows))
    return Listed(_projected(found, arguments))


def count(
    documents: Documents, entity: Entity, identity: Identity, arguments: Arguments, *, extra: Filter = EVERYTHING
) -> int:
    """How many documents a listing without pages would hold."""
    where = _where(entity, identity, arguments, extra)
    _check_size(where, 0)
    return documents.count(entity.collection, where)


def _where(entity: Entity, identity: Identity, arguments: Arguments, extra: Filter) -> Filter:
    mine = arguments.get("allow_public") is False
    seen = Eq(("company",), identity.company) if mine else visible(identity)
    return And((seen, condition(entity, arguments), extra))


def _check_size(where: Filter, sorts: int) -> None:
    if _conditions(where) + sorts > MAX_CONDITIONS:
        raise ApiError(Fault.VALIDATION_ERROR, f"at most {MAX_CONDITIONS} conditions")


def _conditions(where: Filter) -> int:
    match where:
        case And(parts) | Or(parts):
            return sum(map(_conditions, parts))
        case Not(part):
            return _conditions(part)
        case In(_, values):  # an engine takes strings all at once
            return 1 + sum(not isinstance(value, str) for value in values)
        case _:
            return 1


def _projected(found: list[Document], arguments: Arguments) -> list[Document]:
    return project(found, arguments.get("only_fields") or arguments.get("projection"))


def _scroll(
    documents: Documents,
    cache: Cache,
    entity: Entity,
    arguments: Arguments,
    where: Filter,
    sort: tuple[Sort, ...],
    limits: Limits,
) -> Listed:
    size = arguments.get("size") or limits.page_rows
    scroll_id = arguments["scroll_id"]
    start = 0
    if scroll_id:
        position = cache.get(f"scroll:{scroll_id}")
        if position is None:
            raise ApiError(Fault.INVALID_SCROLL_ID)
        start = int(position)
    else:
        scroll_id = new_id()
    page = Page(0, max(start, size)) if arguments.get("refresh_scroll") else Page(start, size)
    found = documents.find(entity.collection, where, sort=sort, page=page)
    cache.set(f"scroll:{scroll_id}", str(max(start, page.offset + len(found))).encode(), limits.scroll)
    return Listed(_projected(found, arguments), scroll_id)


def _page(arguments: Arguments, rows: int) -> Page:
    number, size = arguments.get("page"), arguments.get("page_size")
    if number is None and size is None:
        return Page(0, rows)
    size = size or rows
    return Page((number or 0) * size, size)


def condition(entity: Entity, arguments: Arguments) -> Filter:
    """All conditions of the arguments together."""
    parts = [*_own_fields(entity, arguments), *_any_fields(arguments)]
    if arguments.get("search_text"):
        parts.append(Or(tuple(Regex((name,), arguments["search_text"]) for name in entity.search)))
    if entity.hides and not arguments.get("id") and not arguments.get("search_hidden"):
        parts.append(Not(Has(("system_tags",), "hidden")))
    return And(tuple(parts))


def _own_fields(entity: Entity, arguments: Arguments) -> Iterator[Filter]:
    matchers: tuple[tuple[tuple[str, ...], Callable[[Path, Any], Filter]], ...] = (
        (entity.patterns, Regex),
        (entity.lists, match_list),
        (entity.statuses, _match_statuses),
        (entity.dates, match_dates),
        (entity.flags, Eq),
    )
    for names, match in matchers:
        for name in names:
            if arguments.get(name) is not None:
                yield match((name,), arguments[name])


def _any_fields(arguments: Arguments) -> Iterator[Filter]:
    for name, value in arguments.items():
        if "." in name and value is not None:
            yield _match_dotted(fieldpath.parse(name), value)
    for name, combine in (("_any_", Or), ("_or_", Or), ("_all_", And)):
        if arguments.get(name):
            yield _match_fields(arguments[name], combine)
    for name, value in (arguments.get("filters") or {}).items():
        yield match_groups(fieldpath.parse(name), value)


def _equals(path: Path, value: Scalar) -> Filter:
    if path in _ARRAYS:
        return Not(Exists(path)) if value is None else Has(path, value)
    return Eq(path, value)


def match_list(path: Path, values: Any) -> Filter:
    """A value or a list of values: plain ones any of, `-value` none of, with the `__$` operators combined as they say."""
    listed = values if isinstance(values, list) else [values]
    if any(v in _ALL_WORDS or v in _ANY_WORDS for v in listed):
        return _match_operators(path, listed)
    listed = _nots_as_minus(listed)
    include: list[Scalar] = [v for v in listed if not _excluded(v)]
    parts: list[Filter] = [Not(_equals(path, v[1:])) for v in listed if _excluded(v)]
    if include:
        parts.append(_any_of(path, include))
    return And(tuple(parts))


def _match_statuses(path: Path, values: Any) -> Filter:
    for value in values if isinstance(values, list) else [values]:
        if value is not None and not value.startswith("__$") and value.removeprefix("-") not in _STATUSES:
            raise ApiError(Fault.VALIDATION_ERROR, f"there is no status {value}")
    return match_list(path, values)


def _any_of(path: Path, values: list[Scalar]) -> Filter:
    if path in _ARRAYS:
        return Or(tuple(_equals(path, v) for v in values))
    return In(path, tuple(values))


def _excluded(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("-")


def _nots_as_minus(values: list[Any]) -> list[Any]:
    """`["a", "__$not", "b"]` as `["a", "-b"]`: without an operator that combines, the two mean the same."""
    pairs = zip([None, *values], values, strict=False)
    return [f"-{value}" if before == _NOT_WORD else value for before, value in pairs if value != _NOT_WORD]


def _match_operators(path: Path, values: list[Any]) -> Filter:
    # Each operator opens a group of the values after it; the first one also says how the groups combine.
    first: type[And | Or] | None = None
    combine: type[And | Or] = Or
    groups: list[tuple[type[And | Or], list[Filter]]] = []
    negate = False
    for value in values:
        if value in _ALL_WORDS or value in _ANY_WORDS:
            combine = And if value in _ALL_WORDS else Or
            first = first or combine
            groups.append((combine, []))
        elif value == _NOT_WORD:
            negate = True
        else:
            if not groups:
                groups.append((combine, []))
            part = Not(_equals(path, value[1:])) if _excluded(value) else _equals(path, value)
            groups[-1][1].append(Not(part) if negate else part)
            negate = False
    return (first or And)(tuple(kind(tuple(parts)) for kind, parts in groups if parts))


def match_groups(path: Path, value: Any) -> Filter:
    """A value of `filters`: `any` and `all` groups, each with what to include and exclude."""
    kinds: tuple[tuple[str, type[And | Or]], ...] = (("any", Or), ("all", And))
    groups = ((kind, tuple(_group(path, value[name]))) for name, kind in kinds if value.get(name))
    parts = tuple(kind(group) for kind, group in groups if group)
    return Or(parts) if parts and value.get("op") == "or" else And(parts)


def _group(path: Path, group: Any) -> Iterator[Filter]:
    for wanted in group.get("include") or ():
        yield _equals(path, wanted)
    for unwanted in group.get("exclude") or ():
        yield Not(_equals(path, unwanted))


def match_dates(path: Path, value: Any) -> Filter:
    """`">=D"`, a list of such bounds (all hold), or a plain `[from, to]` with null for an open end."""
    if isinstance(value, str):
        return _date_bound(path, value)
    plain = len(value) == 2 and not any(isinstance(v, str) and _BOUND.match(v) for v in value)
    if plain:
        return Range(path, _date(value[0]), _date(value[1]))
    return And(tuple(_date_bound(path, v) for v in value if v is not None))


def _date_bound(path: Path, text: str) -> Filter:
    match = _BOUND.match(text)
    if match is None:
        return Eq(path, _date(text))
    sign, moment = match[1], _date(match[2].strip())
    if sign[0] == ">":
        return Range(path, low=moment, low_open=sign == ">")
    return Range(path, high=moment, high_open=sign == "<")


def _date(text: str | None) -> str | None:
    return None if text is None else checks.date(text)


def _match_dotted(path: Path, value: Any) -> Filter:
    if not isinstance(value, list):
        return _equals(path, value)
    numbers = len(value) == 2 and all(
        v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in value
    )
    if numbers and value != [None, None]:
        return Range(path, value[0], value[1])
    return match_list(path, value)


def _match_fields(arguments: Any, combine: type[And | Or]) -> Filter:
    paths = [fieldpath.parse(name) for name in arguments["fields"]]
    if arguments.get("pattern") is not None:
        return combine(tuple(Regex(path, arguments["pattern"]) for path in paths))
    if arguments.get("datetime") is not None:
        return combine(tuple(match_dates(path, arguments["datetime"]) for path in paths))
    raise ApiError(Fault.VALIDATION_ERROR, "either pattern or datetime is needed with fields")


def order(order_by: Any) -> tuple[Sort, ...]:
    """`["-last_update", "name"]` as sorts.

    Hyperparameters and legacy parameters compare digit runs as numbers; `.value` of hyperparameters and last metrics may
    be left out.
    """
    names = [order_by] if isinstance(order_by, str) else order_by or []
    return tuple(_sort(name) for name in names if name)


def _sort(name: str) -> Sort:
    descending = name.startswith("-")
    path = fieldpath.parse(name[descending:])
    natural = path[0] == "hyperparams" or path[:2] == ("execution", "parameters")
    if path[0] in _WITH_VALUE and len(path) == _LENGTH_OF_ENTRY:
        path = (*path, "value")
    return Sort(path, descending, natural=natural)


def project(documents: list[Document], names: str | list[str] | None) -> list[Document]:
    """Keep of each document what `names` says, everything when that is nothing; the id always."""
    if not names:
        return documents
    keep = projection([names] if isinstance(names, str) else names)
    return [keep(document) for document in documents]


def projection(names: list[str]) -> Callable[[Document], Document]:
    """A function that keeps the named paths of a document. `-field` leaves one out, `*` and `sub.*` mean everything there."""
    include = [_strip_star(fieldpath.parse(name)) for name in names if not name.startswith("-")]
    exclude = [fieldpath.parse(name[1:]) for name in names if name.startswith("-")]

    def keep(document: Document) -> Document:
        kept: Document = {}
        if not include or () in include:
            kept = msgspec.to_builtins(document)
        else:
            for path in (("id",), *include):
                _copy_path(document, kept, path)
        for path in exclude:
            if path != ("id",):
                _drop_path(kept, path)
        return kept

    return keep


def _strip_star(path: Path) -> Path:
    return path[:-1] if path[-1] == "*" else path


def _copy_path(source: Any, target: Document, path: Path) -> None:
    for key in path[:-1]:
        if not isinstance(source, dict) or key not in source:
            return
        source = source[key]
        if not isinstance(source, dict):
            return
        target = target.setdefault(key, {})
    if isinstance(source, dict) and path[-1] in source:
        target[path[-1]] = source[path[-1]]


def _drop_path(document: Document, path: Path) -> None:
    for key in path[:-1]:
        document = document.get(key, {})
        if not isinstance(document, dict):
            return
    document.pop(path[-1], None)
