"""How soon `trainshed serve` answers, and what it holds in memory when idle.

    python bench/serve.py [--runs N] [--json]

Ready: from the start of the process until all three listeners answer /health. Resident: VmRSS of the process (there is only
one) a second after that; PSS counts pages that other programs share by their share.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from trainshed.testing.live import LiveServer


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
    server = LiveServer(data)
    began = time.perf_counter()
    server.start()
    ready = time.perf_counter() - began
    try:
        time.sleep(1)
        return {
            "ready": ready,
            "rss": _memory(server.pid, "status", "VmRSS"),
            "pss": _memory(server.pid, "smaps_rollup", "Pss"),
        }
    finally:
        server.stop()


def _memory(pid: int, file: str, field: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


if __name__ == "__main__":
    main()
