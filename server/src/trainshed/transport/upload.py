"""The body of an upload, straight from the connection: Werkzeug would wrap it, parse it or copy it."""

from collections.abc import Iterator
from typing import Any

import flask

from trainshed.domain.errors import ApiError, Fault

# Fewer and larger reads cost less; above this nothing more is gained.
_PIECE = 256 * 1024


class Body:
    """The request's bytes in pieces. Raises ApiError when the client leaves before all announced bytes came.

    A body in chunks (no Content-Length) ends in the same way whether it is whole or cut: only its content can tell.
    """

    def __init__(self, request: flask.Request) -> None:
        self._stream = request.environ["wsgi.input"]
        self._left = _length(request.environ)

    @property
    def left(self) -> int | None:
        """How many bytes are still to come; None: nobody knows."""
        return self._left

    def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        if self._left is None:
            return bytes(self._stream.read(_PIECE))
        if self._left == 0:
            return b""
        piece: bytes = self._stream.read(min(_PIECE, self._left))
        if not piece:
            raise ApiError(Fault.BAD_REQUEST, f"the body ends {self._left} bytes too early")
        self._left -= len(piece)
        return piece

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")

    def whole(self, limit: int) -> bytes:
        """A short body. Raises ApiError TOO_LARGE."""
        whole = b""
        for piece in self:
            whole += piece
            if len(whole) > limit:
                raise ApiError(Fault.TOO_LARGE, f"at most {limit} bytes")
        return whole


def _length(environ: dict[str, Any]) -> int | None:
    """None: until the stream ends. A server whose stream would not end by itself sends no such body."""
    text = environ.get("CONTENT_LENGTH") or ""
    if not text:
        return None if environ.get("wsgi.input_terminated") else 0
    if not (text.isascii() and text.isdigit()):
        raise ApiError(Fault.BAD_REQUEST, "Content-Length is not a number")
    return int(text)
