"""Names of stored files: a key is a relative path of plain segments, which cannot leave whatever root it is put under."""

import re
from urllib.parse import quote

from trainshed.domain.errors import ApiError, Fault

# The client cuts a segment at 250 characters, and a character is up to four bytes.
MAX_SEGMENT_BYTES = 1024
# A path is at most this long on Linux.
MAX_KEY_BYTES = 4096

# Not for a name that people see, and a header or a log line could be forged with them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What is left plain when the client encodes the folder of a task, whose name ends with the task's id.
_LEFT_BY_CLIENT = "'[]{}()$^,.; -_+-=/"
_TASK_FOLDER = re.compile(r".*?\.[0-9a-f]{32}(?=/)")
_TASK_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_DRIVE = re.compile(r"[A-Za-z]:")


def blob_key(raw: str) -> str:
    """The key of the file called `raw`, with or without a leading slash.

    The name is literal: the client uploads names that are percent-encoded in part and quotes them once more in the link,
    so unquoting here would make another file of it. Empty segments and "." count for nothing, as in any path.
    Raises ApiError VALIDATION_ERROR.
    """
    segments = [segment for segment in raw.split("/") if segment not in ("", ".")]
    if problem := _problem(segments):
        raise ApiError(Fault.VALIDATION_ERROR, f"file name {raw[:200]!r}: {problem}")
    return "/".join(segments)


def as_client_stored(key: str) -> str | None:
    """Under which key the client stored a file that one of its own half-quoted links names; None when that is no other.

    The client percent-encodes the project's and the task's name in what it uploads. The link that it keeps of a model which it
    uploads synchronously is that path, not quoted once more, so unquoting it makes another name of it.
    """
    folder = _TASK_FOLDER.match(key)
    if folder is None:
        return None
    stored = quote(folder[0], safe=_LEFT_BY_CLIENT) + key[folder.end() :]
    return stored if stored != key else None


def task_of(key: str) -> str | None:
    """The id of the task that the file belongs to: the client puts it into the path."""
    found = _TASK_ID.search(key)
    return found[0] if found else None


def _problem(segments: list[str]) -> str | None:
    if not segments:
        return "it is empty"
    try:
        lengths = [len(segment.encode()) for segment in segments]
    except UnicodeEncodeError:
        return "it is not valid text"
    if max(lengths) > MAX_SEGMENT_BYTES or sum(lengths) + len(lengths) > MAX_KEY_BYTES:
        return "it is too long"
    if _DRIVE.match(segments[0]):
        return "a drive letter leads out of the folder on some systems"
    return next(filter(None, map(_segment_problem, segments)), None)


def _segment_problem(segment: str) -> str | None:
    if segment == "..":
        return '".." leads out of the folder'
    if "\\" in segment:
        return "a backslash is a separator on some systems"
    return "it has control characters" if _CONTROL.search(segment) else None
