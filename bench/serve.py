"""How soon `trainshed serve` answers, and what it holds in memory when idle.

    python bench/serve.py [--runs N] [--json]

Ready: from the start of the process until all three listeners answer /health. Resident: VmRSS of the process (there is only
one) a second after that; PSS counts pages that other programs share by their share.
"""

import argparse
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

POLL_SECONDS = 0.002
GIVE_UP_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first = _measure(Path(folder) / "data")  # makes the database
        later = [_measure(Path(folder) / "data") for _ in range(options.runs)]
    figures = {
        "first start, s": first["ready"],
        "later start, median s": statistics.median(run["ready"] for run in later),
        "later start, worst s": max(run["ready"] for run in later),
        "resident, MB": max(run["rss"] for run in later),
        "of it its own (PSS), MB": max(run["pss"] for run in later),
    }
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28}{value:8.2f}")


def _measure(data: Path) -> dict[str, float]:
    ports = _free_ports(3)
    flags = [f"--{name}-port={port}" for name, port in zip(("web", "api", "files"), ports, strict=True)]
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "trainshed", "serve", f"--data-dir={data}", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for port in ports:
            _wait(f"http://127.0.0.1:{port}/health", began)
        ready = time.perf_counter() - began
        time.sleep(1)
        return {
            "ready": ready,
            "rss": _memory(server.pid, "status", "VmRSS"),
            "pss": _memory(server.pid, "smaps_rollup", "Pss"),
        }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(GIVE_UP_SECONDS)


def _wait(url: str, began: float) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def _memory(pid: int, file: str, field: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


if __name__ == "__main__":
    main()
