"""The file server: what the client uploads, by the path it chose.

Success is 200 and nothing else: the client takes 201 and 204 for failures. A missing file is 404.
"""

import logging
from collections.abc import Callable
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
from trainshed.domain.paths import as_client_stored, blob_key
from trainshed.services.file_links import SIGNATURE, FileLinks
from trainshed.services.stored_files import StoredFiles
from trainshed.transport import structs
from trainshed.transport.body import NOT_JSON
from trainshed.transport.download import download
from trainshed.transport.envelope import failure
from trainshed.transport.files_conditions import check, has_conditions
from trainshed.transport.files_digest import digest_of
from trainshed.transport.files_parts import is_part, take_part, tell
from trainshed.transport.multipart import file_parts
from trainshed.transport.upload import Body

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Answered without credentials, so that load balancers can ask.
_OPEN = {"/", "/health"}
_RESERVED = {*_OPEN, "/ready"}  # the last is answered before it comes here

# A list of names: some 100,000 of them.
_MAX_LIST_BYTES = 16 * 1024 * 1024

_STORE_FAULTS: dict[type[StoreError], Fault] = {
    NotFound: Fault.NOT_FOUND,
    InvalidKey: Fault.VALIDATION_ERROR,
    StoreFull: Fault.NO_ROOM,
}


class _AnyPath(BaseConverter):
    """Whatever is left of the URL, slashes included."""

    regex = ".*"
    part_isolating = False


class _Listed(msgspec.Struct):
    files: list[str]


def create_files_app(
    *, files: StoredFiles, authenticate: Callable[[flask.Request], Identity], links: FileLinks | None = None
) -> flask.Flask:
    """The WSGI application.

    authenticate: raises ApiError 401 unless the request says who it comes from. links: those that are as good as that.
    """
    structs.learn()
    app = flask.Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # or "//" becomes a redirect, which no client expects
    app.url_map.converters["any_path"] = _AnyPath

    @app.before_request
    def _login() -> None:
        if not (flask.request.path in _OPEN and flask.request.method in ("GET", "HEAD")):
            flask.g.identity = _identity(flask.request, authenticate, links)

    @app.get("/", provide_automatic_options=False)
    @app.get("/health", provide_automatic_options=False)
    def _health() -> flask.Response:
        return _json({"status": "ok"})

    @app.post("/", provide_automatic_options=False)
    def _upload() -> flask.Response:
        return _form(files, flask.request)

    @app.post("/delete_many", provide_automatic_options=False)
    def _delete_many() -> flask.Response:
        return _delete_listed(files, flask.request)

    @app.put("/<any_path:_>", provide_automatic_options=False)
    def _put_file(_: str) -> flask.Response:
        return _put(files, flask.request)

    @app.get("/<any_path:_>", provide_automatic_options=False)
    def _get_file(_: str) -> flask.Response:
        return _get(files, flask.request)

    @app.delete("/<any_path:_>", provide_automatic_options=False)
    def _delete_file(_: str) -> flask.Response:
        return _delete(files, flask.request)

    app.register_error_handler(Exception, _failed)
    app.after_request(_harmless)
    return app


def _identity(
    request: flask.Request, authenticate: Callable[[flask.Request], Identity], links: FileLinks | None
) -> Identity:
    """By a link, unless a header says who calls. Raises ApiError."""
    if links is None or SIGNATURE not in request.args or "Authorization" in request.headers:
        return authenticate(request)
    identity = links.identify(request.method, _path(request), request.args)
    if identity.role.only_reads and request.method not in ("GET", "HEAD"):
        raise ApiError(Fault.ROLE_NOT_ALLOWED, identity.role.value)
    return identity


def _form(files: StoredFiles, request: flask.Request) -> flask.Response:
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data":
        raise ApiError(Fault.BAD_REQUEST, "an upload is a form (multipart/form-data), or PUT")
    body, stored = Body(request), []
    for part in file_parts(body.read, boundary):
        key = _new_key(part.name)
        files.put(key, part.content, size=body.left)
        stored.append(key)
    if not stored:
        raise ApiError(Fault.BAD_REQUEST, "the form has no file")
    return _json(stored)


