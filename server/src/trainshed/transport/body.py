"""Request bodies: bounded reading, unpacking and decoding."""

import zlib
from typing import Any, TypeVar

import msgspec
from flask import Request

from trainshed.domain.errors import ApiError, Fault

MAX_BODY = 64 * 1024 * 1024  # bytes, unpacked; the client splits its batches at 15 MiB
_PIECE = 256 * 1024
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
    size = 0
    stream = request.environ["wsgi.input"]
    while piece := stream.read(_PIECE):
        piece = _unpack(unpacker, piece, MAX_BODY - size + 1) if unpacker else piece
        size += len(piece)
        if size > MAX_BODY:
            raise ApiError(Fault.TOO_LARGE, f"at most {MAX_BODY} bytes")
        pieces.append(piece)
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
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(Fault.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ApiError(Fault.VALIDATION_ERROR, "the body is not a JSON object")
    return decoded


def convert(values: dict[str, Any], struct: type[T], *, from_text: bool) -> T:
    """The arguments as a request struct. from_text: values came from a query string, so numbers are text."""
    try:
        return msgspec.convert(values, struct, strict=not from_text)
    except msgspec.ValidationError as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def _plain(values: list[str]) -> Any:
    return values if len(values) > 1 else values[0]
