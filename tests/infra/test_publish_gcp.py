"""The baked archive goes to Google's stand-in by the command that people run, is killed on the way, and arrives as it was baked."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.infra.appliance import IMAGES, ROOT

from trainshed_provision.publish.gcp import bucket, tarball
from trainshed_provision.publish.gcp.api import COMPUTE_VARIABLE, STORAGE_VARIABLE
from trainshed_provision.spec import GIB
from trainshed_provision.testing import gcs
from trainshed_provision.testing.google import BUCKET, PROJECT, Google
from trainshed_provision.testing.loopback import Request

pytestmark = pytest.mark.image

MOST_MEMORY = 256 << 20  # bytes, of the whole program, for an archive of any size: Google's clients and eight chunks
SECONDS = 300


class Program:
    """`shed` in a process of its own."""

    def __init__(self, google: Google, *words: str) -> None:
        variables = {
            COMPUTE_VARIABLE: f"{google.endpoint}/compute/v1/",
            STORAGE_VARIABLE: google.endpoint,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainshed_provision", *words],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def memory(self) -> int:
        """Bytes that it has held at most."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) << 10

    def wait(self) -> dict[str, Any]:
        """What it printed, once it ended well."""
        out, err = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0, err
        assert "Warning" not in err  # as Google's clients give about versions of Python
        told: dict[str, Any] = json.loads(out)
        return told


def test_the_baked_archive_arrives_whole_after_a_kill(manifest: dict[str, Any]) -> None:
    file = manifest["files"]["gcp.tar.gz"]
    words = ["publish", "gcp", "--bucket", BUCKET, "--image", str(IMAGES / file["file"]), "--keep-archive", "--json"]
    parts = -(-file["bytes"] // tarball.PART_BYTES)
    with Google() as google:
        there = _killed(Program(google, *words), google)
        google.calls.clear()
        again, memory = Program(google, *words), list[int]()
        google.before("compute.images.insert", lambda request: memory.append(again.memory()))
        told = again.wait()

        assert 0 < there < parts
        assert google.calls.count("storage.objects.insert") == parts - there
        assert memory[0] <= MOST_MEMORY
        [image] = google.compute.images.values()
        assert (image["status"], image["labels"]["commit"]) == ("READY", manifest["commit"])
        assert int(image["diskSizeGb"]) * GIB == manifest["files"]["raw"]["bytes"]
        [stored] = google.storage.buckets[BUCKET].values()
    assert hashlib.sha256(stored.data).hexdigest() == file["sha256"] == told["sha256"]
    assert unpacked(stored.data) == manifest["files"]["raw"]["sha256"]


def _killed(program: Program, google: Google) -> int:
    """Kill it when one part is there at least, and others are on their way; how many are there."""
    chunks = -(-tarball.PART_BYTES // bucket.CHUNK_BYTES)
    after = bucket.WORKERS * (chunks - 1) + 1  # then one worker has sent all of one part
    reached, gone, others = threading.Event(), threading.Event(), google.connections()

    def hold(request: Request) -> None:
        while not google.storage.buckets[BUCKET]:
            gone.wait(0.01)
        reached.set()
        gone.wait(SECONDS)
        raise ConnectionAbortedError

    google.before(gcs.DATA, hold, skip=after, times=99)
    assert reached.wait(SECONDS)
    program.process.kill()
    program.process.communicate()
    gone.set()
    google.wait_for_end(others)
    google.forget_orders()
    return len(google.storage.buckets[BUCKET])


def unpacked(archive: bytes) -> str:
    """sha256 of the disk that Google makes of the archive."""
    digest = hashlib.sha256()
    with gzip.open(io.BytesIO(archive)) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        member = tar.next()
        assert member is not None
        disk = tar.extractfile(member)
        assert disk is not None
        while piece := disk.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
