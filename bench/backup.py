"""A backup beside eight writing clients: python bench/backup.py [--scale 1.0] [--json]

Fills a server with 10,000 tasks, 10 million points and 5 GB of files (times the scale), lets clients write to it, backs it up
twice, restores the second backup and compares the copy with what the clients know of its moment. Needs three times the
disk of the files. Fails when a client is turned away, or misses something.
"""

import argparse
import hashlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, redirect_stdout
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

from scale import reports

from trainshed import bootstrap, cli
from trainshed.settings import Settings
from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import caller_of, check, clients

CLIENTS = 8
TASKS, POINTS, FILE_BYTES = 10_000, 10_000_000, 5 * 10**9
SMALL, LARGE = 100_000, 100_000_000  # bytes of a file: half of the bytes are in files of each size
BEFORE, AFTER = 3, 3  # seconds that the clients write by themselves


def fill(data: Path, scale: float) -> None:
    """Straight into the engines and files of a server that does not run."""
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    tasks = [f"{number:032x}" for number in range(max(10, int(TASKS * scale)))]
    for number, task in enumerate(tasks):
        engines.documents.insert("tasks", {**document(task, number), "project": f"p{number % 50}"})
    owners = tasks[:: max(1, len(tasks) // 100)]
    for owner in owners:
        for batch in reports(owner, int(POINTS * scale) // len(owners)):
            engines.events.add(batch)
        while engines.events.compact():
            pass
    chance, half = random.Random(1), int(FILE_BYTES * scale) // 2
    for size in (SMALL, min(LARGE, half)):
        for number in range(half // size):
            path = data / "files" / "bulk" / f"{size}" / f"{number % 100}" / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(pieces(chance, size))
    engines.close()


def document(task: str, number: int) -> dict[str, Any]:
    """As large as the client makes one."""
    parameters = {f"p{n}": {"name": f"p{n}", "section": "Args", "value": str(n * number)} for n in range(20)}
    moment = "2026-01-01T00:00:00.000000+00:00"
    return {
        "id": task,
        "name": f"task {number}",
        "type": "training",
        "status": "completed",
        "company": "",
        "user": "nobody",
        "created": moment,
        "last_update": moment,
        "hyperparams": {"Args": parameters},
    }


def pieces(chance: random.Random, size: int) -> list[bytes]:
    return [chance.randbytes(min(2**20, size - start)) for start in range(0, size, 2**20)]


def command(*arguments: object) -> tuple[dict[str, Any], float]:
    """What a command answers, and its seconds."""
    began, said = time.perf_counter(), StringIO()
    with redirect_stdout(said):
        code = cli.main([*map(str, arguments), "--json"])
    assert code == 0, said.getvalue()
    answer = json.loads(said.getvalue())
    return answer if isinstance(answer, dict) else {"backups": answer}, time.perf_counter() - began


def waits(ledger: Path, begin: float, end: float) -> list[float]:
    """Milliseconds of the calls that were answered between two moments."""
    found, asked = [], 0.0
    for line in ledger.read_text().splitlines():
        entry = json.loads(line)
        if entry["state"] == "asked":
            asked = entry["at"]
        elif begin <= entry["at"] <= end and asked:
            found.append((entry["at"] - asked) * 1000)
    return found


def calls(ledgers: list[Path], begin: float, end: float) -> dict[str, float]:
    times = sorted(wait for ledger in ledgers for wait in waits(ledger, begin, end))
    return {
        "calls a second": len(times) / (end - begin),
        "median, ms": times[len(times) // 2],
        "p99, ms": times[len(times) * 99 // 100],
        "slowest, ms": times[-1],
    }


def bulk(data: Path) -> str:
    """A digest of everything that was there before the clients came."""
    found = hashlib.sha256()
    with closing(sqlite3.connect(data / "documents.db")) as database:
        rows = database.execute("SELECT id, body FROM tasks WHERE id < ? ORDER BY id", (f"{TASKS:032x}",)).fetchall()
    engines = bootstrap.open_engines(Settings(data_dir=data))
    for task, body in rows:
        found.update(f"{task} {body}".encode())
        for series in engines.events.scalars(task):
            found.update(series.variant.encode() + series.iters.tobytes() + series.values.tobytes())
    engines.close()
    for path in sorted((data / "files" / "bulk").rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found.update(str(path.relative_to(data)).encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def measure(folder: Path, scale: float) -> dict[str, float]:
    server = LiveServer(folder / "data")
    server.start()
    server.stop()
    say("filling")
    fill(server.data, scale)
    kept, copy = folder / "backups", LiveServer(folder / "copy")
    server.start()
    figures: dict[str, float] = {}
    with clients(server, folder, turn=0, count=CLIENTS) as ledgers:
        began = time.time()
        time.sleep(BEFORE)
        steps: list[tuple[str, float, float]] = [("without a backup", began, time.time())]
        for name in ("first backup", "second backup"):
            say(name)
            began = time.time()
            made, seconds = command("backup", kept, "--data-dir", server.data)
            figures[f"{name}: s"] = seconds
            figures[f"{name}: GB in all"] = int(made["bytes"]) / 10**9
            figures[f"{name}: MB of disk"] = sum(p.stat().st_blocks * 512 for p in kept.rglob("*")) / 10**6
            steps.append((name, began, time.time()))
        ended = time.time()
        time.sleep(AFTER)
        server.stop()
    for name, begin, end in steps:
        figures |= {f"{name}: {what}": value for what, value in calls(ledgers, begin, end).items()}
    lost = [ledger for ledger in ledgers if not waits(ledger, ended, time.time())]
    assert not lost, f"clients were turned away: {lost}"
    say("verifying and restoring")
    figures["verify: s"] = command("verify", kept)[1]
    figures["restore: s"] = command("restore", kept, "--data-dir", copy.data)[1]
    assert_whole(copy.data)
    moment = datetime.fromisoformat(made["moment"]).timestamp()
    copy.start()
    with closing(caller_of(copy)) as caller:
        figures["calls of the clients that the copy has"] = sum(
            check(caller, ledger, until=moment) for ledger in ledgers
        )
    copy.stop()
    say("comparing")
    assert bulk(copy.data) == bulk(server.data), "the copy differs"
    return figures


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.scale)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:50}{value:14,.1f}")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
