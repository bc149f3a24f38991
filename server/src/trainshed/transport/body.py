"""Request bodies: bounded reading, unpacking and decoding."""

import zlib
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from flask import Request

from trainshed.domain.errors import ApiError, Fault

MAX_BODY = 64 * 1024 * 1024  # bytes, unpacked; the client splits its batches at 15 MiB
MAX_DEPTH = 100  # of nested objects and lists: deeper ones could be stored, but not surely read back
_PIECE = 256 * 1024
# What msgspec raises for bytes that are not the JSON they should be.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")

# wbits of zlib for each Content-Encoding that clients send: 16 + 15 reads gzip, 15 zlib's own form of deflate.
_WINDOW = {"gzip": 31, "deflate": 15}


def read(request: Request) -> bytes:
    """The body, unpacked. Raises TOO_LARGE before more than MAX_BODY bytes are held, and INVALID_HEADERS."""
    encoding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity" and encoding not in _WINDOW:
        raise ApiError(Fault.INVALID_HEADERS, f"Content-Encoding {encoding!r} is not supported")
    unpacker = zlib.decompressobj(_WINDOW[encoding]) if encoding in _WINDOW else None
    pieces: list[bytes] = []
    size = received = 0
    stream = request.environ["wsgi.input"]
    while piece := stream.read(_PIECE):
        received += len(piece)
        piece = _unpack(unpacker, piece, MAX_BODY - size + 1) if unpacker else piece
        size += len(piece)
        if size > MAX_BODY:
            raise ApiError(Fault.TOO_LARGE, f"at most {MAX_BODY} bytes")
        pieces.append(piece)
    if received < (request.content_length or 0):
        raise ApiError(Fault.BAD_REQUEST, "the body ended before its length")
    if unpacker and pieces and not unpacker.eof:
        raise ApiError(Fault.BAD_REQUEST, "the packed body is not whole")
    return b"".join(pieces)


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
