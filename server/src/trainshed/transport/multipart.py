"""Reads multipart/form-data as it arrives, in constant memory and without files of its own.

Werkzeug's parser takes 2.4 times the CPU and copies each file to a temporary one first.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from trainshed.domain.errors import ApiError, Fault

# More than any client sends; what is longer is not a form.
_MAX_HEADER_BYTES = 16 * 1024
_MAX_FIELD_BYTES = 1024 * 1024
_MAX_PARTS = 1000

# RFC 2046 stops at 70 characters; some makers of forms, who put the time and a random number into it, do not.
_BOUNDARY = re.compile(r"[\x20-\x7e]{0,199}[\x21-\x7e]")
# A quoted value escapes only the quote: backslashes in file names are sent as they are.
_PARAMETER = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:\\"|[^"])*)"|([^;"]*))')


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file of the form. content: to be read before the next part is asked for; what is left of it is skipped."""

    name: str
    content: Iterator[bytes]


def file_parts(read: Callable[[], bytes], boundary: str) -> Iterator[FilePart]:
    """The files of a form, in order; ordinary fields are skipped.

    read: the next bytes of the body, in pieces of any size, b"" at its end. name: the field's name, which is the target
    of the upload. Raises ApiError, also while a content is read: when the body ends too early its last file is not whole.
    """
    if not _BOUNDARY.fullmatch(boundary):
        _refuse("its boundary is missing or malformed")
    source = _Source(read, b"\r\n--" + boundary.encode())
    _skip(source.until_delimiter(), _MAX_FIELD_BYTES)
    for _ in range(_MAX_PARTS):
        if source.ends_here():
            _skip(iter(read, b""), _MAX_FIELD_BYTES)
            return
        name = _file_name(source.header())
        content = source.until_delimiter()
        if name is None:
            _skip(content, _MAX_FIELD_BYTES)
            continue
        yield FilePart(name=name, content=content)
        for _ in content:
            pass
    raise ApiError(Fault.TOO_LARGE, f"a form has at most {_MAX_PARTS} parts")


class _Source:
    """The body, cut at its delimiters."""

    def __init__(self, read: Callable[[], bytes], delimiter: bytes) -> None:
        self._read = read
        self._delimiter = delimiter
        self._rest = b"\r\n"  # the first delimiter may stand at the very beginning

    def until_delimiter(self) -> Iterator[bytes]:
        """What comes before the next delimiter. The last piece is given out only once that delimiter is seen whole."""
        delimiter = self._delimiter
        while (found := self._rest.find(delimiter)) < 0:
            piece, self._rest = _split_before(self._rest, delimiter)
            if piece:
                yield piece
            self._more()
        piece, self._rest = self._rest[:found], self._rest[found + len(delimiter) :]
        self._end_of_line()
        if piece:
            yield piece

    def ends_here(self) -> bool:
        return self._rest.startswith(b"--")

    def header(self) -> bytes:
        """The lines up to the next empty one; the source stands behind a delimiter."""
        while (found := self._rest.find(b"\r\n\r\n")) < 0:
            if len(self._rest) > _MAX_HEADER_BYTES:
                _refuse("the header of a part is too long")
            self._more()
        header, self._rest = self._rest[:found], self._rest[found + 4 :]
        return header

    def _end_of_line(self) -> None:
        """Check what follows a delimiter: "--" after the last part, else padding and a line break, which is kept."""
        while True:
            line = self._rest.lstrip(b" \t")
            if line.startswith((b"--", b"\r\n")):
                self._rest = line
                return
            if len(line) >= 2 or len(self._rest) > _MAX_HEADER_BYTES:
                _refuse("text follows a boundary on its line")
            self._more()

    def _more(self) -> None:
        piece = self._read()
        if not piece:
            _refuse("the body ends before the form does")
        self._rest = self._rest + piece if self._rest else piece


def _split_before(data: bytes, delimiter: bytes) -> tuple[bytes, bytes]:
    """Data in two: what no delimiter begins in, and an end that one may begin with."""
    start = data.rfind(b"\r", max(0, len(data) - len(delimiter) + 1))  # a delimiter has one CR, at its start
    if start >= 0 and delimiter.startswith(data[start:]):
        return data[:start], data[start:]
    return data, b""


def _skip(content: Iterator[bytes], limit: int) -> None:
    for piece in content:
        limit -= len(piece)
        if limit < 0:
            raise ApiError(Fault.TOO_LARGE, "a form's fields are for short values, files have a file name")


def _file_name(header: bytes) -> str | None:
    """The target of a file; None for an ordinary field."""
    try:
        parameters = _disposition(header.decode())
    except UnicodeDecodeError:
        _refuse("the header of a part is not UTF-8")
    if "filename" not in parameters:
        return None
    return parameters.get("name") or parameters["filename"]


def _disposition(header: str) -> dict[str, str]:
    for line in re.sub(r"\r\n[ \t]+", " ", header).split("\r\n"):
        field, _, value = line.partition(":")
        if field.strip().lower() == "content-disposition":
            return _parameters(value)
    return {}


def _parameters(value: str) -> dict[str, str]:
    """Parameters of a header. name*=charset'language'quoted is decoded and comes before name=."""
    plain, extended = {}, {}
    for name, quoted, token in _PARAMETER.findall(value):
        if name.endswith("*"):
            extended[name[:-1].lower()] = _extended(token.strip())
        else:
            plain[name.lower()] = quoted.replace('\\"', '"') or token.strip()
    return plain | extended


def _extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    if charset.lower() not in ("utf-8", "iso-8859-1"):
        _refuse("a file name is in an unknown encoding")
    return unquote_to_bytes(rest.partition("'")[2]).decode(charset)


def _refuse(problem: str) -> NoReturn:
    raise ApiError(Fault.BAD_REQUEST, f"multipart form: {problem}")
