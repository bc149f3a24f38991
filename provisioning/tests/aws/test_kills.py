"""A publication that is killed at any moment: nothing is there twice, nothing half-made stays, and the next run goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import HOME, OTHER, noise, published, read_back, write_disk

pytestmark = pytest.mark.faults

# The command's own publication, with the same spec as the test's: it is killed, and this test goes on in its place.
PUBLISH = f"""
import sys
from pathlib import Path
from trainshed_provision.publish.aws import copies
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws.disks import published
copies.POLL_SECONDS = 0.01  # the stand-in is not as slow
published(Aws(workers=2), Path(sys.argv[1]), regions={(HOME, OTHER)!r}, accounts=frozenset({{"111122223333"}}))
"""


@contextmanager
def publishing(disk: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", PUBLISH, str(disk)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def killer(number: int) -> tuple[list[subprocess.Popen[bytes]], Callable[[object], None]]:
    """Kills the process in the list at the call of this number."""
    victim: list[subprocess.Popen[bytes]] = []
    calls: list[object] = []

    def kill(call: object) -> None:
        calls.append(call)
        if len(calls) == number:
            os.kill(victim[0].pid, signal.SIGKILL)

    return victim, kill


@pytest.mark.parametrize(
    ("operation", "when", "number"),
    [
        pytest.param("StartSnapshot", "before", 1, id="before the snapshot"),
        pytest.param("StartSnapshot", "after", 1, id="the snapshot begun and not heard of"),
        pytest.param("PutSnapshotBlock", "before", 1, id="before the first block"),
        pytest.param("PutSnapshotBlock", "after", 3, id="in the middle of the upload"),
        pytest.param("CompleteSnapshot", "before", 1, id="before the snapshot is completed"),
        pytest.param("CompleteSnapshot", "after", 1, id="completed and not heard of"),
        pytest.param("RegisterImage", "before", 1, id="before the image"),
        pytest.param("RegisterImage", "after", 1, id="registered and not heard of"),
        pytest.param("ModifyImageAttribute", "after", 1, id="shared and not heard of"),
        pytest.param("EnableImageDeprecation", "after", 1, id="deprecated and not heard of"),
        pytest.param("PutParameter", "before", 1, id="before the name"),
        pytest.param("PutParameter", "after", 1, id="named at home and not heard of"),
        pytest.param("CopyImage", "before", 1, id="before the copy"),
        pytest.param("CopyImage", "after", 1, id="copied and not heard of"),
        pytest.param("PutParameter", "after", 2, id="all done and not heard of"),
    ],
)
def test_killed_and_resumed(cloud: StandIn, aws: Aws, disk: Path, operation: str, when: str, number: int) -> None:
    victim, kill = killer(number)
    (cloud.before if when == "before" else cloud.after)(operation, kill)
    with publishing(disk) as process:
        victim.append(process)
        assert process.wait(60) == -signal.SIGKILL
    cloud.clear()
    done = published(aws, disk, regions=(HOME, OTHER), accounts=frozenset({"111122223333"}))
    for region in (HOME, OTHER):
        images = aws.ec2(region).describe_images(Owners=["self"])["Images"]
        snapshots = aws.ec2(region).describe_snapshots(OwnerIds=["self"])["Snapshots"]
        assert [image["ImageId"] for image in images] == [done.images[region]]
        root = images[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        assert [(snapshot["SnapshotId"], snapshot["State"]) for snapshot in snapshots] == [(root, "completed")]
        assert images[0]["DeprecationTime"]
        name = "/trainshed/amd64/0.1.0/image_id"
        history = aws.client("ssm", region).get_parameter_history(Name=name)["Parameters"]
        assert [entry["Value"] for entry in history] == [done.images[region]]
    at_home = aws.ec2(HOME).describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["SnapshotId"]
    assert read_back(aws, at_home) == noise(0, 1, 7, 2046)
    assert published(aws, disk, regions=(HOME, OTHER), accounts=frozenset({"111122223333"})).steps == ()


MEASURE = """
import resource, sys
from pathlib import Path
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws.disks import published
published(Aws(workers=8, attempts=1), Path(sys.argv[1]), regions=("eu-central-1",))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_flat_at_any_size(cloud: StandIn, tmp_path: Path) -> None:
    """1 GiB and 4 GiB, some of it data."""
    peak: dict[int, int] = {}
    for gib in (1, 4):
        cloud.reset()
        size = gib << 30
        disk = sparse(tmp_path / str(gib), size=size, blocks=40 * gib)
        out = subprocess.run(
            [sys.executable, "-c", MEASURE, str(disk)], capture_output=True, check=True, text=True, timeout=120
        )
        peak[gib] = int(out.stdout)
        assert cloud.count("PutSnapshotBlock") == 40 * gib
    assert peak[4] < peak[1] * 1.05 + 4096


def sparse(folder: Path, *, size: int, blocks: int) -> Path:
    """A disk of so many blocks of one content, apart from each other."""
    data = next(iter(noise(0).values()))
    step = size // blocks // (512 * 1024)
    return write_disk(folder, {index * step: data for index in range(blocks)}, size=size)
