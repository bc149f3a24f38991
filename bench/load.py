"""Two hundred clients at once: python bench/load.py [--clients 200] [--seconds 120] [--pause 1.0] [--json]

A server of its own that waits for the disk, and clients that each have a task and report scalars and console lines, edit it, read
it and list the project, in random order with a pause in between: about a call a second each, many times what the ClearML client
sends. They are threads of a few processes, one connection each. What a call takes is measured in the client.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import api

from trainshed.testing.live import LiveServer
from trainshed.testing.process import cpu_seconds

PROCESSES = 4
PROMISED_MS = 250.0
SERIES, ITERATIONS, LINES = 10, 10, 20  # of a report
PROJECT = "load"


class Target(NamedTuple):
    port: int
    token: str


class Calls(NamedTuple):
    """kind -> seconds of each call; what went wrong -> how often."""

    times: dict[str, list[float]]
    errors: Counter[str]


class Client:
    """One user with one task."""

    def __init__(self, target: Target, seed: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        self._headers = {"Authorization": target.token, "Content-Type": "application/json"}
        self._chance = random.Random(seed)
        self._iteration = 0
        self.task = self.call("tasks.create", name=f"client {seed}", type="training", tags=["load"])["id"]
        self.call("tasks.started", task=self.task)

    def send(self, endpoint: str, body: bytes) -> bytes:
        """Raises RuntimeError for a reply that is an error."""
        self._connection.request("POST", f"/v2.31/{endpoint}", body, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{endpoint}: {json.loads(text)['meta']['result_msg']}")
        return text

    def call(self, endpoint: str, **fields: Any) -> Any:
        return json.loads(self.send(endpoint, json.dumps(fields).encode()))["data"]

    def scalars(self) -> None:
        points = [
            {
                "type": "training_stats_scalar",
                "task": self.task,
                "metric": "loss",
                "variant": f"v{series}",
                "iter": self._iteration + n,
                "value": self._chance.random(),
            }
            for n in range(ITERATIONS)
            for series in range(SERIES)
        ]
        self._iteration += ITERATIONS
        self.send("events.add_batch", b"\n".join(json.dumps(point).encode() for point in points))

    def console(self) -> None:
        line = json.dumps(
            {"type": "log", "task": self.task, "msg": "a line of the console, as they are\n" * 2}
        ).encode()
        self.send("events.add_batch", b"\n".join([line] * LINES))

    def edit(self) -> None:
        rate = {"section": "Args", "name": "rate", "value": str(self._chance.random())}
        self.call("tasks.edit_hyper_params", task=self.task, hyperparams=[rate], force=True)

    def read(self) -> None:
        self.call("tasks.get_by_id_ex", id=[self.task])

    def list(self) -> None:
        self.call(
            "tasks.get_all_ex",
            status=["in_progress"],
            tags=["load"],
            order_by=["-last_update"],
            page=0,
            page_size=50,
            only_fields=["id", "name", "status", "last_update", "last_metrics", "tags"],
        )


def kinds(client: Client) -> dict[str, tuple[float, Callable[[], None]]]:
    """kind -> (its share, the call)."""
    return {
        "report scalars": (0.4, client.scalars),
        "console lines": (0.2, client.console),
        "edit": (0.1, client.edit),
        "get task": (0.15, client.read),
        "list": (0.15, client.list),
    }


def work(target: Target, seed: int, begin: float, seconds: float, pause: float) -> Calls:
    """One client, from the beginning to the end of the time."""
    client, chance = Client(target, seed), random.Random(-seed)
    table = kinds(client)
    calls = Calls({kind: [] for kind in table}, Counter())
    time.sleep(max(0.0, begin - time.monotonic()) + chance.random() * pause)
    while time.monotonic() < begin + seconds:
        (kind,) = chance.choices(list(table), [share for share, _ in table.values()])
        began = time.perf_counter()
        try:
            table[kind][1]()
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            calls.errors[f"{type(error).__name__}: {error}"] += 1
            client._connection.close()
        calls.times[kind].append(time.perf_counter() - began)
        time.sleep(pause * chance.uniform(0.5, 1.5))
    return calls


def many(target: Target, seeds: list[int], begin: float, seconds: float, pause: float) -> Calls:
    """In a process: a thread for each client."""
    with ThreadPoolExecutor(len(seeds)) as pool:
        return added([job.result() for job in [pool.submit(work, target, s, begin, seconds, pause) for s in seeds]])


def added(parts: list[Calls]) -> Calls:
    total = Calls({}, Counter())
    for part in parts:
        total.errors.update(part.errors)
        for kind, times in part.times.items():
            total.times.setdefault(kind, []).extend(times)
    return total


def milliseconds(times: list[float], share: float) -> float:
    """The time that this share of the calls kept within."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000 if times else 0.0


def figures(calls: Calls, seconds: float) -> dict[str, dict[str, float]]:
    of_all = {"all": [one for times in calls.times.values() for one in times], **calls.times}
    return {
        kind: {
            "calls/s": len(times) / seconds,
            "p50 ms": milliseconds(times, 0.5),
            "p99 ms": milliseconds(times, 0.99),
            "max ms": milliseconds(times, 1.0),
        }
        for kind, times in of_all.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two calls of a client, on average")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        server = LiveServer(data)
        server.start()
        try:
            target, begin = Target(server.ports["api"], api.log_in(server)), time.monotonic() + 5
            shares = [list(range(number, options.clients, PROCESSES)) for number in range(PROCESSES)]
            context = multiprocessing.get_context("spawn")
            cpu = cpu_seconds(server.pid)
            with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
                jobs = [
                    pool.submit(many, target, seeds, begin, options.seconds, options.pause) for seeds in shares if seeds
                ]
                calls = added([job.result() for job in jobs])
            cpu = cpu_seconds(server.pid) - cpu
        finally:
            server.stop()
    found = figures(calls, options.seconds)
    load = cpu / options.seconds  # of one core, by the server
    kept = not calls.errors and found["all"]["p99 ms"] < PROMISED_MS
    if options.json:
        print(json.dumps({"figures": found, "errors": calls.errors, "server CPU": load, "kept": kept}))
    else:
        print(f"{'':18}" + "".join(f"{name:>12}" for name in found["all"]))
        for kind, values in found.items():
            print(f"{kind:18}" + "".join(f"{value:12,.1f}" for value in values.values()))
        print(f"the server took {load:.0%} of a core")
        print(
            f"errors: {sum(calls.errors.values())}",
            *(f"{count} x {text}" for text, count in calls.errors.items()),
            sep="\n  ",
        )
        print(f"no error and p99 under {PROMISED_MS:g} ms: {'kept' if kept else 'NOT KEPT'}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
