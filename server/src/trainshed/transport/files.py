"""The file server: what the client uploads, by the path it chose.

Success is 200 and nothing else: the client takes 201 and 204 for failures. A missing file is 404.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

import flask
import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.routing import BaseConverter

from trainshed.domain.errors import ApiError, Fault, InvalidKey, NotFound, StoreError, StoreFull
from trainshed.domain.identity import Identity
from trainshed.domain.paths import as_client_stored, blob_key, task_of
from trainshed.ports.blobs import Blobs
from trainshed.transport import structs
from trainshed.transport.body import NOT_JSON
from trainshed.transport.download import download
from trainshed.transport.envelope import failure
from trainshed.transport.multipart import file_parts
from trainshed.transport.upload import Body

T = TypeVar("T")

_TELL_SECONDS = 60  # between two signs of life of an upload

_log = logging.getLogger(__name__)

# Answered without credentials, so that load balancers can ask.
_OPEN = {"/", "/health"}

# A list of names: some 100,000 of them.
_MAX_LIST_BYTES = 16 * 1024 * 1024

_STORE_FAULTS: dict[type[StoreError], Fault] = {
    NotFound: Fault.NOT_FOUND,
    InvalidKey: Fault.VALIDATION_ERROR,
    StoreFull: Fault.LOW_DISK_SPACE,
}


class _AnyPath(BaseConverter):
    """Whatever is left of the URL, slashes included."""

    regex = ".*"
    part_isolating = False


class _Listed(msgspec.Struct):
    files: list[str]


def create_files_app(
    *,
    blobs: Blobs,
    authenticate: Callable[[flask.Request], Identity],
    uploading: Callable[[str], None] = lambda task: None,
) -> flask.Flask:
    """The WSGI application.

    authenticate: raises ApiError 401 unless the request says who it comes from. uploading: told the task of each upload.
    """
    structs.learn()
    store = partial(_store, blobs, uploading)
    app = flask.Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # or "//" becomes a redirect, which no client expects
    app.url_map.converters["any_path"] = _AnyPath

    @app.before_request
    def _login() -> None:
        if not (flask.request.path in _OPEN and flask.request.method in ("GET", "HEAD")):
            authenticate(flask.request)

    @app.get("/", provide_automatic_options=False)
    @app.get("/health", provide_automatic_options=False)
    def _health() -> flask.Response:
        return _json({"status": "ok"})

    @app.post("/", provide_automatic_options=False)
    def _upload() -> flask.Response:
        boundary = flask.request.mimetype_params.get("boundary", "")
        if flask.request.mimetype != "multipart/form-data":
            raise ApiError(Fault.BAD_REQUEST, "an upload is a form (multipart/form-data), or PUT")
        stored = [store(part.name, part.content) for part in file_parts(Body(flask.request).read, boundary)]
        if not stored:
            raise ApiError(Fault.BAD_REQUEST, "the form has no file")
        return _json(stored)

    @app.post("/delete_many", provide_automatic_options=False)
    def _delete_many() -> flask.Response:
        return _json(_delete_each(blobs, _listed(flask.request).files))

    @app.put("/<any_path:_>", provide_automatic_options=False)
    def _put(_: str) -> flask.Response:
        return _json([store(_path(flask.request), _sized_body(flask.request))])

    @app.get("/<any_path:_>", provide_automatic_options=False)
    def _get(_: str) -> flask.Response:
        return _existing(_path(flask.request), lambda key: download(blobs, key, flask.request))

    @app.delete("/<any_path:_>", provide_automatic_options=False)
    def _delete(_: str) -> flask.Response:
        return _json([_existing(_path(flask.request), lambda key: _deleted(blobs, key))])

    app.register_error_handler(Exception, _failed)
    app.after_request(_harmless)
    return app


def _store(blobs: Blobs, uploading: Callable[[str], None], name: str, content: Iterable[bytes]) -> str:
    key = _new_key(name)
    task = task_of(key)
    if task is None:
        blobs.put(key, content)
    else:
        blobs.put(key, _told(content, partial(uploading, task)))
        uploading(task)
    return key


def _told(content: Iterable[bytes], uploading: Callable[[], None]) -> Iterator[bytes]:
    """The content, while somebody is told now and then that it comes: it may take hours."""
    last = None
    for piece in content:
        now = time.monotonic()
        if last is None or now - last >= _TELL_SECONDS:
            uploading()
            last = now
        yield piece


def _path(request: flask.Request) -> str:
    """The URL's path, which the WSGI server unquoted once; never again here. Not request.path: that mends bad UTF-8."""
    try:
        return str(request.environ["PATH_INFO"]).encode("latin-1").decode()
    except UnicodeError as error:
        raise ApiError(Fault.VALIDATION_ERROR, "the path is not UTF-8") from error


