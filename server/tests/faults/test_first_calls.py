"""The first calls of a server's life come all at once."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

# Each thread is about to be the first that uses a struct, and they change places as often as Python lets them.
_SCRIPT = """
import sys, threading
from pathlib import Path

import msgspec
from trainshed.bootstrap import build_apps, build_services
from trainshed.testing.api import memory_engines
from trainshed.transport.table import ENDPOINTS

engines = memory_engines(Path(sys.argv[1]))
build_apps(engines, build_services(engines, token_secret=b"x" * 32))
sys.setswitchinterval(1e-6)
FIELDS = {"task": "a", "name": "b", "type": "training", "hyperparams": {"Args": {"a": {"name": "x"}}}}
together = threading.Barrier(8)

def call():
    for entry in ENDPOINTS.values():
        together.wait()
        try:
            msgspec.convert(FIELDS, entry.request, strict=False)
        except msgspec.ValidationError:
            pass

threads = [threading.Thread(target=call) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_eight_threads_are_the_first_to_call_each_endpoint(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", _SCRIPT, str(tmp_path)], check=False).returncode == 0
