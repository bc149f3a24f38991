"""Replies with a file: ranges, validators, and headers that keep it from running in the server's origin."""

import mimetypes
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import flask
from werkzeug.http import is_resource_modified

from trainshed.domain.errors import ApiError, Fault
from trainshed.ports.blobs import BlobInfo, Blobs

# Python's own table, so that a type does not depend on what else is installed on the machine.
_TYPES = mimetypes.MimeTypes()

_OCTETS = "application/octet-stream"

# What a browser may show in its window: nothing in these is ever run. SVG is a document with scripts, and a browser's PDF
# viewer does not start in a sandbox.
_INLINE = ("image/", "audio/", "video/", "text/plain", "application/json")
_NEVER_INLINE = "image/svg+xml"


def download(blobs: Blobs, key: str, request: flask.Request) -> flask.Response:
    """The file, the part of it that was asked for, or 304. Raises NotFound, ApiError RANGE_NOT_SATISFIABLE."""
    with ExitStack() as stack:
        reader = stack.enter_context(blobs.open(key))
        info = reader.info
        response = flask.Response()
        response.set_etag(info.etag)
        response.last_modified = info.modified
        response.accept_ranges = "bytes"
        # Kept by the browser, never by a proxy, and asked for again each time: a key's content may be replaced.
        response.headers["Cache-Control"] = "private, no-cache"
        _describe(response, key, attachment="download" in request.args)
        if not is_resource_modified(request.environ, info.etag, last_modified=info.modified):
            response.status_code = 304
            return response
        start, stop = _span(request, response, info)
        response.content_length = stop - start
        response.response = _pieces(stack.pop_all(), reader.chunks(start, stop - start))
    return response


def _pieces(stack: ExitStack, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of the file, which stays open for as long as they are read.

    The response itself is gone by then: the server holds nothing but this iterator.
    """
    with stack:
        yield from chunks


def _describe(response: flask.Response, key: str, *, attachment: bool) -> None:
    kind, encoding = _TYPES.guess_type(key.rpartition("/")[2])
    # A .gz file is sent as the file it is. As Content-Encoding, clients would unpack it and miss its hash.
    kind = (f"application/{encoding}" if encoding else kind) or _OCTETS
    response.content_type = "text/plain; charset=utf-8" if kind == "text/plain" else kind
    shown = kind.startswith(_INLINE) and kind != _NEVER_INLINE and not attachment
    response.headers["Content-Disposition"] = _disposition("inline" if shown else "attachment", key)


def _disposition(how: str, key: str) -> str:
    name = key.rpartition("/")[2]
    plain = "".join(char if char.isascii() and (char.isalnum() or char in " ._-") else "_" for char in name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _span(request: flask.Request, response: flask.Response, info: BlobInfo) -> tuple[int, int]:
    """Start and stop of what to send; makes the response partial when that was asked for.

    Several ranges at once, and a range of a file that is not the one the client has a part of, give the whole file.
    """
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not _same_file(request, info):
        return 0, info.size
    first, last = wanted.ranges[0]
    start = max(first + info.size, 0) if first < 0 else first
    stop = info.size if last is None else min(last, info.size)
    if start >= stop:
        raise ApiError(Fault.RANGE_NOT_SATISFIABLE, f"it has {info.size} bytes", size=info.size)
    response.status_code = 206
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{info.size}"
    return start, stop


def _same_file(request: flask.Request, info: BlobInfo) -> bool:
    """Whether If-Range, if there is one, means the file as it is now."""
    condition = request.if_range
    if condition.date is not None:
        return condition.date == info.modified.replace(microsecond=0)
    return condition.etag is None or condition.etag == info.etag
