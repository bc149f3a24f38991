"""A small disk of its own for a data directory: it can lose power, and it can be filled. Linux, root, a free loop device."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# EXT4_IOC_SHUTDOWN with NOLOGFLUSH: the file system stops at once, and what was in memory alone is lost. Later calls fail.
_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)


class Disk:
    """An ext4 file system in a file, mounted at `path`."""

    def __init__(self, image: Path, path: Path) -> None:
        self.path = path
        self._image = image

    def mount(self) -> None:
        """Attach it, as at a boot: the journal is replayed."""
        subprocess.run(["mount", "-o", "loop", self._image, self.path], check=True, capture_output=True)

    def unmount(self) -> None:
        """Detach it."""
        subprocess.run(["umount", self.path], check=True, capture_output=True)

    def cut_power(self) -> None:
        """Stop it at this moment: only what was synced is there after the next mount."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(folder)

    @contextmanager
    def filled(self, leave: int) -> Iterator[None]:
        """Another file takes all of its space but so many bytes, until the end of the block."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while (disk := os.statvfs(self.path)).f_bavail * disk.f_frsize > leave:
                file.write(bytes(2**16))
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """A new disk, mounted until the end of the block. Skips the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own needs root")
    image, path = folder / "disk.img", folder / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-m0", "-F", image], check=True)
    made = Disk(image, path)
    try:
        made.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no disk of its own can be mounted here: {error.stderr.decode().strip()}")
    try:
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):
            made.unmount()
