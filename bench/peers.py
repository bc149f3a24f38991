"""Beside its peers, in one run on one machine: python bench/peers.py [--rounds 3] [--seconds 3] [--json]

Trainshed, MLflow's tracking server and trackio take the same load turn by turn: 8 client processes that speak bare HTTP to each
server's own batch endpoint, 1,000 points of 10 series a request. Then 100,000 points of one series are read, in full and sampled.
Durability is set alike, for all FULL (each commit waits for the disk) and for all NORMAL: ours by --fast-writes, trackio's by
TRACKIO_SQLITE_SYNCHRONOUS, MLflow's by SQLite's pragma at each connection; each keeps its own kind of journal.
The peers are installed from PyPI at the first run, into a folder of their own (build/cache/peers).
"""

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.ports.events import AnyEvent
from trainshed.testing.live import LiveServer, free_ports

PINNED = {"mlflow": "3.17.2", "trackio": "0.43.0"}
CACHE = Path(__file__).parent.parent / "build" / "cache" / "peers"
CLIENTS, POINTS, SERIES = 8, 1000, 10
BODIES = 60  # requests that a client prepares for a round: none is sent twice in it, but by the fastest servers
LONG = 100_000
SAMPLES = 5000
TRIES = 5
RETRIES = 10
START_SECONDS = 300  # MLflow alone needs 20 on an idle machine
FIRST_MOMENT = 1_767_225_600_000
TOKEN = "bench"

# At each connection to a database, whichever library opens it.
SITE = """
import sqlite3, sqlite3.dbapi2
_connect = sqlite3.connect
def connect(*arguments, **options):
    connection = _connect(*arguments, **options)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
sqlite3.connect = sqlite3.dbapi2.connect = connect
"""
TRACKIO = """
import sys, uvicorn
from trackio.server import build_starlette_app_only
uvicorn.run(build_starlette_app_only()[0], host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


class Ask(NamedTuple):
    """A request that any process can send."""

    port: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


def send(connection: http.client.HTTPConnection, ask: Ask) -> bytes:
    """The reply; an error ends the program."""
    connection.request(ask.method, ask.path, ask.body, ask.headers)
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200:
        raise SystemExit(f"{ask.path}: {reply.status} {text[:500]!r}")
    return text


def ask_once(ask: Ask) -> bytes:
    """The reply, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=120)
    try:
        return send(connection, ask)
    finally:
        connection.close()


def ask_patiently(ask: Ask) -> bytes:
    """As ask_once(), again if need be: MLflow's supervisor ends workers that a busy machine keeps from answering it."""
    for _ in range(RETRIES):
        try:
            return ask_once(ask)
        except (OSError, http.client.HTTPException):
            time.sleep(1)
    return ask_once(ask)


class Server(ABC):
    """One of those compared."""

    name: str
    full: bool
    port: int

    def __getstate__(self) -> dict[str, Any]:
        """For the client processes: everything but the server's process."""
        return {name: value for name, value in vars(self).items() if name != "process"}

    @abstractmethod
    def start(self, folder: Path) -> None:
        """Until it answers."""

    @abstractmethod
    def stop(self) -> None: ...

    @property
    @abstractmethod
    def pid(self) -> int: ...

    @abstractmethod
    def new_run(self) -> str:
        """A run to report to."""

    @abstractmethod
    def batch(self, run: str, start: int, series: int) -> Ask:
        """1,000 points of so many series; the steps begin at `start`."""

    @abstractmethod
    def full_read(self, run: str) -> Ask:
        """Every point of the run's first series."""

    @abstractmethod
    def sampled_read(self, run: str) -> Ask:
        """At most 5,000 of them, or as many as the server gives."""


def numbers(start: int, series: int) -> Iterator[tuple[int, int, float]]:
    """(step, moment, value) of 1,000 points, step by step."""
    chance = random.Random(start)
    for n in range(POINTS):
        step = start + n // series
        yield step, FIRST_MOMENT + step * 250, round(chance.random(), 9)


