"""What a gigabyte costs the file server: `.venv/bin/python bench/files.py [--mib 1024] [--runs 9] [--json]`.

The server runs in its own process behind the real listener; its CPU time and peak memory are read from outside (Linux).
The client is a plain socket, so that it does not slow down what is measured. Each run starts every server anew, in turns; the
figures are the medians of the runs. Not the best: what one GiB over loopback costs varies twofold with the core on which the
client happens to run, for either server.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainshed.testing import nginx
from trainshed.testing.files_server import HEADERS, FilesServer, files_server

_MIB = 1024 * 1024
_BOUNDARY = "0123456789abcdef" * 2  # as long as the client's
_HEAD = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="/form"; filename="/form"\r\n\r\n'.encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
# Bytes like those of a model: any value, some line breaks among them.
_PIECE = bytes((i * 2654435761 >> 13) & 255 for i in range(_MIB))

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file in MiB (1024)")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where the files go; decides the disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        (Path(folder) / "nginx").mkdir()
        rows = measure(Path(folder), options.mib, options.runs)
    if not nginx.installed():
        print("nginx is not installed (apt install nginx-light): nothing to compare with", file=sys.stderr)
    print(json.dumps(rows, indent=2) if options.json else table(rows))


def measure(folder: Path, mib: int, runs: int) -> dict[str, Figures]:
    """Row per direction: cpu_s_per_gib, mb_per_s, peak_mib and grown_mib (over the idle server)."""
    transfers: dict[str, Callable[[FilesServer], None]] = {
        "upload, form": lambda server: _upload(server, "POST", "/", _form(mib), len(_HEAD) + mib * _MIB + len(_TAIL)),
        "upload, PUT": lambda server: _upload(server, "PUT", "/put", _content(mib), mib * _MIB),
        "download": lambda server: _download(server, "/put", mib * _MIB),
    }
    peer: dict[str, Callable[[FilesServer], None]] = {
        "nginx: PUT": transfers["upload, PUT"],
        "nginx: download": transfers["download"],
    }
    rows: dict[str, list[Figures]] = {}
    for _ in range(runs):  # in turns, so that a busy moment of the machine meets all alike
        for name, transfer in transfers.items():
            with files_server(folder / "ours") as server:
                rows.setdefault(name, []).append(_cost(server, transfer, mib))
        for name, transfer in peer.items() if nginx.installed() else ():
            with nginx.nginx_server(folder / "nginx", folder) as server:
                rows.setdefault(name, []).append(_cost(server, transfer, mib))
    return {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in rows.items()
    }


def _cost(server: FilesServer, transfer: Callable[[FilesServer], None], mib: int) -> Figures:
    _upload(server, "PUT", "/warm", iter([b"x"]), 1)
    idle, cpu, start = server.peak_bytes(), server.cpu_seconds(), time.perf_counter()
    transfer(server)
    wall, cpu, peak = time.perf_counter() - start, server.cpu_seconds() - cpu, server.peak_bytes()
    return {
        "cpu_s_per_gib": round(cpu * 1024 / mib, 2),
        "mb_per_s": round(mib * _MIB / 1e6 / wall),
        "peak_mib": round(peak / _MIB, 1),
        "grown_mib": round((peak - idle) / _MIB, 1),
    }


def _content(mib: int) -> Iterator[bytes]:
    return (_PIECE for _ in range(mib))


def _form(mib: int) -> Iterator[bytes]:
    yield _HEAD
    yield from _content(mib)
    yield _TAIL


def _upload(server: FilesServer, method: str, path: str, body: Iterator[bytes], length: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Content-Length": str(length), "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"} | HEADERS
    connection.request(method, path, body, headers)
    _check(connection.getresponse().status)
    connection.close()


def _download(server: FilesServer, path: str, length: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path, headers=HEADERS)
    response = connection.getresponse()
    _check(response.status)
    buffer, left = bytearray(_MIB), length
    while count := response.readinto(buffer):
        left -= count
    connection.close()
    if left:
        sys.exit(f"{left} bytes are missing")


def _check(status: int) -> None:
    if status not in (200, 201, 204):  # nginx answers a PUT with the latter two
        sys.exit(f"the server answered {status}")


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows as Markdown."""
    lines = ["| 1 file | CPU s per GiB | MB/s | peak MiB | grown MiB |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['cpu_s_per_gib']} | {row['mb_per_s']} | {row['peak_mib']} | {row['grown_mib']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
