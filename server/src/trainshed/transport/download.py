"""Replies with a file: ranges, validators, and headers that keep it from running in the server's origin."""

import mimetypes
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import flask

from trainshed.ports.blobs import BlobReader
from trainshed.services.stored_files import FilePolicy, StoredFiles
from trainshed.transport import files_conditions
from trainshed.transport.files_ranges import Span, spans

# Python's own table, so that a type does not depend on what else is installed on the machine.
_TYPES = mimetypes.MimeTypes()

_OCTETS = "application/octet-stream"
_LINK_SECONDS = 3600  # that an address of the object store is good for: to begin a download with, not to end it

# What a browser may show in its window: nothing in these is ever run. SVG is a document with scripts, and a browser's PDF
# viewer does not start in a sandbox.
_INLINE = ("image/", "audio/", "video/", "text/plain", "application/json")
_NEVER_INLINE = "image/svg+xml"


def download(files: StoredFiles, key: str, request: flask.Request) -> flask.Response:
    """The file, the parts of it that were asked for, or 304. Raises NotFound, ApiError for ranges and conditions."""
    kind, disposition = _described(key, attachment="download" in request.args)
    if files.policy.redirect and request.method == "GET":
        return _redirected(files, key, kind, disposition) or _streamed(files, key, request, kind, disposition)
    return _streamed(files, key, request, kind, disposition)


def _streamed(files: StoredFiles, key: str, request: flask.Request, kind: str, disposition: str) -> flask.Response:
    with ExitStack() as stack:
        reader = stack.enter_context(files.blobs.open(key))
        info = reader.info
        files_conditions.check(request, info)
        response = flask.Response(content_type=kind)
        response.set_etag(info.etag)
        response.last_modified = info.modified
        response.accept_ranges = "bytes"
        response.headers["Cache-Control"] = _caching(files.policy)
        response.headers["Content-Disposition"] = disposition
        if files_conditions.is_known(request, info):
            response.status_code = 304
            return response
        wanted = request.headers.get("Range") if files_conditions.is_same(request, info) else None
        parts = spans(wanted, info.size) if wanted else None
        content = _several(response, reader, parts) if parts and len(parts) > 1 else _one(response, reader, parts)
        response.response = _pieces(stack.pop_all(), content)
    return response


def _redirected(files: StoredFiles, key: str, kind: str, disposition: str) -> flask.Response | None:
    """To where the engine itself gives the file; None when it has no such address. Raises NotFound."""
    files.blobs.info(key)
    link = files.blobs.link(key, seconds=_LINK_SECONDS, content_type=kind, disposition=disposition)
    if link is None:
        return None
    response = flask.Response(status=307)
    response.location = link
    response.headers["Cache-Control"] = "no-store"
    return response


def _caching(policy: FilePolicy) -> str:
    """Kept by the browser, never by a proxy."""
    if policy.no_browser_caching:
        return "no-store"
    return f"private, max-age={policy.cache_seconds}" if policy.cache_seconds else "private, no-cache"


def _one(response: flask.Response, reader: BlobReader, parts: list[Span] | None) -> Iterator[bytes]:
    size = reader.info.size
    start, stop = parts[0] if parts else (0, size)
    if parts:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response.content_length = stop - start
    return reader.chunks(start, stop - start)


def _several(response: flask.Response, reader: BlobReader, parts: list[Span]) -> Iterator[bytes]:
    boundary, size = secrets.token_hex(16), reader.info.size
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {response.content_type}\r\nContent-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
        for start, stop in parts
    ]
    tail = f"\r\n--{boundary}--\r\n"
    response.status_code = 206
    response.content_type = f"multipart/byteranges; boundary={boundary}"
    response.content_length = sum(map(len, heads)) + sum(stop - start for start, stop in parts) + len(tail)

    def content() -> Iterator[bytes]:
        for head, (start, stop) in zip(heads, parts, strict=True):
            yield head.encode()
            yield from reader.chunks(start, stop - start)
        yield tail.encode()

    return content()


def _pieces(stack: ExitStack, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of the file, which stays open for as long as they are read.

    The response itself is gone by then: the server holds nothing but this iterator.
    """
    with stack:
        yield from chunks


def _described(key: str, *, attachment: bool) -> tuple[str, str]:
    """Content-Type and Content-Disposition."""
    kind, encoding = _TYPES.guess_type(key.rpartition("/")[2])
    # A .gz file is sent as the file it is. As Content-Encoding, clients would unpack it and miss its hash.
    kind = (f"application/{encoding}" if encoding else kind) or _OCTETS
    shown = kind.startswith(_INLINE) and kind != _NEVER_INLINE and not attachment
    disposition = _disposition("inline" if shown else "attachment", key)
    return "text/plain; charset=utf-8" if kind == "text/plain" else kind, disposition


def _disposition(how: str, key: str) -> str:
    name = key.rpartition("/")[2]
    plain = "".join(char if char.isascii() and (char.isalnum() or char in " ._-") else "_" for char in name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