def _existing(path: str, use: Callable[[str], T]) -> T:
    """Use the file with this path, or else the one that the client means by it. Raises NotFound."""
    key = blob_key(path)
    try:
        return use(key)
    except NotFound:
        stored = as_client_stored(key)
        if stored is None:
            raise
        return use(stored)


def _deleted(blobs: Blobs, key: str) -> str:
    blobs.delete(key)
    return key


def _new_key(name: str) -> str:
    """The key for an upload. Raises ApiError also for a name that GET uses for something else."""
    key = blob_key(name)
    if f"/{key}" in _OPEN:
        raise ApiError(Fault.VALIDATION_ERROR, f"the name {key!r} is reserved")
    return key


def _sized_body(request: flask.Request) -> Body:
    """A raw body whose end can be told from a broken connection."""
    if "Content-Range" in request.headers:
        raise ApiError(Fault.BAD_REQUEST, "a part of a file cannot be stored")
    body = Body(request)
    if not body.length_known:
        raise ApiError(Fault.BAD_REQUEST, "Content-Length is needed: a body in chunks may be cut and nobody could tell")
    return body


def _listed(request: flask.Request) -> _Listed:
    try:
        return msgspec.json.decode(Body(request).whole(_MAX_LIST_BYTES), type=_Listed)
    except NOT_JSON as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def _delete_each(blobs: Blobs, files: list[str]) -> dict[str, Any]:
    """Delete by path as it stands in a URL, quoted. {"deleted": {path: key}, "errors": {reason: [path, ...]}}"""
    deleted: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for file in files:
        try:
            deleted[file] = _existing(unquote(file, errors="strict"), lambda key: _deleted(blobs, key))
        except (ApiError, StoreError, UnicodeDecodeError) as error:
            reason = "Not found" if isinstance(error, NotFound) else str(error)
            errors.setdefault(reason, []).append(file)
    return {"deleted": deleted, "errors": errors}


def _json(data: Any) -> flask.Response:
    return flask.Response(msgspec.json.encode(data), content_type="application/json")


def _harmless(response: flask.Response) -> flask.Response:
    """Nothing that a user stored may run as a page of this server, nor be taken for another type than it says."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


def _failed(error: Exception) -> flask.Response:
    fault = _api_error(error)
    if fault.fault is Fault.LOW_DISK_SPACE:
        _log.error("%s %r refused: the disk is full: %r", flask.request.method, flask.request.path, error)
    elif fault.fault in (Fault.INTERNAL, Fault.UNAVAILABLE):
        _log.error("%s %r failed", flask.request.method, flask.request.path, exc_info=error)
    response = failure(fault)
    if flask.request.method in ("PUT", "POST"):  # its body may not have been read to the end: nothing can follow it
        response.headers["Connection"] = "close"
    if fault.fault is Fault.RANGE_NOT_SATISFIABLE:
        response.headers["Content-Range"] = f"bytes */{fault.data['size']}"
    return response


def _api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, StoreError):
        return ApiError(_STORE_FAULTS.get(type(error), Fault.UNAVAILABLE), str(error))
    if isinstance(error, NoRoute | MethodNotAllowed):
        return ApiError(Fault.UNKNOWN_ENDPOINT)
    if isinstance(error, HTTPException):
        return ApiError(Fault.BAD_REQUEST, error.description or "")
    return ApiError(Fault.INTERNAL)
