"""What this process holds of the machine's memory and does not use. Where the C library is not glibc, nothing is done."""

import ctypes
import os
from pathlib import Path
from typing import Any

# Of mallopt. glibc makes eight arenas for each processor, and hundreds of threads leave their waste in all of them. The
# interpreter lets one thread at a time allocate nearly all that is allocated: few are enough. Two cost some of the processor.
_ARENA_MAX, _ARENAS = -8, 4
# A large body is a mapping of its own, which ends with it: by itself glibc stops doing so after the first one. The pieces
# that files are sent in stay below.
_MMAP_THRESHOLD, _MMAP_BYTES = -3, 4 * 2**20
_TRIM_THRESHOLD, _TRIM_BYTES = -1, 16 * 2**20
_WORTH_BYTES = 16 * 2**20  # more than after the last time: then looking through all that is free pays


class Memory:
    """The allocator. Make it before there are threads."""

    def __init__(self) -> None:
        self._library = _glibc()
        self._least = 0
        if self._library:
            self._library.mallopt(_ARENA_MAX, _ARENAS)
            self._library.mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
            self._library.mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)

    def give_back(self) -> bool:
        """To the machine, when there may be much that is free between things in use. There is never more to do: False."""
        if self._library and _held() > self._least + _WORTH_BYTES:
            self._library.malloc_trim(0)
            self._least = _held()
        return False


def _held() -> int:
    """Bytes, without those of files, which the machine can take back itself."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _glibc() -> Any:
    try:
        os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        return None
    return ctypes.CDLL(None)
