"""What knowing the caller costs a light call: python bench/auth.py [--calls N] [--json]

One endpoint that answers everybody and looks who it is, asked by turns without a login, with a token and with a cookie, over
one connection each. "CPU" counts the server's processor time alone, the steady figure on a busy machine.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path

from trainshed.testing.live import LiveServer
from trainshed.testing.process import cpu_seconds

ENDPOINT = "login.supported_modes"
ROUNDS = 9


def timed(server: LiveServer, headers: dict[str, str], calls: int) -> tuple[float, float]:
    """Seconds and the server's CPU-seconds of one call, by many in a row."""
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["api"])
    began, used = time.perf_counter(), cpu_seconds(server.pid)
    for _ in range(calls):
        connection.request("POST", f"/v2.31/{ENDPOINT}", b"{}", {"Content-Type": "application/json", **headers})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{ENDPOINT}: {text[:500]!r}")
    connection.close()
    return (time.perf_counter() - began) / calls, (cpu_seconds(server.pid) - used) / calls


def measure(server: LiveServer, calls: int) -> dict[str, dict[str, float]]:
    """Way in -> microseconds of a call, and the share that it takes more than without a login."""
    token = server.call("auth.login")["token"]
    ways: dict[str, dict[str, str]] = {
        "nobody": {},
        "token": {"Authorization": f"Bearer {token}"},
        "cookie": {"Cookie": f"clearml_token_basic={token}"},
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, headers in ways.items():
            once = timed(server, headers, calls)
            if number:  # the first round warms up
                found[name].append(once)
    figures = {}
    for name, rounds in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        more = [
            statistics.median(own[n] / base[n] for own, base in zip(rounds, found["nobody"], strict=True)) - 1
            for n in (0, 1)
        ]
        figures[name] = {"us": wall * 1e6, "cpu_us": cpu * 1e6, "more": more[0], "cpu_more": more[1]}
    return figures


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--calls", type=int, default=2000, help="in a row (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder) / "data")
        server.start()
        try:
            figures = measure(server, options.calls)
        finally:
            server.stop()
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, one in figures.items():
        print(
            f"{name:7} {one['us']:6.0f} us a call ({one['more']:+.1%}), "
            f"{one['cpu_us']:6.0f} us of the server's processor ({one['cpu_more']:+.1%})"
        )


if __name__ == "__main__":
    main()
