"""Request bodies: bounded reading, unpacking and decoding."""

import io
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from flask import Request

from trainshed.domain.errors import ApiError, Fault

MAX_BODY = 64 * 1024 * 1024  # bytes, unpacked; the client splits its batches at 15 MiB
MAX_DEPTH = 100  # of nested objects and lists: deeper ones could be stored, but not surely read back
SMALL = 256 * 1024  # bytes: up to here a body is read whoever sends it and however many are held
MOST_HELD = 512 * 1024 * 1024  # bytes of the larger ones at once
_RETRY_SECONDS = 2
_PIECE = 256 * 1024
# What an empty list or object takes when decoded, besides its text: bodies that are nothing else would be 25 times as large.
_CONTAINER = 80
# What msgspec raises for bytes that are not the JSON they should be.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")

# wbits of zlib for each Content-Encoding that clients send: 16 + 15 reads gzip, 15 zlib's own form of deflate.
_WINDOW = {"gzip": 31, "deflate": 15}


class Room:
    """For the bodies that are held at once, in all threads: many large ones must not take the memory of the machine."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self.most = most
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Raises BUSY, after which as much as before is taken."""
        with self._lock:
            if size > self._left:
                raise ApiError(Fault.BUSY, retry_after=_RETRY_SECONDS)
            self._left -= size

    def give_back(self, size: int) -> None:
        """What take() took."""
        with self._lock:
            self._left += size


@contextmanager
def held(request: Request, room: Room, *, stranger: bool) -> Iterator[bytes]:
    """The body, unpacked, which takes its room until the end of the block. stranger: nobody knows who sends it.

    Raises TOO_LARGE before more than MAX_BODY bytes are held, of a stranger SMALL; BUSY, INVALID_HEADERS and BAD_REQUEST.
    """
    taken = 0

    def take(size: int) -> None:
        nonlocal taken
        if taken + size > room.most:  # trying again would not help
            raise ApiError(Fault.TOO_LARGE, "it has too many lists and objects")
        room.take(size)
        taken += size

    try:
        yield _read(request, SMALL if stranger else MAX_BODY, take)
    finally:
        if taken:
            room.give_back(taken)


def _read(request: Request, most: int, take: Callable[[int], None]) -> bytes:
    encoding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity" and encoding not in _WINDOW:
        raise ApiError(Fault.INVALID_HEADERS, f"Content-Encoding {encoding!r} is not supported")
    unpacker = zlib.decompressobj(_WINDOW[encoding]) if encoding in _WINDOW else None
    gathered = io.BytesIO()  # it grows in place: pieces joined at the end would be there twice
    size = received = 0
    stream = request.environ["wsgi.input"]
    while piece := stream.read(_PIECE):
        received += len(piece)
        piece = _unpack(unpacker, piece, most - size + 1) if unpacker else piece
        size += gathered.write(piece)
        if size > most:
            raise ApiError(Fault.TOO_LARGE, f"at most {most} bytes")
        if size > SMALL:
            take(len(piece) + _CONTAINER * (piece.count(b"[") + piece.count(b"{")))
    if received < (request.content_length or 0):
        raise ApiError(Fault.BAD_REQUEST, "the body ended before its length")
    if unpacker and received and not unpacker.eof:
        raise ApiError(Fault.BAD_REQUEST, "the packed body is not whole")
    return gathered.getvalue()


def _unpack(unpacker: "zlib._Decompress", piece: bytes, limit: int) -> bytes:
    try:
        return unpacker.decompress(piece, limit)
    except zlib.error as error:
        raise ApiError(Fault.BAD_REQUEST, "the body cannot be unpacked") from error


def arguments(request: Request, body: bytes) -> dict[str, Any]:
    """The arguments of a call: the JSON object of the body, or else the query string's values."""
    if not body.strip():
        return {name: _plain(request.args.getlist(name)) for name in request.args}
    try:
        decoded = msgspec.json.decode(body)
    except NOT_JSON as error:
        raise ApiError(Fault.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ApiError(Fault.VALIDATION_ERROR, "the body is not a JSON object")
    _check_depth(decoded)
    return decoded


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _members(outer) if isinstance(inner, dict | list)]
        if not level:
            return
    raise ApiError(Fault.VALIDATION_ERROR, f"nested deeper than {MAX_DEPTH} levels")


def _members(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def convert(values: dict[str, Any], struct: type[T], *, from_text: bool) -> T:
    """The arguments as a request struct. from_text: values came from a query string, so numbers are text."""
    try:
        return msgspec.convert(values, struct, strict=not from_text)
    except msgspec.ValidationError as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def _plain(values: list[str]) -> Any:
    return values if len(values) > 1 else values[0]
