"""Random documents and questions: SQLite gives the rows of the engine in memory, in its order."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.ports.documents import COLLECTIONS, Document, Documents
from trainshed.ports.query import And, Eq, Exists, Filter, Has, In, Not, Or, Page, Range, Regex, Sort
from trainshed.ports.query import Path as Keys
from trainshed.testing.soak import times

# Few keys and values, so that questions meet answers; each of them is one that an engine might read in its own way.
KEYS = st.sampled_from(["name", "tags", "a", "a.b", "$", "[0]", "0", "a/b", 'q"', "it's", "b\\", "ключ", "", "\n", "?"])
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple) | st.sampled_from(
    [("name",), ("tags",), ("id",), ("project",), ("a",), ("a", "a"), ("a", "0")]
)
TEXTS = st.sampled_from(
    ["", "a", "A", "a1", "a2", "a11", "a01", "1", "true", "[]", "ü", "\uffff", "😀", "%", "'", '"', "a\n"]
)
NUMBERS = st.sampled_from(
    [0, 1, -1, 1.0, 0.1, -0.0, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 2**63, 2**70, 1e300, 5e-324]
)
SCALARS = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXTS
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
BODIES = st.dictionaries(KEYS | st.just("project"), VALUES, max_size=5)
ENDS = st.none() | NUMBERS | TEXTS
LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Eq, PATHS, SCALARS),
    st.builds(In, PATHS, st.lists(SCALARS, max_size=4).map(tuple)),
    st.builds(Range, PATHS, ENDS, ENDS, st.booleans(), st.booleans()),
    st.builds(Regex, PATHS, st.sampled_from(["", "a", "^a1", "[0-9]+$", "^$", ".", "ü|😀", "(?s)^..$"]), st.booleans()),
    st.builds(Exists, PATHS),
    st.builds(Has, PATHS, SCALARS, st.none() | KEYS),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
SORTS = st.lists(st.builds(Sort, PATHS, st.booleans(), st.booleans()), max_size=3)
PAGES = st.builds(Page, st.integers(0, 4), st.none() | st.integers(0, 4))

Pair = tuple[MemoryDocuments, SqliteDocuments]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    # The one with tables of values for some paths, however few the documents.
    collections = {"tasks": replace(COLLECTIONS["tasks"], searched=(("a",), ("a", "*")))}
    file = tmp_path_factory.mktemp("agree") / "documents.sqlite"
    sqlite = SqliteDocuments(file, collections, durable=False, few=0)
    yield MemoryDocuments(), sqlite
    sqlite.close()


def fill(engines: Pair, bodies: list[dict[str, Any]]) -> None:
    for engine in engines:
        engine.delete("tasks", And())
        for number, body in enumerate(bodies):
            engine.insert("tasks", {**body, "id": f"a{number}"})


def exact(values: list[Any]) -> str:
    """Equal only for equal kinds: True is not 1."""
    return repr(values)


def kinds(values: list[Any]) -> list[tuple[bool, Any]]:
    """As exact, but of 1 and 1.0 either may stand for both."""
    return [(isinstance(value, bool), value) for value in values]


def tallied(engine: Documents, path: Keys, where: Filter) -> dict[Any, int]:
    return {(type(t.values[0]) is bool, *t.values): t.count for t in engine.tally("tasks", [path, ("name",)], where)}


def entries(engine: Documents, path: Keys, where: Filter, depth: int) -> set[Any]:
    rows = engine.entries("tasks", path, where, depth=depth, fields=["a"])
    return {(*row, type(row[-1]) is bool) for row in rows}


@settings(
    max_examples=times(100, soak=5000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(BODIES, max_size=8), st.lists(st.tuples(FILTERS, SORTS, PAGES, PATHS), min_size=1, max_size=6))
def test_engines_agree(
    engines: Pair, bodies: list[dict[str, Any]], questions: list[tuple[Filter, list[Sort], Page, Keys]]
) -> None:
    fill(engines, bodies)
    memory, sqlite = engines
    for where, sort, page, path in questions:
        assert exact(sqlite.find("tasks", where, sort=sort, page=page)) == exact(
            memory.find("tasks", where, sort=sort, page=page)
        )
        assert sqlite.count("tasks", where) == memory.count("tasks", where)
        assert kinds(sqlite.distinct("tasks", path, where)) == kinds(memory.distinct("tasks", path, where))
        assert tallied(sqlite, path, where) == tallied(memory, path, where)
        for depth in (1, 2):
            assert entries(sqlite, path, where, depth) == entries(memory, path, where, depth)


@settings(max_examples=times(60, soak=2000), deadline=None)
@given(st.lists(BODIES, max_size=6), FILTERS, FILTERS, KEYS, VALUES)
def test_engines_change_alike(
    engines: Pair, bodies: list[dict[str, Any]], changed: Filter, deleted: Filter, key: str, value: Any
) -> None:
    def change(document: Document) -> None:
        document[key] = value

    fill(engines, bodies)
    memory, sqlite = engines
    assert sqlite.update_many("tasks", changed, change) == memory.update_many("tasks", changed, change)
    assert exact(sqlite.find("tasks")) == exact(memory.find("tasks"))
    assert sqlite.delete("tasks", deleted) == memory.delete("tasks", deleted)
    assert exact(sqlite.find("tasks")) == exact(memory.find("tasks"))
