"""Documents in SQLite keep the port's promises, and those of a file."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.documents import values
from trainshed.adapters.sqlite.documents.functions import register
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.adapters.sqlite.documents.tables import Table
from trainshed.domain.errors import StoreError, StoreFull
from trainshed.ports.documents import COLLECTIONS, Collection, Document
from trainshed.ports.query import And, Eq, Filter, Has, In, Page, Range, Sort
from trainshed.testing.documents_conformance import DocumentsConformance, increment
from trainshed.testing.soak import KILLS

PROJECT_LISTING = And((Eq(("project",), "p"), In(("status",), ("created", "failed")), Has(("tags",), "t")))
NEWEST_FIRST = [Sort(("last_update",), descending=True)]

INSERT_FOR_EVER = """
import itertools, pathlib, sys
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
documents = SqliteDocuments(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    documents.insert("tasks", {"id": f"{sys.argv[2]}-{number}", "filler": "x" * 4000})
    print(number, flush=True)
"""

INCREMENT = """
import pathlib, sys
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.testing.documents_conformance import increment
documents = SqliteDocuments(pathlib.Path(sys.argv[1]), durable=False)
for _ in range(100):
    documents.update("tasks", "1", increment)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "documents.sqlite"


@pytest.fixture
def documents(file: Path) -> Iterator[SqliteDocuments]:
    documents = SqliteDocuments(file, durable=False)
    yield documents
    documents.close()


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteDocuments]:
    """One file for the whole suite: making a file waits for the disk."""
    documents = SqliteDocuments(tmp_path_factory.mktemp("suite") / "documents.sqlite", durable=False)
    yield documents
    documents.close()


class TestSqliteDocuments(DocumentsConformance):
    @pytest.fixture
    def documents(self, emptied: SqliteDocuments) -> SqliteDocuments:
        for collection in COLLECTIONS:
            emptied.delete(collection, And())
        return emptied


def test_reopening_keeps_everything(file: Path) -> None:
    for number in range(3):
        documents = SqliteDocuments(file)
        documents.insert("tasks", {"id": str(number), "name": "n"})
        assert documents.count("tasks", Eq(("name",), "n")) == number + 1
        documents.close()


def test_the_files_are_private(documents: SqliteDocuments, file: Path) -> None:
    documents.insert("tasks", {"id": "1"})
    assert {each.stat().st_mode & 0o777 for each in file.parent.iterdir()} == {0o600}


def test_two_processes_lose_nothing(documents: SqliteDocuments, file: Path) -> None:
    documents.insert("tasks", {"id": "1", "x": 0})
    other = subprocess.Popen([sys.executable, "-c", INCREMENT, str(file)])
    for _ in range(100):
        documents.update("tasks", "1", increment)
    assert other.wait() == 0
    assert documents.get("tasks", "1") == {"id": "1", "x": 200}


def test_a_killed_writer_keeps_what_it_acknowledged(file: Path) -> None:
    for turn, enough in enumerate(islice(cycle([1, 8, 40]), KILLS)):
        writer = subprocess.Popen(
            [sys.executable, "-c", INSERT_FOR_EVER, str(file), str(turn)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout
            acknowledged = [writer.stdout.readline() for _ in range(enough)]
            writer.kill()
            acknowledged += writer.stdout.readlines()
        documents = SqliteDocuments(file)
        assert all(documents.get("tasks", f"{turn}-{int(number)}") for number in acknowledged)
        documents.close()


def test_a_full_disk_stops_writes_alone(documents: SqliteDocuments) -> None:
    documents.insert("tasks", {"id": "1", "x": 0})
    with documents._database.write() as connection:  # the limit belongs to the connection that writes
        connection.execute("PRAGMA max_page_count = 1")  # SQLite reads: as many as there are

    def grow(document: Document) -> None:
        document["filler"] = "x" * 100_000

    with pytest.raises(StoreFull):
        documents.insert("tasks", {"id": "2", "filler": "x" * 100_000})
    with pytest.raises(StoreFull):
        documents.update("tasks", "1", grow)
    with pytest.raises(StoreFull):
        documents.update_many("tasks", And(), grow)
    assert documents.find("tasks", Eq(("x",), 0)) == [{"id": "1", "x": 0}]
    assert documents.delete("tasks", And()) == 1


def without_parent(document: Document) -> None:
    del document["parent"]


def test_the_reserve_is_for_what_makes_room(file: Path) -> None:
    collections = {"tasks": Collection(), "deletions": Collection(frees=True)}
    with closing(SqliteDocuments(file, collections)) as documents:
        documents.insert("tasks", {"id": "1", "parent": "2"})
    with closing(SqliteDocuments(file, collections, reserve=2**62)) as full:  # opens all the same
        writes: list[Callable[[], object]] = [
            lambda: full.insert("tasks", {"id": "3"}),
            lambda: full.update("tasks", "1", lambda document: document.update(name="a")),
            lambda: full.update_many("tasks", And(), lambda document: document.update(name="a")),
        ]
        for write in writes:
            with pytest.raises(StoreFull):
                write()
        assert full.update_many("tasks", And(), without_parent) == 1
        full.insert("deletions", {"id": "1"})
        full.update("deletions", "1", lambda document: document.update(files=["a"]))
        assert full.find("tasks") == [{"id": "1"}]
        assert full.delete("tasks", And()) == 1


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (PROJECT_LISTING, "tasks_v_project_v_last_update"),
        (Eq(("project",), "p"), "tasks_v_project_v_last_update"),
        (And(), "tasks_v_last_update"),
        (In(("parent",), ("a", "b")), "tasks_v_parent"),
        (In(("id",), ("a", "b")), "sqlite_autoindex_tasks"),
    ],
)
def test_listings_use_an_index(documents: SqliteDocuments, file: Path, where: Filter, index: str) -> None:
    plan = query_plan(file, where)
    assert f"INDEX {index}" in plan
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan or "project" not in index