def _put(files: StoredFiles, request: flask.Request) -> flask.Response:
    key = _new_key(_path(request))
    _check_conditions(files, key, request)
    if is_part(request):
        return take_part(files, key, request, flask.g.identity)
    body, digest = _sized_body(request), digest_of(request)
    files.put(key, digest.checking(body) if digest else body, size=body.left)
    return _json([key])


def _get(files: StoredFiles, request: flask.Request) -> flask.Response:
    if is_part(request):  # a HEAD asks so how much of an upload is there
        return take_part(files, _new_key(_path(request)), request, flask.g.identity)
    return _existing(_path(request), lambda key: download(files, key, request))


def _delete(files: StoredFiles, request: flask.Request) -> flask.Response:
    def delete(key: str) -> str:
        _check_conditions(files, key, request)
        return files.delete(key)

    return _json([_existing(_path(request), delete)])


def _delete_listed(files: StoredFiles, request: flask.Request) -> flask.Response:
    if not files.policy.batch_delete:
        raise ApiError(Fault.SWITCHED_OFF, "fileserver.delete.allow_batch")
    return _json(_delete_each(files, _listed(request).files))


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


def _check_conditions(files: StoredFiles, key: str, request: flask.Request) -> None:
    """Raise PRECONDITION_FAILED when what is to be changed is not as the request requires."""
    if has_conditions(request):
        try:
            info = files.blobs.info(key)
        except NotFound:
            info = None
        check(request, info)


def _new_key(name: str) -> str:
    """The key for an upload. Raises ApiError also for a name that GET uses for something else."""
    key = blob_key(name)
    if f"/{key}" in _RESERVED:
        raise ApiError(Fault.VALIDATION_ERROR, f"the name {key!r} is reserved")
    return key


def _sized_body(request: flask.Request) -> Body:
    """A raw body whose end can be told from a broken connection."""
    body = Body(request)
    if body.left is None:
        raise ApiError(Fault.BAD_REQUEST, "Content-Length is needed: a body in chunks may be cut and nobody could tell")
    return body


def _listed(request: flask.Request) -> _Listed:
    try:
        return msgspec.json.decode(Body(request).whole(_MAX_LIST_BYTES), type=_Listed)
    except NOT_JSON as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def _delete_each(files: StoredFiles, paths: list[str]) -> dict[str, Any]:
    """Delete files, and folders of tasks, by path as it stands in a URL, quoted.

    {"deleted": {path: key}, "errors": {reason: [path, ...]}}
    """
    deleted: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for path in paths:
        try:
            deleted[path] = _existing(unquote(path, errors="strict"), partial(_delete_any, files))
        except (ApiError, StoreError, UnicodeDecodeError) as error:
            reason = "Not found" if isinstance(error, NotFound) else str(error)
            errors.setdefault(reason, []).append(path)
    return {"deleted": deleted, "errors": errors}


def _delete_any(files: StoredFiles, key: str) -> str:
    try:
        return files.delete(key)
    except NotFound:
        return files.delete_folder(key)


def _json(data: Any) -> flask.Response:
    return flask.Response(msgspec.json.encode(data), content_type="application/json")


def _harmless(response: flask.Response) -> flask.Response:
    """Nothing that a user stored may run as a page of this server, nor be taken for another type than it says."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


def _failed(error: Exception) -> flask.Response:
    fault = _api_error(error)
    if fault.fault is Fault.NO_ROOM:
        _log.error("%s %r refused: there is no room: %r", flask.request.method, flask.request.path, error)
    elif fault.fault in (Fault.INTERNAL, Fault.UNAVAILABLE):
        _log.error("%s %r failed", flask.request.method, flask.request.path, exc_info=error)
    response = failure(fault)
    if flask.request.method in ("PUT", "POST"):  # its body may not have been read to the end: nothing can follow it
        response.headers["Connection"] = "close"
    if fault.fault is Fault.RANGE_NOT_SATISFIABLE:
        response.headers["Content-Range"] = f"bytes */{fault.data['size']}"
    if "held" in fault.data:
        tell(response, fault.data["held"])
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
