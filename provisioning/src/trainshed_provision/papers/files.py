"""Files that are there whole or not at all."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Put `content` at `path` by one rename, on disk before it has its name; an equal file stays as it is."""
    data = content.encode() if isinstance(content, str) else content
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
