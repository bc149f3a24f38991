"""Clients that write all the time, each with a ledger of what was acknowledged, and the comparison of a server with it.

`python -m trainshed.testing.load API FILES AUTHORIZATION LEDGER SEED` writes until the server no longer answers. A client owns its
tasks. The first call without an acknowledgement ends the life of what it touched: that one call may or may not have happened.
"""

import hashlib
import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainshed.testing.live import LiveServer

Json = dict[str, Any]

POINTS = 20  # of each series in a report
VARIANTS = ("a", "b")
_SECONDS = 30  # to wait for one answer
_REFUSED_SECONDS = 0.05  # before the next call when the disk is full
_STARTED = {"created": "started", "in_progress": "stopped", "stopped": "started"}
_STATUS = {"started": "in_progress", "stopped": "stopped"}
LOW_DISK_SPACE = (500, 4)
NO_ROOM = (507, 0)  # the same, of the file server


class Refused(Exception):
    """An answer other than success. Its pair is what clients judge by."""

    def __init__(self, pair: tuple[int, int]) -> None:
        super().__init__(str(pair))
        self.pair = pair


class Caller:
    """Calls the two listeners of a server, each over one connection. source: the address it calls from."""

    def __init__(self, api: str, files: str, authorization: str, *, source: str = "127.0.0.1") -> None:
        self._api, self._files = (
            http.client.HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS, source_address=(source, 0))
            for url in (api, files)
        )
        self._headers = {"Authorization": authorization}

    @property
    def authorization(self) -> str:
        """The header that goes with each call."""
        return self._headers["Authorization"]

    def log_in(self) -> None:
        """Go on with a token, as the client does."""
        self._headers = {"Authorization": "Bearer " + self.call("auth.login")["token"]}

    def call(self, endpoint: str, **fields: Any) -> Any:
        """The data of a reply. Raises Refused, OSError or HTTPException."""
        return self.post(endpoint, json.dumps(fields).encode())

    def post(self, endpoint: str, body: bytes) -> Any:
        """The data of the reply to a body."""
        reply = json.loads(self._send(self._api, "POST", f"/v2.31/{endpoint}", body)[1])
        meta = reply["meta"]
        if meta["result_code"] != 200:
            raise Refused((meta["result_code"], meta["result_subcode"]))
        return reply["data"]

    def file(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The content of a reply of the file server."""
        status, content = self._send(self._files, method, path, body)
        if status != 200:
            meta = json.loads(content)["meta"]
            raise Refused((status, meta["result_subcode"]))
        return content

    def close(self) -> None:
        """Hang up."""
        self._api.close()
        self._files.close()

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            with suppress(
                BrokenPipeError
            ):  # refused before it was sent whole: the answer says why, as urllib3 knows too
                connection.request(method, path, body, self._headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise


def value(task: str, variant: str, iteration: int) -> float:
    """What a client reports there: any of the points can be checked without a list of them."""
    return float(hashlib.blake2b(f"{task}{variant}{iteration}".encode(), digest_size=3).digest()[0] + iteration / 1000)


def content(path: str) -> bytes:
    """What a client uploads there."""
    seed = hashlib.sha256(path.encode()).digest()
    return seed * (1 + seed[0] * 40)


def report(task: str, first: int) -> bytes:
    """A batch: points of two series and a line of the console."""
    events: list[Json] = [
        {"type": "training_stats_scalar", "metric": "m", "variant": v, "iter": i, "value": value(task, v, i)}
        for i in range(first, first + POINTS)
        for v in VARIANTS
    ]
    events.append({"type": "log", "msg": f"{first}"})
    return b"\n".join(json.dumps({"task": task, "timestamp": 1 + first, **event}).encode() for event in events)


class State:
    """What one task must look like: its acknowledged calls, applied in order."""

    def __init__(self) -> None:
        self.there = True
        self.comment = ""
        self.status = "created"
        self.points = 0
        self.files: set[str] = set()
        self.gone: set[str] = set()

    def apply(self, entry: Json) -> None:
        """One call."""
        match entry["op"]:
            case "edit":
                self.comment = entry["comment"]
            case "status":
                self.status = entry["status"]
            case "report":
                self.points = entry["first"] + POINTS
            case "upload":
                self.files.add(entry["path"])
            case "remove":
                self.files.discard(entry["path"])
                self.gone.add(entry["path"])
            case "delete":
                self.there = False


class Client:
    """One client and its ledger."""

    def __init__(self, caller: Caller, ledger: Path, seed: int) -> None:
        self._caller = caller
        self._random = random.Random(seed)
        self._seed = seed
        self._tasks: dict[str, State] = {}
        self._number = 0
        self._ledger = ledger.open("a", buffering=1)

    def step(self) -> None:
        """One call of some kind, noted before and after. Raises what ended it; what it touched is left alone then."""
        if len(self._tasks) < 3:
            return self._create()
        task = self._random.choice(list(self._tasks))
        entry, send = self._chosen(task, self._tasks[task])
        state = self._tasks.pop(task)
        self._note({**entry, "task": task, "state": "asked"})
        send()
        self._note({"task": task, "state": "done"})
        state.apply(entry)
        if state.there:
            self._tasks[task] = state
        return None

    def _create(self) -> None:
        task = str(self._caller.call("tasks.create", name=f"of {self._seed}", type="training")["id"])
        self._note({"op": "create", "task": task, "state": "done"})
        self._tasks[task] = State()

    def _chosen(self, task: str, state: State) -> tuple[Json, Callable[[], object]]:
        self._number += 1
        call, file = self._caller.call, self._caller.file
        kinds = ["report"] * 8 + ["edit"] * 4 + ["upload"] * 2 + ["status"] * 2 + ["remove", "delete"]
        kind = self._random.choice(kinds)
        if kind == "edit":
            words = f"edit {self._number}"
            return {"op": kind, "comment": words}, lambda: call("tasks.edit", task=task, comment=words, force=True)
        if kind == "status":
            verb = _STARTED[state.status]
            return {"op": kind, "status": _STATUS[verb]}, lambda: call(f"tasks.{verb}", task=task, force=True)
        if kind == "upload":
            path = f"/{task}/{self._number}"
            return {"op": kind, "path": path}, lambda: file("PUT", path, content(path))
        if kind == "remove" and state.files:
            path = self._random.choice(sorted(state.files))
            return {"op": kind, "path": path}, lambda: file("DELETE", path)
        if kind == "delete" and state.points:
            return {"op": kind}, lambda: call("tasks.delete", task=task, force=True)
        first = state.points
        return {"op": "report", "first": first}, lambda: self._caller.post("events.add_batch", report(task, first))

    def _note(self, entry: Json) -> None:
        self._ledger.write(json.dumps({**entry, "at": time.time()}) + "\n")


def caller_of(server: LiveServer, *, source: str = "127.0.0.1") -> Caller:
    """One that is logged in."""
    caller = Caller(server.url("api"), server.url("files"), server.authorization(), source=source)
    caller.log_in()
    return caller


@contextmanager
def clients(server: LiveServer, folder: Path, *, turn: int, count: int = 4) -> Iterator[list[Path]]:
    """Clients that write until the server is gone, which the block must see to. The ledgers, whole when the block ends."""
    urls, authorization, seed = (server.url("api"), server.url("files")), server.authorization(), turn * count
    ledgers = [folder / f"ledger-{seed + number}" for number in range(count)]
    running = [
        subprocess.Popen([sys.executable, "-m", __name__, *urls, authorization, str(ledger), str(seed + number)])
        for number, ledger in enumerate(ledgers)
    ]
    try:
        end = time.monotonic() + _SECONDS
        while not all(ledger.exists() and ledger.stat().st_size for ledger in ledgers):
            assert time.monotonic() < end, "the clients did not begin"
            time.sleep(0.01)
        yield ledgers
        assert [client.wait(_SECONDS) for client in running] == [0] * count
    finally:
        for client in running:
            client.kill()
            client.wait()


def check(caller: Caller, ledger: Path, *, until: float | None = None) -> int:
    """Hold a server against a ledger; return how many calls were acknowledged. AssertionError says what is lost.

    until: the moment (Unix time) that the server is a copy of: what was asked for later is not looked at.
    """
    states: dict[str, State] = {}
    asked: dict[str, Json] = {}
    acknowledged = 0
    for line in ledger.read_text().splitlines():
        entry = json.loads(line)
        if until is not None and entry["at"] > until:
            break
        task = entry["task"]
        if entry["state"] == "asked":
            asked[task] = entry
            continue
        acknowledged += 1
        if task in asked:
            states[task].apply(asked.pop(task))
        else:
            states[task] = State()
    for task, state in states.items():
        _check_task(caller, task, state, asked.get(task))
    return acknowledged


def _check_task(caller: Caller, task: str, state: State, maybe: Json | None) -> None:
    op = maybe["op"] if maybe else ""
    found = caller.call("tasks.get_all", id=[task])["tasks"]
    for path in state.files - ({maybe["path"]} if maybe and op == "remove" else set()):
        assert caller.file("GET", path) == content(path), path
    for path in state.gone | ({maybe["path"]} if maybe and op == "upload" else set()):
        assert _is_absent_or_whole(caller, path, may_be_there=path not in state.gone), path
    if not found:
        assert not state.there or op == "delete", f"task {task} is lost"
        return
    assert state.there, f"task {task} is back from the dead"
    document = found[0]
    comments = {state.comment} | ({maybe["comment"]} if maybe and op == "edit" else set())
    assert document.get("comment", "") in comments, (document, comments)
    assert document["status"] in {state.status} | ({maybe["status"]} if maybe and op == "status" else set()), task
    if op != "delete":
        _check_events(caller, task, state.points, may_be_more=op == "report")


def _is_absent_or_whole(caller: Caller, path: str, *, may_be_there: bool) -> bool:
    try:
        found = caller.file("GET", path)
    except Refused as refused:
        return refused.pair[0] == 404
    return may_be_there and found == content(path)


def _check_events(caller: Caller, task: str, points: int, *, may_be_more: bool) -> None:
    lines = caller.call("events.get_task_log", task=task)["total"]
    allowed = {points, points + POINTS} if may_be_more else {points}
    assert lines * POINTS in allowed, f"task {task}: {lines} reports, acknowledged {points // POINTS}"
    points = lines * POINTS  # a report is there as a whole or not at all
    curves = caller.call("events.scalar_metrics_iter_histogram", task=task, samples=10_000_000).get("m", {})
    assert {v: (curve["x"], curve["y"]) for v, curve in curves.items()} == _expected_curves(task, points), task
    found, expected = _last_values(caller, task), _expected_last_values(task, points)
    assert found == expected, f"task {task}: last values of {points} points: {found}, not {expected}"


def _values(task: str, variant: str, points: int) -> list[float]:
    return [value(task, variant, i) for i in range(points)]


def _expected_curves(task: str, points: int) -> Json:
    return {v: (list(range(points)), _values(task, v, points)) for v in VARIANTS} if points else {}


def _expected_last_values(task: str, points: int) -> tuple[int, Json]:
    if not points:
        return 0, {}
    figures = {v: (points - 1, *_summary(_values(task, v, points))) for v in VARIANTS}
    return points - 1, figures


def _summary(values: list[float]) -> tuple[float, float, float, int]:
    return values[-1], min(values), max(values), len(values)


def _last_values(caller: Caller, task: str) -> tuple[int, Json]:
    """last_iteration, and of last_metrics what can be told from the points."""
    document = caller.call("tasks.get_by_id", task=task)["task"]
    figures = [f for metric in document["last_metrics"].values() for f in metric.values()]
    names = ("iter", "value", "min_value", "max_value", "count")
    return document["last_iteration"], {f["variant"]: tuple(f[name] for name in names) for f in figures}


def _main(api: str, files: str, authorization: str, ledger: str, seed: str) -> None:
    caller = Caller(api, files, authorization)
    caller.log_in()
    client = Client(caller, Path(ledger), int(seed))
    while True:
        try:
            client.step()
        except (OSError, http.client.HTTPException):
            return
        except Refused as refused:
            if refused.pair[0] < 500:
                raise
            if refused.pair not in (LOW_DISK_SPACE, NO_ROOM):  # its disk is gone
                return
            time.sleep(_REFUSED_SECONDS)


if __name__ == "__main__":
    _main(*sys.argv[1:])
