"""Two revisions turn by turn: python bench/against.py OTHER [--rounds 7] [--seconds 1.2] [--clients 8] [--json]

OTHER is the folder of another revision (`git worktree add ../former HEAD~1`). A server of each is up all the time; the clients
of bench/api.py go from one to the other and back, so that what else the machine does meets both. The ratios are of this
revision to the other, the median of those of the rounds.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import api

from trainshed.testing.live import LiveServer
from trainshed.testing.process import cpu_seconds

KINDS: dict[str, tuple[Callable[..., int], tuple[Any, ...]]] = {
    "task create, edit, start: calls": (api.edit, ()),
    "scalars, 10 series: points": (api.ingest, (10,)),
}
THIS, OTHER = "this", "other"


class Turn(NamedTuple):
    """What was done a second, what a CPU-second of the server, and how often its threads changed places for a request."""

    rate: float
    per_cpu: float
    switches: float


def start(name: str, tree: Path, folder: Path) -> LiveServer:
    """A server of the revision in that folder."""
    former = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = str(tree / "server" / "src")
    data = folder / name
    data.mkdir()
    server = LiveServer(data)
    server.start()
    os.environ["PYTHONPATH"] = former
    return server


def switches(pid: int) -> int:
    """Of context, by all its threads so far."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(OSError):  # the thread may end meanwhile
            lines = status.read_text().splitlines()
            found += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return found


def turn(pool: ProcessPoolExecutor, clients: int, pid: int, work: Callable[..., int], *arguments: Any) -> Turn:
    changes, cpu, began = switches(pid), cpu_seconds(pid), time.perf_counter()
    done = sum(job.result() for job in [pool.submit(work, *arguments) for _ in range(clients)])
    taken = time.perf_counter() - began
    requests = done / api.BATCH if work is api.ingest else done
    return Turn(done / taken, done / (cpu_seconds(pid) - cpu), (switches(pid) - changes) / requests)


def compare(options: argparse.Namespace, servers: dict[str, LiveServer]) -> dict[str, dict[str, float]]:
    """kind -> its figures."""
    tokens = {name: api.log_in(server) for name, server in servers.items()}
    turns: dict[str, dict[str, list[Turn]]] = {kind: {THIS: [], OTHER: []} for kind in KINDS}
    with ProcessPoolExecutor(options.clients, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(abs, range(options.clients)))  # the processes are there
        for number in range(options.rounds):
            for kind, (work, arguments) in KINDS.items():
                for name in (THIS, OTHER) if number % 2 else (OTHER, THIS):
                    server = servers[name]
                    call = (work, server.ports["api"], tokens[name], *arguments, options.seconds)
                    turns[kind][name].append(turn(pool, options.clients, server.pid, *call))
    return {kind: figures(its_turns[THIS], its_turns[OTHER]) for kind, its_turns in turns.items()}


def figures(these: list[Turn], others: list[Turn]) -> dict[str, float]:
    pairs = list(zip(these, others, strict=True))
    return {
        "a second": statistics.median(one.rate for one in these),
        "a CPU-second": statistics.median(one.per_cpu for one in these),
        "ratio": statistics.median(one.rate / other.rate for one, other in pairs),
        "ratio by CPU": statistics.median(one.per_cpu / other.per_cpu for one, other in pairs),
        "switches": statistics.median(one.switches for one in these),
        "other's": statistics.median(other.switches for other in others),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.2, help="of a turn")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trees = {THIS: Path(__file__).resolve().parent.parent, OTHER: options.other.resolve()}
    with tempfile.TemporaryDirectory() as folder:
        servers: dict[str, LiveServer] = {}
        try:
            for name, tree in trees.items():
                servers[name] = start(name, tree, Path(folder))
            found = compare(options, servers)
        finally:
            for server in servers.values():
                server.stop()
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':34}" + "".join(f"{name:>14}" for name in next(iter(found.values()))))
    for kind, values in found.items():
        print(f"{kind:34}" + "".join(f"{value:14,.2f}" for value in values.values()))
    print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
