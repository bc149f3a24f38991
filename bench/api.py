"""How fast the API is over HTTP: python bench/api.py [--clients N] [--seconds N] [--tasks 10000] [--fast-writes] [--json]

A server of its own, and clients in processes of their own that speak bare HTTP, so that the client's own cost stays small.
"Per CPU-second" counts the server's processor time alone: it is the steady figure where clients share the machine.
Times of reading are the best of several, over one connection.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import samples

from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.testing.live import LiveServer
from trainshed.testing.process import cpu_seconds

BATCH, ROUNDS, QUESTIONS = 1000, 7, 40
LONG_SERIES, LONGEST_SERIES, SERIES = 100_000, 1_000_000, 200
PLOTS = 10_000


class Client:
    """One connection to the API."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": token, "Content-Type": "application/json"}

    def send(self, endpoint: str, body: bytes) -> bytes:
        """The reply as it came; an error ends the program."""
        self._connection.request("POST", f"/v2.31/{endpoint}", body, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{endpoint}: {text[:500]!r}")
        return text

    def call(self, endpoint: str, **fields: Any) -> Any:
        """The reply's data."""
        return json.loads(self.send(endpoint, json.dumps(fields).encode()))["data"]


def points(task: str, start: int, count: int = BATCH, series: int = 1) -> bytes:
    """A batch of scalars, spread over the series."""
    chance = random.Random(start)
    return b"\n".join(
        b'{"type":"training_stats_scalar","task":"%s","metric":"metric %d","variant":"train","iter":%d,'
        b'"timestamp":%d,"value":%.9f}'
        % (task.encode(), n % series, n // series, 1_767_225_600_000 + n, chance.random())
        for n in range(start, start + count)
    )


def plots(task: str, start: int, count: int = BATCH) -> bytes:
    """A batch of plots of 10 KB, an iteration each."""
    figure = json.dumps({"data": [{"x": list(range(1000)), "y": [n / 7 for n in range(250)]}]})
    event = {"type": "plot", "task": task, "metric": "figure", "variant": "a", "plot_str": figure}
    return b"\n".join(
        json.dumps({**event, "iter": n, "timestamp": 1_767_225_600_000 + n}).encode()
        for n in range(start, start + count)
    )


def ingest(port: int, token: str, series: int, seconds: float) -> int:
    """Report to a task of one's own until the time is over; how many points."""
    client = Client(port, token)
    task = client.call("tasks.create", name="bench", type="training")["id"]
    batches = [points(task, n * BATCH, series=series) for n in range(50)]
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        client.send("events.add_batch", batches[sent % len(batches)])
        sent += 1
    return sent * BATCH


def edit(port: int, token: str, seconds: float) -> int:
    """Create tasks, edit and start each until the time is over; how many calls."""
    client, calls = Client(port, token), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        task = client.call("tasks.create", name="bench", type="training")["id"]
        client.call(
            "tasks.edit", task=task, hyperparams={"Args": {"lr": {"section": "Args", "name": "lr", "value": "1"}}}
        )
        client.call("tasks.started", task=task)
        calls += 3
    return calls


def fill(data: Path, count: int) -> None:
    """Put projects and tasks straight into a server's folder."""
    store = SqliteDocuments(data / "documents.db", durable=False)
    for project in samples.projects():
        store.insert("projects", project)
    for task in samples.tasks(count):
        store.insert("tasks", task)
    store.close()


def milliseconds(call: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best * 1000


def by_many(pid: int, clients: int, work: Callable[..., int], *arguments: Any) -> tuple[float, float]:
    """What the clients did per second, and per CPU-second of the server."""
    with ProcessPoolExecutor(clients, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(abs, range(clients)))  # the processes are there
        cpu, began = cpu_seconds(pid), time.perf_counter()
        done = sum(job.result() for job in [pool.submit(work, *arguments) for _ in range(clients)])
        return done / (time.perf_counter() - began), done / (cpu_seconds(pid) - cpu)


def log_in(server: LiveServer) -> str:
    client = Client(server.ports["api"], server.authorization())
    return "Bearer " + str(client.call("auth.login")["token"])


def read(client: Client) -> dict[str, float]:
    task = client.call("tasks.create", name="bench", type="training")["id"]
    for start in range(0, LONG_SERIES, BATCH):
        client.send("events.add_batch", points(task, start))
    wide = client.call("tasks.create", name="bench", type="training")["id"]
    for start in range(0, SERIES * 1000, BATCH):
        client.send("events.add_batch", points(wide, start, series=SERIES))
    longest = client.call("tasks.create", name="bench", type="training")["id"]
    for start in range(0, LONGEST_SERIES, 10 * BATCH):
        client.send("events.add_batch", points(longest, start, 10 * BATCH))
    plotted = client.call("tasks.create", name="bench", type="training")["id"]
    for start in range(0, PLOTS, BATCH):
        client.send("events.add_batch", plots(plotted, start))
    page = client.call("events.get_task_events", task=longest, batch_size=LONG_SERIES)[
        "scroll_id"
    ]  # a tenth of the way
    raw = {"task": task, "metric": {"metric": "metric 0"}, "batch_size": LONG_SERIES}
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "100,000 points of a series in full, ms": ("scalar_metrics_iter_raw", raw),
        "100,000 points sampled to 5,000, ms": ("scalar_metrics_iter_histogram", {"task": task, "samples": 5000}),
        "1,000,000 points sampled to 5,000, ms": ("scalar_metrics_iter_histogram", {"task": longest, "samples": 5000}),
        "a page of 500 of 1,000,000 raw points, ms": (
            "get_task_events",
            {"task": longest, "event_type": "training_stats_scalar", "batch_size": 500, "scroll_id": page},
        ),
        "the newest 5 of 10,000 plots, ms": ("plots", {"metrics": [{"task": plotted}], "iters": 5}),
        "200 series of 1,000 points, ms": ("scalar_metrics_iter_histogram", {"task": wide}),
    }
    return {
        name: milliseconds(partial(client.send, f"events.{endpoint}", json.dumps(body).encode()))
        for name, (endpoint, body) in questions.items()
    }


def ask(client: Client, pid: int) -> dict[str, float]:
    """Tables of tasks and projects: each question's first answer, the best of the next, and what one costs the processor."""
    page = {"order_by": ["-last_update"], "page": 0, "page_size": 50}
    project = {"project": [samples.project_id(1)]}
    listing = {**project, "status": ["completed", "published"], "tags": ["baseline"], **page}
    metric = f"last_metrics.{samples.key('loss')}.{samples.key('train')}.min_value"
    argument = "hyperparams.Args.a1.value"
    stats = {"include_stats": True, "order_by": ["-last_update"], "page": 0, "page_size": samples.PROJECTS}
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "tasks by project, status, tag": ("tasks.get_all_ex", listing),
        "tasks of a project by a metric": ("tasks.get_all_ex", {**page, **project, "order_by": [metric]}),
        "all tasks by a metric": ("tasks.get_all_ex", {**page, "order_by": ["-" + metric]}),
        "tasks of a project with a parameter": ("tasks.get_all_ex", {**page, **project, argument: "1"}),
        "all tasks with a parameter": ("tasks.get_all_ex", {**page, argument: "1"}),
        "with one of a list": ("tasks.get_all_ex", {**page, argument: ["1", "2"]}),
        "with one like a pattern": (
            "tasks.get_all_ex",
            {**page, "_any_": {"pattern": "^[12]$", "fields": [argument]}},
        ),
        "all tasks by a name's pattern": ("tasks.get_all_ex", {**page, "name": "run 99.*9$"}),
        "tags of all tasks": ("organization.get_tags", {}),
        "1,000 projects with statistics": ("projects.get_all_ex", stats),
    }
    figures = {}
    for name, (endpoint, body) in questions.items():
        send = partial(client.send, endpoint, json.dumps(body).encode())
        figures[f"{name}, first, ms"] = milliseconds(send, rounds=1)
        cpu = cpu_seconds(pid)
        figures[f"{name}, ms"] = milliseconds(send, rounds=QUESTIONS)
        figures[f"{name}, CPU ms"] = (cpu_seconds(pid) - cpu) * 1000 / QUESTIONS
    return figures


def measure(server: LiveServer, options: argparse.Namespace) -> dict[str, float]:
    """Every figure, by name."""
    port, token, pid = server.ports["api"], log_in(server), server.pid
    figures: dict[str, float] = {}
    for name, series in (("10 series", 10), ("1,000 series", 1000)):
        wall, cpu = by_many(pid, options.clients, ingest, port, token, series, options.seconds)
        figures |= {f"points a second, {name}": wall, f"points a CPU-second, {name}": cpu}
    wall, cpu = by_many(pid, options.clients, edit, port, token, options.seconds)
    figures |= {"task create, edit, start: calls a second": wall, "calls a CPU-second": cpu}
    client = Client(port, token)
    return figures | read(client) | ask(client, pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--fast-writes", action="store_true", help="do not wait for the disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        fill(data, options.tasks)
        server = LiveServer(data, *(["--fast-writes"] if options.fast_writes else []))
        server.start()
        try:
            figures = measure(server, options)
        finally:
            server.stop()
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:46}{value:14,.1f}")


if __name__ == "__main__":
    main()
