"""How fast the documents in SQLite are: python bench/documents.py [--tasks 100000] [--folder DIR] [--json]

Each write is a call of its own and on the disk when it returns; times of reading are the best of several.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from samples import LARGE, START, key, project_id, tasks

from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.domain.dates import to_text
from trainshed.domain.identity import DEFAULT_COMPANY
from trainshed.ports.documents import Document
from trainshed.ports.query import And, Eq, Filter, Has, In, Not, Page, Regex, Sort

PAGE, UPDATES, ROUNDS = Page(limit=50), 2000, 25
LATER = START + timedelta(days=200)
SEEN = And((In(("company",), (DEFAULT_COMPANY, "")), Not(Has(("system_tags",), "hidden"))))  # as every listing asks
IN_PROJECT = And((SEEN, Eq(("project",), project_id(1))))
LISTING = And((IN_PROJECT, In(("status",), ("completed", "published")), Has(("tags",), "baseline")))
NEWEST = (Sort(("last_update",), descending=True),)
BEST = (Sort(("last_metrics", key("loss"), key("train"), "min_value")),)
ARGUMENT = ("hyperparams", "Args", "a1", "value")

QUESTIONS: dict[str, tuple[Filter, tuple[Sort, ...]]] = {
    "project, status and tag, newest": (LISTING, NEWEST),
    "project, newest": (IN_PROJECT, NEWEST),
    "everything, newest": (SEEN, NEWEST),
    "project, by a metric": (IN_PROJECT, BEST),
    "everything, by a metric": (SEEN, BEST),
    "project, by name in natural order": (IN_PROJECT, (Sort(("name",), natural=True),)),
    "everything, name by a pattern with text": (And((SEEN, Regex(("name",), "run 99.*9$"))), NEWEST),
    "everything, name by a pattern without": (And((SEEN, Regex(("name",), "(run|walk) 99"))), NEWEST),
    "project, by a hyperparameter": (And((IN_PROJECT, Eq(ARGUMENT, "1"))), NEWEST),
    "everything, by a hyperparameter": (And((SEEN, Eq(ARGUMENT, "1"))), NEWEST),
    "everything, hyperparameter by a pattern": (And((SEEN, Regex(ARGUMENT, "^[12]$"))), NEWEST),
    "everything, hyperparameter by a list": (And((SEEN, In(ARGUMENT, ("1", "2")))), NEWEST),
}


def touch(document: Document) -> None:
    document["last_update"] = to_text(LATER)
    document["last_iteration"] = document.get("last_iteration", 0) + 1


def milliseconds(call: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def rates(name: str, calls: Sequence[Callable[[], object]], documents: int) -> dict[str, float]:
    """Documents per second, and per second of the processor: the rest is waiting for the disk."""
    start, start_cpu = time.perf_counter(), time.process_time()
    for call in calls:
        call()
    elapsed, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {f"{name}/s": documents / elapsed, f"{name}/cpu-s": documents / cpu}


def writing(store: SqliteDocuments, count: int) -> dict[str, float]:
    given = list(tasks(count))
    some = random.Random(2).sample([task["id"] for task in given], min(UPDATES, count))
    return {
        "bytes a document": sum(len(json.dumps(task)) for task in given[:100]) / 100,
        **rates("inserts", [partial(store.insert, "tasks", task) for task in given], count),
        **rates("updates", [partial(store.update, "tasks", task, touch) for task in some], len(some)),
        **rates("gets", [partial(store.get, "tasks", task) for task in some], len(some)),
    }


def reading(store: SqliteDocuments) -> dict[str, float]:
    figures = {}
    for name, (where, sort) in QUESTIONS.items():
        figures[f"first time, ms: {name}"] = milliseconds(
            partial(store.find, "tasks", where, sort=sort, page=PAGE), rounds=1
        )
        figures[f"list, ms: {name}"] = milliseconds(partial(store.find, "tasks", where, sort=sort, page=PAGE))
        figures[f"count, ms: {name}"] = milliseconds(partial(store.count, "tasks", where))
    for name, where in (("a project", IN_PROJECT), ("everything", SEEN)):
        figures[f"distinct, ms: tags of {name}"] = milliseconds(partial(store.distinct, "tasks", ("tags",), where))
    return figures


def measure(file: Path, count: int) -> dict[str, float]:
    store = SqliteDocuments(file)
    figures = writing(store, count) | reading(store)
    figures |= rates(
        "update_many of a project", [partial(store.update_many, "tasks", IN_PROJECT, touch)], count * 9 // 10 // LARGE
    )
    store.close()
    figures["file bytes a document"] = file.stat().st_size / count
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where the file is made (default: the system's temporary folder)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        figures = measure(Path(folder) / "documents.sqlite", arguments.tasks)
    if arguments.json:
        print(json.dumps({"tasks": arguments.tasks, **figures}))
    else:
        print(f"{arguments.tasks} tasks")
        for name, figure in figures.items():
            print(f"{name:50} {figure:12,.2f}")


if __name__ == "__main__":
    main()
