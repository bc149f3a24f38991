"""A disk becomes a snapshot by EBS direct: 512 KiB blocks from many workers, no bucket and no machine in between.

Every block carries its SHA-256, and the whole their linear sum. Blocks that the parent snapshot has are not sent. Memory does
not depend on the size of the disk: a worker holds one block, and what is done is in a file (`blocklog`).
"""

import errno
import hashlib
import os
import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from trainshed_provision.publish.aws.blocklog import EMPTY, BlockLog
from trainshed_provision.publish.aws.client import Aws, passing, told
from trainshed_provision.publish.aws.spec import BLOCK

PATIENCE_SECONDS = 300.0  # with no block getting through; botocore has tried each several times by then
LONGEST_PAUSE = 20.0
NO_DATA = bytes(BLOCK)
NO_DATA_DIGEST = hashlib.sha256(NO_DATA).digest()


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One disk into one pending snapshot. parent: the log of the snapshot that it starts as, None for a blank one."""

    disk: Path
    snapshot: str
    log: BlockLog
    parent: BlockLog | None = None
    skip_zeros: bool = False

    def sent(self, index: int, digest: bytes) -> bool:
        """Whether this block must be sent. Says the same in every run: AWS is told how many there were."""
        if self.parent is not None:
            return index >= self.parent.blocks or self.parent[index] != digest
        return not (self.skip_zeros and digest == NO_DATA_DIGEST)


class Patience:
    """How long we go on while nothing gets through: one for all workers, since one network fails them all."""

    def __init__(self, seconds: float, *, pause: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._seconds, self._pause, self._clock = seconds, pause, clock
        self._good = clock()

    def renew(self) -> None:
        """Something got through."""
        self._good = self._clock()

    def wait(self, tries: int) -> bool:
        """Wait before another try; False when it has been long enough."""
        if self._clock() - self._good > self._seconds:
            return False
        self._pause(random.uniform(0.1, min(LONGEST_PAUSE, 2.0**tries)))  # noqa: S311 - spreads the workers
        return True


def put_blocks(
    aws: Aws,
    upload: Upload,
    *,
    region: str,
    advance: Callable[[int], None],
    skip: Callable[[int], None],
    patience: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Send what is not there yet. advance, skip: told of bytes sent, and of bytes that need not be.

    Raises ShedError for what no patience mends; what is there by then stays, and is in the log.
    """
    client, waiting = aws.client("ebs", region), Patience(patience, pause=aws.pause, clock=clock)
    indices, stop = iter(range(upload.log.blocks)), threading.Event()  # next() of a range is one step, whoever calls

    def work() -> None:
        try:
            for index in indices:
                if stop.is_set():
                    return
                told_of = advance if _bring(client, upload, index, file, waiting) else skip
                told_of(BLOCK)
        except BaseException:
            stop.set()
            raise

    file = os.open(upload.disk, os.O_RDONLY)
    try:
        with ThreadPoolExecutor(aws.workers) as pool, told(region):
            workers = [pool.submit(work) for _ in range(aws.workers)]
            try:
                for worker in workers:
                    worker.result()
            finally:
                stop.set()
    finally:
        os.close(file)


def _bring(client: Any, upload: Upload, index: int, file: int, waiting: Patience) -> bool:
    """One block; whether it was sent."""
    if upload.log[index] != EMPTY:
        return False
    data = _read(file, index)
    digest = NO_DATA_DIGEST if data is NO_DATA else hashlib.sha256(data).digest()
    sent = upload.sent(index, digest)
    if sent:
        _put(client, upload.snapshot, index, data, digest, waiting)
    upload.log[index] = digest
    return sent


def _read(file: int, index: int) -> bytes:
    """A block; NO_DATA itself for a hole, which is not read. After the end of the disk there are zeros."""
    start = index * BLOCK
    try:
        if os.lseek(file, start, os.SEEK_DATA) >= start + BLOCK:
            return NO_DATA
    except OSError as error:
        if error.errno != errno.ENXIO:  # nothing but a hole from here on, or the end
            raise
        return NO_DATA
    return os.pread(file, BLOCK, start).ljust(BLOCK, b"\0")


def _put(client: Any, snapshot: str, index: int, data: bytes, digest: bytes, waiting: Patience) -> None:
    tries = 0
    while True:
        try:
            client.put_snapshot_block(
                SnapshotId=snapshot,
                BlockIndex=index,
                BlockData=data,
                DataLength=BLOCK,
                Checksum=b64encode(digest).decode(),
                ChecksumAlgorithm="SHA256",
            )
        except (ClientError, BotoCoreError) as error:
            if not passing(error) or not waiting.wait(tries):
                raise
            tries += 1
        else:
            waiting.renew()
            return


def complete(aws: Aws, upload: Upload, *, region: str) -> int:
    """Seal the snapshot; return how many blocks were sent into it. Raises ShedError unless AWS has the very same blocks."""
    total, count = hashlib.sha256(), 0
    for index, digest in enumerate(upload.log.entries()):
        if upload.sent(index, digest):
            total.update(digest)
            count += 1
    with told(region):
        aws.client("ebs", region).complete_snapshot(
            SnapshotId=upload.snapshot,
            ChangedBlocksCount=count,
            Checksum=b64encode(total.digest()).decode(),
            ChecksumAlgorithm="SHA256",
            ChecksumAggregationMethod="LINEAR",
        )
    return count
