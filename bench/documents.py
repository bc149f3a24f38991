"""How fast the documents in SQLite are: python bench/documents.py [--tasks 100000] [--folder DIR] [--json]

Each write is a call of its own and on the disk when it returns; times of reading are the best of several.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.domain.dates import to_text
from trainshed.ports.documents import Document
from trainshed.ports.query import And, Eq, Filter, Has, In, Page, Regex, Sort

PROJECTS, PAGE, UPDATES, ROUNDS = 5, Page(limit=50), 2000, 7
START, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
IN_PROJECT = Eq(("project",), "project-1")
LISTING = And((IN_PROJECT, In(("status",), ("completed", "published")), Has(("tags",), "baseline")))
NEWEST = (Sort(("last_update",), descending=True),)
LAST_LOSS = ("last_metrics", "loss", "train", "value")

QUESTIONS: dict[str, tuple[Filter, tuple[Sort, ...]]] = {
    "project, status and tag, newest": (LISTING, NEWEST),
    "project, newest": (IN_PROJECT, NEWEST),
    "everything, newest": (And(), NEWEST),
    "project, by a metric": (IN_PROJECT, (Sort(LAST_LOSS),)),
    "project, by name in natural order": (IN_PROJECT, (Sort(("name",), natural=True),)),
    "everything, name by pattern": (Regex(("name",), "run 99", ignore_case=True), NEWEST),
    "project, by a hyperparameter": (And((IN_PROJECT, Eq(("hyperparams", "Args", "a.1", "value"), "1"))), NEWEST),
    "project, by a key with a quote": (And((IN_PROJECT, Eq(("hyperparams", "Args", 'a"1', "value"), "1"))), NEWEST),
}


def tasks(count: int) -> Iterator[Document]:
    """Task documents of 3 to 4 KB, as a small training leaves them."""
    chance = random.Random(1)
    for number in range(count):
        moment = to_text(START + timedelta(seconds=chance.randrange(10**7)))
        yield {
            "id": f"{chance.getrandbits(128):032x}",
            "name": f"run {number}",
            "company": "company",
            "user": "user",
            "project": f"project-{number % PROJECTS}",
            "type": "training",
            "status": chance.choice(["created", "in_progress", "completed", "failed", "published"]),
            "tags": chance.sample(["baseline", "large", "small", "ablation", "nightly"], 2),
            "system_tags": ["development"],
            "created": moment,
            "last_update": moment,
            "hyperparams": {"Args": {f"a.{n}": argument(f"a.{n}", chance) for n in range(20)}},
            "last_metrics": {metric: {"train": last_value(metric, chance)} for metric in ("loss", "accuracy", "rate")},
            "script": {"repository": "https://example.com/repository.git", "diff": "+line\n" * 160},
        }


def argument(name: str, chance: random.Random) -> Document:
    return {"section": "Args", "name": name, "value": str(chance.randrange(10)), "type": "int"}


def last_value(metric: str, chance: random.Random) -> Document:
    value = chance.random()
    return {"metric": metric, "variant": "train", "value": value, "min_value": value / 2, "max_value": value * 2}


def touch(document: Document) -> None:
    document["last_update"] = to_text(LATER)
    document["last_iteration"] = document.get("last_iteration", 0) + 1


def milliseconds(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
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
        figures[f"list, ms: {name}"] = milliseconds(partial(store.find, "tasks", where, sort=sort, page=PAGE))
        figures[f"count, ms: {name}"] = milliseconds(partial(store.count, "tasks", where))
    figures["distinct, ms: tags of a project"] = milliseconds(partial(store.distinct, "tasks", ("tags",), IN_PROJECT))
    return figures


def measure(file: Path, count: int) -> dict[str, float]:
    store = SqliteDocuments(file)
    figures = writing(store, count) | reading(store)
    figures |= rates(
        "update_many of a project", [partial(store.update_many, "tasks", IN_PROJECT, touch)], count // PROJECTS
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
