"""A `shed` in a process of its own that is killed while it waits for a cloud: what a kill leaves is real then."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence

from trainshed_provision import cli
from trainshed_provision.publish.gcp import operations, tarball
from trainshed_provision.testing.loopback import Loopback, Request

STARTS_WITHIN = 30.0  # seconds, on a busy machine


def _run(argv: Sequence[str], environment: Mapping[str, str], part_bytes: int) -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell that started the tests in its background had it ignored
    os.environ.update(environment)
    tarball.PART_BYTES = part_bytes
    operations.POLL_SECONDS = 0.0
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os._exit(cli.main(list(argv)))


def kill_at(
    cloud: Loopback,
    method: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    part_bytes: int,
    skip: int = 0,
    answered: bool = False,
    by: signal.Signals = signal.SIGKILL,
) -> int | None:
    """Run shed until it calls that method, for the time after `skip`, and kill it there; return its exit code.

    answered: the cloud does what was asked, and only the answer is lost.
    """
    reached, gone = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        reached.set()
        gone.wait(STARTS_WITHIN)
        if not answered:
            raise ConnectionAbortedError

    others = cloud.connections()
    cloud.before(method, hold, skip=skip)
    # Forked by a process that has imported everything and has no threads: each victim starts in milliseconds.
    context = multiprocessing.get_context("forkserver")
    # Each child looks at the script that runs here: pytest.
    context.set_forkserver_preload([__name__, "pytest", "google.cloud.compute_v1", "google.cloud.storage"])
    process = context.Process(target=_run, args=(argv, environment, part_bytes))
    process.start()
    assert process.pid is not None
    try:
        assert reached.wait(STARTS_WITHIN), f"{method} was never called"
    finally:
        os.kill(process.pid, by)
        if by != signal.SIGKILL:
            gone.set()  # it waits for what it has asked for
        process.join()
        gone.set()
    cloud.wait_for_end(others)
    cloud.forget_orders()
    return process.exitcode