class Ours(Server):
    def __init__(self, *, full: bool) -> None:
        self.name, self.full = "Trainshed", full

    def start(self, folder: Path) -> None:
        data = folder / "data"
        data.mkdir()
        self.process = LiveServer(data, *([] if self.full else ["--fast-writes"]))
        self.process.start()
        self.port = self.process.ports["api"]
        keys = self.process.environment()
        pair = f"{keys['CLEARML_API_ACCESS_KEY']}:{keys['CLEARML_API_SECRET_KEY']}"
        self._login = "Basic " + base64.b64encode(pair.encode()).decode()
        self._login = "Bearer " + str(self._call("auth.login", {})["token"])

    def stop(self) -> None:
        self.process.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    def new_run(self) -> str:
        return str(self._call("tasks.create", {"name": "bench", "type": "training"})["id"])

    def batch(self, run: str, start: int, series: int) -> Ask:
        lines = (
            b'{"type":"training_stats_scalar","task":"%s","metric":"m%d","variant":"v","iter":%d,"timestamp":%d,"value":%.9f}'
            % (run.encode(), n % series, step, moment, value)
            for n, (step, moment, value) in enumerate(numbers(start, series))
        )
        return self._ask("events.add_batch", b"\n".join(lines))

    def full_read(self, run: str) -> Ask:
        question = {"task": run, "metric": {"metric": "m0"}, "batch_size": LONG}
        return self._ask("events.scalar_metrics_iter_raw", json.dumps(question).encode())

    def sampled_read(self, run: str) -> Ask:
        question = json.dumps({"task": run, "samples": SAMPLES}).encode()
        return self._ask("events.scalar_metrics_iter_histogram", question)

    def _ask(self, endpoint: str, body: bytes) -> Ask:
        headers = {"Authorization": self._login, "Content-Type": "application/json"}
        return Ask(self.port, "POST", f"/v2.31/{endpoint}", headers, body)

    def _call(self, endpoint: str, arguments: dict[str, Any]) -> Any:
        return json.loads(ask_once(self._ask(endpoint, json.dumps(arguments).encode())))["data"]


