"""PUT with Content-Range: an upload in parts, that goes on where it was cut."""

import re
from typing import NamedTuple

import flask
import msgspec

from trainshed.domain.errors import ApiError, Busy, Fault, NotFound, WrongOffset
from trainshed.domain.identity import Identity
from trainshed.ports.blobs import Upload
from trainshed.services.stored_files import StoredFiles
from trainshed.transport.files_digest import Digest, digest_of
from trainshed.transport.upload import Body

_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19})\s*")
_MAX_NAME = 200  # characters


class _Part(NamedTuple):
    """start and stop: of what comes; both 0 when it only asks what is there."""

    start: int
    stop: int
    size: int


def is_part(request: flask.Request) -> bool:
    """Whether the request has a part of a file, or asks how much of one is there."""
    return "Content-Range" in request.headers


def take_part(files: StoredFiles, key: str, request: flask.Request, identity: Identity) -> flask.Response:
    """Add what came to the upload, or say how much of it is there: 202 with Upload-Offset, and 200 once the file is stored.

    An upload is that of one user, of one path and size, and of one digest or Upload-Id if it is sent: with either nobody
    else's bytes get into it. Raises ApiError: UPLOAD_CONFLICT says where to go on.
    """
    part, digest = _part(request), digest_of(request)
    named = request.headers.get("Upload-Id", "")
    if len(named) > _MAX_NAME:
        raise ApiError(Fault.BAD_REQUEST, f"an Upload-Id has at most {_MAX_NAME} characters")
    upload = Upload(key=key, size=part.size, name="\n".join((identity.user, str(digest or ""), named)))
    try:
        held = _held(files, upload, part, request)
        if held == part.size:
            files.finish(upload, digest.check if digest else None)
            return _stored(key)
    except WrongOffset as error:
        raise ApiError(Fault.UPLOAD_CONFLICT, str(error), held=error.held) from error
    except Busy as error:
        raise ApiError(Fault.UPLOAD_CONFLICT, f"{error}; ask again in a moment") from error
    if part.stop == 0 and digest and _is_there(files, upload, digest):
        return _stored(key)
    response = flask.Response(
        msgspec.json.encode({"held": held, "size": part.size}), 202, content_type="application/json"
    )
    tell(response, held)
    return response


def tell(response: flask.Response, held: int) -> None:
    """Let the response say how much is there."""
    response.headers["Upload-Offset"] = str(held)
    if held:
        response.headers["Range"] = f"bytes=0-{held - 1}"


def _held(files: StoredFiles, upload: Upload, part: _Part, request: flask.Request) -> int:
    if part.stop == 0:
        return files.blobs.held(upload)
    return files.append(upload, part.start, Body(request))


def _part(request: flask.Request) -> _Part:
    header = request.headers["Content-Range"]
    found = _RANGE.fullmatch(header)
    if found is None:
        raise ApiError(
            Fault.BAD_REQUEST, f"Content-Range {header[:100]!r} is not as in bytes 0-99/1000, or bytes */1000"
        )
    size, sent = int(found[3]), Body(request).left
    if found[1] is None or request.method != "PUT":
        if sent:
            raise ApiError(Fault.BAD_REQUEST, "who asks how much is there sends nothing")
        return _Part(0, 0, size)
    start, stop = int(found[1]), int(found[2]) + 1
    if not start < stop <= size:
        raise ApiError(Fault.BAD_REQUEST, f"Content-Range {header[:100]!r}: there is no such part")
    if sent != stop - start:
        raise ApiError(Fault.BAD_REQUEST, f"Content-Length is to be {stop - start}, as Content-Range says")
    return _Part(start, stop, size)


def _is_there(files: StoredFiles, upload: Upload, digest: Digest) -> bool:
    """Whether the file is stored already: the answer to its last part may have been lost."""
    try:
        with files.blobs.open(upload.key) as reader:
            if reader.info.size != upload.size:
                return False
            digest.check(reader.chunks(0, upload.size))
    except (NotFound, ApiError):
        return False
    return True


def _stored(key: str) -> flask.Response:
    return flask.Response(msgspec.json.encode([key]), content_type="application/json")
