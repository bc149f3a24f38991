"""The files that TLS is served with, and when they were renewed."""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

Files = tuple[Path, Path]
_State = tuple[tuple[int, int, int], ...]


class Certificate:
    """find: names the files of the certificate and of its key; it may make them. Raises OSError."""

    def __init__(self, find: Callable[[], Files]) -> None:
        self._find = find
        self._loaded: _State | None = None
        self._refused: _State | None = None

    def files(self) -> Files:
        """The files, which can be served with. Raises OSError, of which SSLError is one."""
        files = self._find()
        state = _state(files)
        check(files)
        self._loaded = state
        return files

    def renewed(self) -> bool:
        """Whether others are there since files() that can be served with; of those that cannot, the log tells once."""
        try:
            files = self._find()
            state = _state(files)
        except OSError as error:
            log.warning("the certificate cannot be read: %s", error)
            return False
        if state in (self._loaded, self._refused):
            return False
        try:
            check(files)
        except OSError as error:  # its key may come in a moment
            self._refused = state
            log.warning("the certificate was renewed and cannot be used, so the former one is: %s", error)
            return False
        self._loaded = state
        log.info("the certificate was renewed")
        return True


def check(files: Files) -> None:
    """Raises OSError, of which SSLError is one, for files that nothing can be served with."""
    certificate, key = files
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        certificate, key, password=str
    )  # empty, or OpenSSL asks for it


def _state(files: Files) -> _State:
    return tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in (path.stat() for path in files))