class Peer(Server):
    """A server out of the folder of the peers, with its processes in a group of their own."""

    def start(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        site = folder / "site"
        site.mkdir()
        environment = {**os.environ, "HOME": str(folder), **self.environment(folder)}
        if not self.full:
            (site / "sitecustomize.py").write_text(SITE)
            environment["PYTHONPATH"] = str(site)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(folder), cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait(folder / "log")
        except BaseException:
            self.stop()
            raise

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    @property
    def pid(self) -> int:
        return self.process.pid

    @abstractmethod
    def command(self, folder: Path) -> list[str]: ...

    @abstractmethod
    def environment(self, folder: Path) -> dict[str, str]: ...

    @abstractmethod
    def health(self) -> Ask: ...

    def _answers(self) -> bool:
        try:
            ask_once(self.health())
        except OSError:
            return False
        return True

    def post(self, path: str, arguments: dict[str, Any], **headers: str) -> Ask:
        headers = {"Content-Type": "application/json", **headers}
        return Ask(self.port, "POST", path, headers, json.dumps(arguments).encode())


class MLflow(Peer):
    def __init__(self, *, full: bool, one_worker: bool) -> None:
        self.name, self.full, self._one_worker = "MLflow, 1 worker" if one_worker else "MLflow", full, one_worker

    def command(self, folder: Path) -> list[str]:
        workers = ["--workers", "1"] if self._one_worker else []
        store = f"sqlite:///{folder / 'mlflow.db'}"
        return [
            *(str(CACHE / "bin" / "python"), "-m", "mlflow", "server", "--backend-store-uri", store),
            *("--default-artifact-root", str(folder), "--host", "127.0.0.1", "--port", str(self.port), *workers),
        ]

    def environment(self, folder: Path) -> dict[str, str]:
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "OPENBLAS_NUM_THREADS": "1"}
        return quiet | ({"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} if self._one_worker else {})

    def health(self) -> Ask:
        return Ask(self.port, "GET", "/health", {})

    def new_run(self) -> str:
        reply = ask_patiently(
            self.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": FIRST_MOMENT})
        )
        return str(json.loads(reply)["run"]["info"]["run_id"])

    def batch(self, run: str, start: int, series: int) -> Ask:
        metrics = [
            {"key": f"m{n % series}", "value": value, "timestamp": moment, "step": step}
            for n, (step, moment, value) in enumerate(numbers(start, series))
        ]
        return self.post("/api/2.0/mlflow/runs/log-batch", {"run_id": run, "metrics": metrics})

    def full_read(self, run: str) -> Ask:
        question = urllib.parse.urlencode({"run_id": run, "metric_key": "m0"})
        return Ask(self.port, "GET", f"/api/2.0/mlflow/metrics/get-history?{question}", {})

    def sampled_read(self, run: str) -> Ask:
        question = urllib.parse.urlencode({"run_ids": run, "metric_key": "m0", "max_results": 2500})  # its most
        return Ask(self.port, "GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{question}", {})


class Trackio(Peer):
    def __init__(self, *, full: bool) -> None:
        self.name, self.full = "trackio", full
        self._runs = 0

    def command(self, folder: Path) -> list[str]:
        return [str(CACHE / "bin" / "python"), "-c", TRACKIO, str(self.port)]

    def environment(self, folder: Path) -> dict[str, str]:
        return {
            "TRACKIO_DIR": str(folder / "trackio"),
            "TRACKIO_WRITE_TOKEN": TOKEN,
            "TRACKIO_SQLITE_SYNCHRONOUS": "FULL" if self.full else "NORMAL",
        }

    def health(self) -> Ask:
        return Ask(self.port, "GET", "/version", {})

    def new_run(self) -> str:
        self._runs += 1
        return f"run-{self._runs}"

    def batch(self, run: str, start: int, series: int) -> Ask:
        steps: dict[int, dict[str, float]] = {}
        for n, (step, _, value) in enumerate(numbers(start, series)):
            steps.setdefault(step, {})[f"m{n % series}"] = value
        logs = [{"project": "bench", "run": run, "metrics": metrics, "step": step} for step, metrics in steps.items()]
        return self.post("/api/bulk_log", {"logs": logs, "hf_token": None}, **{"X-Trackio-Write-Token": TOKEN})

    def full_read(self, run: str) -> Ask:
        return self.post("/api/get_metric_values", {"project": "bench", "run": run, "metric_name": "m0"})

    def sampled_read(self, run: str) -> Ask:
        question = {"project": "bench", "run": run, "metric_name": "m0", "max_points": SAMPLES}
        return self.post("/api/get_metric_values", question)


class Turn(NamedTuple):
    """What one server did in one round."""

    per_second: float
    per_cpu_second: float


def tree_cpu(pid: int) -> float:
    """Processor seconds of a process, its living descendants and those it has waited for."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
        used[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    waiting, total = [pid], 0.0
    while waiting:
        one = waiting.pop()
        total += used.get(one, 0.0)
        waiting += parents.get(one, [])
    return total


_start: Barrier  # in a client process: where all wait until each has its requests ready


def set_start(start: Barrier) -> None:
    global _start
    _start = start


def report(server: Server, run: str, first_step: int, seconds: float) -> int:
    """In a client process: send from the common start until the time is over; how many points were answered."""
    asks = [server.batch(run, first_step + n * POINTS // SERIES, SERIES) for n in range(BODIES)]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    _start.wait()
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            send(connection, asks[sent % BODIES])
            sent += 1
        except (OSError, http.client.HTTPException):  # see ask_patiently(); what was not answered does not count
            connection.close()
    connection.close()
    return sent * POINTS


def take_turn(
    server: Server, pool: ProcessPoolExecutor, start: Barrier, runs: list[str], number: int, seconds: float
) -> Turn:
    first_step = number * BODIES * POINTS // SERIES
    jobs = [pool.submit(report, server, run, first_step, seconds) for run in runs]
    start.wait()
    cpu, began = tree_cpu(server.pid), time.monotonic()
    points = sum(job.result() for job in jobs)
    return Turn(points / (time.monotonic() - began), points / max(tree_cpu(server.pid) - cpu, 0.01))


def fill(server: Server, run: str) -> None:
    """100,000 points of one series."""
    for start in range(0, LONG, POINTS):
        ask_patiently(server.batch(run, start, 1))


def milliseconds(asks: dict[str, Ask]) -> dict[str, float]:
    """The best of several, turn by turn. Each on a connection of its own: some servers end those that wait."""
    best = dict.fromkeys(asks, float("inf"))
    for _ in range(TRIES):
        for name, ask in asks.items():
            began = time.perf_counter()
            ask_once(ask)
            best[name] = min(best[name], (time.perf_counter() - began) * 1000)
    return best


def decode_and_store(folder: Path, *, full: bool) -> float:
    """Points a CPU-second of our lines without HTTP, login and the task's document: decoded and stored, no more."""
    ours, decoder = Ours(full=full), msgspec.json.Decoder(AnyEvent)
    ours.port, ours._login = 0, ""
    bodies = [ours.batch("0" * 32, n * POINTS // SERIES, SERIES).body or b"" for n in range(300)]
    events = SqliteEvents(folder / "alone.db", durable=full)
    began = time.process_time()
    for body in bodies:
        events.add(decoder.decode_lines(body))
    cpu = time.process_time() - began
    events.close()
    return len(bodies) * POINTS / cpu


def install() -> None:
    """The peers, pinned, into a folder of their own."""
    marker = CACHE / "pinned.json"
    if marker.exists() and json.loads(marker.read_text()) == PINNED:
        return
    say(f"installing {PINNED} into {CACHE}")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE)], check=True)
    wanted = [f"{name}=={version}" for name, version in PINNED.items()]
    subprocess.run(
        [str(CACHE / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *wanted], check=True
    )
    marker.write_text(json.dumps(PINNED))


def label(server: Server) -> str:
    return f"{server.name}, {'FULL' if server.full else 'NORMAL'}"


def measure(servers: list[Server], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Server -> its figures."""
    figures: dict[str, dict[str, float]] = {}
    turns: dict[str, list[Turn]] = {label(server): [] for server in servers}
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(CLIENTS + 1, timeout=START_SECONDS)
    with ProcessPoolExecutor(CLIENTS, mp_context=context, initializer=set_start, initargs=(start,)) as pool:
        runs = {label(server): [server.new_run() for _ in range(CLIENTS)] for server in servers}
        for number in range(options.rounds):
            for server in servers:
                name = label(server)
                turns[name].append(take_turn(server, pool, start, runs[name], number, options.seconds))
                say(f"round {number + 1}: {name}: {turns[name][-1].per_second:,.0f} points/s")
    for name, of_server in turns.items():
        figures[name] = {
            "points/s": statistics.median(turn.per_second for turn in of_server),
            "points per CPU-s": statistics.median(turn.per_cpu_second for turn in of_server),
        }
    return figures


def read(servers: list[Server], figures: dict[str, dict[str, float]]) -> None:
    """Adds what reading takes."""
    full, sampled = {}, {}
    for server in servers:
        say(f"filling: {label(server)}")
        run = server.new_run()
        fill(server, run)
        full[label(server)], sampled[label(server)] = server.full_read(run), server.sampled_read(run)
    for key, asks in (("full read, ms", full), ("sampled read, ms", sampled)):
        for name, best in milliseconds(asks).items():
            figures[name][key] = best


class Promise(NamedTuple):
    """A ratio of this run, and how large it is to be."""

    text: str
    ratio: float
    least: float


def promises(figures: dict[str, dict[str, float]], alone: float) -> list[Promise]:
    def ratio(name: str, key: str, other: str) -> float:
        return figures[name][key] / figures[other][key]

    ours, fast, mlflow, trackio = "Trainshed, FULL", "Trainshed, NORMAL", "MLflow, 1 worker, FULL", "trackio, NORMAL"
    full, sampled = "full read, ms", "sampled read, ms"
    return [
        *(
            Promise(f"points/s against {name}", ratio(ours, "points/s", name), 40)
            for name in figures
            if name.startswith("MLflow") and name.endswith("FULL")
        ),
        Promise(f"points/s against {trackio}", ratio(fast, "points/s", trackio), 3),
        Promise("full read against MLflow", ratio(mlflow, full, ours), 100),
        Promise("full read against trackio", ratio(trackio, full, ours), 15),
        Promise("sampled read against trackio", ratio(trackio, sampled, ours), 25),
        Promise(
            "points per CPU-s, FULL, against decode and store alone", figures[ours]["points per CPU-s"] / alone, 0.35
        ),
    ]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(figures: dict[str, dict[str, float]], alone: float, kept: list[Promise]) -> str:
    keys = ["points/s", "points per CPU-s", "full read, ms", "sampled read, ms"]
    lines = [f"{'':26}" + "".join(f"{key:>18}" for key in keys)]
    for name, values in figures.items():
        cells = (f"{values[key]:18,.1f}" if key in values else f"{'-':>18}" for key in keys)
        lines.append(f"{name:26}" + "".join(cells))
    lines += [f"{'decode and store, FULL':26}{'-':>18}{alone:18,.1f}", ""]
    for promise in kept:
        verdict = "kept" if promise.ratio >= promise.least else "NOT KEPT"
        lines.append(f"{promise.text:60}{promise.ratio:8.2f} of {promise.least:g}: {verdict}")
    return "\n".join([*lines, "", f"peers: {', '.join(f'{name} {version}' for name, version in PINNED.items())}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    install()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that stop the servers
    servers: list[Server] = [
        *(Ours(full=full) for full in (True, False)),
        *(MLflow(full=full, one_worker=True) for full in (True, False)),
        MLflow(full=True, one_worker=False),
        *(Trackio(full=full) for full in (True, False)),
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        for number, server in enumerate(servers):
            home = Path(folder) / str(number)
            home.mkdir()
            say(f"starting {label(server)}")
            server.start(home)
            stack.callback(server.stop)
        figures = measure(servers, options)
        # Reading waits for no disk: one of each is enough.
        read(
            [s for s in servers if label(s) in ("Trainshed, FULL", "MLflow, 1 worker, FULL", "trackio, NORMAL")],
            figures,
        )
        alone = statistics.median(decode_and_store(Path(tempfile.mkdtemp(dir=folder)), full=True) for _ in range(3))
    kept = promises(figures, alone)
    if options.json:
        print(
            json.dumps(
                {
                    "figures": figures,
                    "decode and store": alone,
                    "promises": [p._asdict() for p in kept],
                    "peers": PINNED,
                }
            )
        )
    else:
        print(table(figures, alone, kept))


if __name__ == "__main__":
    main()