def query_plan(file: Path, where: Filter) -> str:
    statement = Table("tasks", COLLECTIONS["tasks"]).compiler.select("rowid", where, sort=NEWEST_FIRST)
    connection = sqlite3.connect(file)
    register(connection)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).fetchall()
    connection.close()
    return "\n".join(row[3] for row in rows)


def test_a_collection_may_gain_columns_and_return(file: Path) -> None:
    """As an upgrade, a rollback and an upgrade do."""
    name = ("name",)
    old = {"things": Collection()}
    new = {"things": Collection(columns=(name,), lists=(("tags",),), indexes=((name, ("tags",)),), unique=((name,),))}
    for number, collections in enumerate([old, new, old, new]):
        documents = SqliteDocuments(file, collections)
        documents.insert("things", {"id": str(number), "name": f"n{number}", "tags": ["t"]})
        assert documents.count("things", And((Eq(name, "n0"), Has(("tags",), "t")))) == 1
        assert documents.distinct("things", name) == [f"n{n}" for n in range(number + 1)]
        documents.close()


def test_a_damaged_document_is_a_storeerror(documents: SqliteDocuments, file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("INSERT INTO settings (id, body) VALUES ('1', '{\"id\": ')")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="cannot be read"):
        documents.get("settings", "1")
    with pytest.raises(StoreError):
        documents.count("settings", Eq(("x",), 1))


LEARNING_RATE = ("hyperparams", "Args", "lr", "value")


def with_rate(number: int, rate: object) -> Document:
    return {"id": f"{number:03}", "project": "p", "hyperparams": {"Args": {"lr": {"value": rate}}}}


def value_tables(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'tasks_value_%'")
    names = sorted(name for (name,) in found)
    connection.close()
    return names


def test_values_of_a_path_are_kept_at_hand_from_the_first_question_on(file: Path) -> None:
    documents = SqliteDocuments(file, durable=False, few=0)
    for number in range(20):
        documents.insert("tasks", with_rate(number, number % 5))
    assert value_tables(file) == []
    assert documents.count("tasks", Eq(LEARNING_RATE, 3)) == 4
    assert value_tables(file) == ["tasks_value_1"]
    # From now on a write of any kind is seen, by another opening too.
    documents.insert("tasks", with_rate(20, 3))
    documents.update("tasks", "003", lambda task: task.update(with_rate(3, None)))
    documents.update_many("tasks", In(("id",), ("000", "001")), lambda task: task.update(hyperparams={}))
    documents.delete("tasks", Eq(("id",), "008"))
    documents.close()
    documents = SqliteDocuments(file, durable=False, few=0)
    assert [task["id"] for task in documents.find("tasks", Eq(LEARNING_RATE, 3))] == ["013", "018", "020"]
    assert {task["id"] for task in documents.find("tasks", Eq(LEARNING_RATE, None))} == {"000", "001", "003"}
    first = documents.find("tasks", sort=[Sort(LEARNING_RATE)], page=Page(limit=4))
    assert [task["id"] for task in first] == ["005", "010", "015", "006"]
    last = documents.find("tasks", sort=[Sort(LEARNING_RATE)], page=Page(offset=16, limit=5))
    assert [task["id"] for task in last] == ["019", "000", "001", "003"]
    assert documents.distinct("tasks", LEARNING_RATE) == [0, 1, 2, 3, 4]
    documents.close()


def test_few_documents_need_no_values_at_hand(documents: SqliteDocuments, file: Path) -> None:
    documents.insert("tasks", with_rate(0, 1))
    assert documents.count("tasks", Eq(LEARNING_RATE, 1)) == 1
    assert value_tables(file) == []


def test_values_are_brought_to_hand_beside_writers(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps, of which each may be the last before a crash."""
    monkeypatch.setattr(values, "_STEP", 2)
    documents = SqliteDocuments(file, durable=False, few=0)
    for number in range(5):
        documents.insert("tasks", with_rate(number, number))
    table = documents._tables["tasks"].values
    with documents._database.write() as connection:
        assert not table.fill(connection, LEARNING_RATE)
        assert table.ready(connection) == {}
    documents.update("tasks", "000", lambda task: task.update(with_rate(0, 9)))  # a row that was looked through
    documents.update("tasks", "004", lambda task: task.update(with_rate(4, 9)))  # and one that was not
    documents.insert("tasks", with_rate(5, 9))
    assert [task["id"] for task in documents.find("tasks", Eq(LEARNING_RATE, 9))] == ["000", "004", "005"]
    assert documents.count("tasks", Range(LEARNING_RATE, low=1, high=4)) == 3
    documents.close()


def test_the_oldest_values_go_when_there_are_too_many(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "KEPT", 2)
    documents = SqliteDocuments(file, durable=False, few=0)
    documents.insert("tasks", {"id": "1", "last_metrics": {"m": {str(n): {"value": n} for n in range(4)}}})
    for n in range(4):
        assert documents.count("tasks", Eq(("last_metrics", "m", str(n), "value"), n)) == 1
    assert value_tables(file) == ["tasks_value_3", "tasks_value_4"]
    assert documents.delete("tasks", And()) == 1
    documents.close()


def test_a_full_disk_leaves_questions_an_answer(documents: SqliteDocuments, file: Path) -> None:
    documents._few = 0
    documents.insert("tasks", with_rate(0, 1))
    with documents._database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1")
    assert documents.count("tasks", Eq(LEARNING_RATE, 1)) == 1
    assert value_tables(file) == []
