"""Files that are there whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainshed_provision.errors import Exit, ShedError


def write(path: Path, content: str | bytes) -> Path:
    """Put `content` at `path` by one rename, on disk before it has its name; an equal file stays as it is.

    Raises NO_SPACE on a full disk, MISSING where nothing may be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with said(path):
        if path.is_file() and path.read_bytes() == data:
            return path
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


@contextmanager
def said(path: Path) -> Iterator[None]:
    """Say as an expected error what the system does not let be written at `path`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ShedError(
            f"cannot write {path}: {error.strerror}",
            hint="free some space; nothing half-written was left" if full else "may you write there?",
            code=Exit.NO_SPACE if full else Exit.MISSING,
        ) from error
