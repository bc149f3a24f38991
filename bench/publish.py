"""How fast a disk is uploaded to AWS, and how little of it the second time.

    python bench/publish.py [--runs N] [--mib N] [--workers N] [--json]

Against the stand-in for AWS in a process of its own, so its speed is the most there is. In the same run and turn by turn: our
upload, and a bare loop of the same calls with the same number of workers over the same blocks (read, SHA-256, PutSnapshotBlock)
that keeps no list, tries nothing again and says nothing. Our share is of the bare loop's speed, at least 85 % as promised. Then
the same disk with three blocks changed: how many are sent.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from trainshed_provision.publish.aws import blocklog, ebs
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.ebs import Upload
from trainshed_provision.publish.aws.spec import BLOCK
from trainshed_provision.testing.aws import apart, environment
from trainshed_provision.testing.aws.disks import HOME, noise, published, write_disk

Way = Callable[[Aws, Path, int], None]


class Taken(NamedTuple):
    """Seconds of one upload: on the clock, and of this process's processor."""

    wall: float
    processor: float


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each (%(default)s)")
    parser.add_argument("--mib", type=int, default=256, help="of data to upload (%(default)s)")
    parser.add_argument("--workers", type=int, default=16, help="at a time (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-publish-") as name, apart() as url:
        os.environ.update(environment(url, home=Path(name)))
        figures = measure(Path(name), runs=options.runs, blocks=options.mib * 2, workers=options.workers)
    if options.json:
        print(json.dumps(figures))
        return
    for row, value in figures.items():
        print(f"{row:44}{value:10.1f}")


def measure(folder: Path, *, runs: int, blocks: int, workers: int) -> dict[str, float]:
    """Speeds in MiB/s of data, medians; the share is the median of the shares of each turn."""
    aws = Aws(workers=workers)
    disk = folder / "disk.raw"
    with disk.open("wb") as file:
        for index in range(blocks):
            file.write(random.Random(index).randbytes(BLOCK))
    bare(aws, disk, min(blocks, 2 * workers))  # opens the connections
    taken: dict[Way, list[Taken]] = {bare: [], ours: []}
    for run in range(runs):
        for upload in (bare, ours) if run % 2 else (ours, bare):
            wall, processor = time.monotonic(), time.process_time()
            upload(aws, disk, blocks)
            taken[upload].append(Taken(time.monotonic() - wall, time.process_time() - processor))
    walls, processors = ({of: [getattr(t, kind) for t in taken[of]] for of in taken} for kind in Taken._fields)
    return {
        "bare loop, MiB/s": blocks / 2 / statistics.median(walls[bare]),
        "our upload, MiB/s": blocks / 2 / statistics.median(walls[ours]),
        "our share of its speed, %": 100 * share(walls[bare], walls[ours]),
        "its processor time of ours, %": 100 * share(processors[bare], processors[ours]),
        "blocks of the first image": (first := whole(aws, folder, {})),
        "blocks of the second, three changed": whole(aws, folder, dict(noise(3, 5, 700, seed=2)), first=first),
    }


def share(bare: list[float], ours: list[float]) -> float:
    """Median over the turns of what the bare loop took of what we took."""
    return statistics.median(b / o for b, o in zip(bare, ours, strict=True))


def bare(aws: Aws, disk: Path, blocks: int) -> None:
    """The calls and nothing else."""
    client, file = aws.client("ebs"), os.open(disk, os.O_RDONLY)
    snapshot = client.start_snapshot(VolumeSize=1)["SnapshotId"]

    def put(index: int) -> bytes:
        data = os.pread(file, BLOCK, index * BLOCK)
        digest = hashlib.sha256(data).digest()
        client.put_snapshot_block(
            SnapshotId=snapshot,
            BlockIndex=index,
            BlockData=data,
            DataLength=BLOCK,
            Checksum=base64.b64encode(digest).decode(),
            ChecksumAlgorithm="SHA256",
        )
        return digest

    with ThreadPoolExecutor(aws.workers) as pool:
        total = hashlib.sha256(b"".join(pool.map(put, range(blocks))))
    client.complete_snapshot(
        SnapshotId=snapshot,
        ChangedBlocksCount=blocks,
        Checksum=base64.b64encode(total.digest()).decode(),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    os.close(file)


def ours(aws: Aws, disk: Path, blocks: int) -> None:
    """What `shed publish aws` does with a disk."""
    snapshot = aws.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    with blocklog.opened(disk.with_name(f"{snapshot}.blocks"), blocks) as log:
        log.belongs_to(snapshot)
        upload = Upload(disk=disk, snapshot=snapshot, log=log)
        ebs.put_blocks(aws, upload, region=HOME, advance=lambda count: None, skip=lambda count: None)
        assert ebs.complete(aws, upload, region=HOME) == blocks
        log.finish(snapshot)


def whole(aws: Aws, folder: Path, changed: dict[int, bytes], *, first: float = 0) -> float:
    """Publish a disk with 64 blocks of data and some changed; how many were sent."""
    version = "0.2.0" if first else "0.1.0"
    disk = write_disk(folder / "images", {**noise(*range(64)), **changed}, version=version)
    quick = Aws(workers=aws.workers, pause=lambda seconds: None)
    with contextlib.redirect_stderr(io.StringIO()):
        return float(published(quick, disk, regions=(HOME,)).sent)


if __name__ == "__main__":
    main()
