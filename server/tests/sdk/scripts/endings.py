"""Scripts that end in other ways than well. The first line says which task it is, for who watches from outside."""

import signal
import sys
import time

from clearml import Task

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background ignores it
task = Task.init(project_name="Sdk/endings", task_name=sys.argv[1])
print("task", task.id, flush=True)


def fails() -> None:
    print("about to fail")
    raise RuntimeError("on purpose: é")


def exits() -> None:
    sys.exit(3)


def waits() -> None:
    task.get_logger().report_scalar("loss", "all", value=1, iteration=1)
    task.flush(wait_for_uploads=True)
    print("ready", flush=True)
    end = time.monotonic() + 200
    while time.monotonic() < end:
        time.sleep(0.1)


globals()[sys.argv[1].split()[0]]()
