"""The API listener: /v<major.minor>/<service>.<action>, any HTTP method."""

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response

from trainshed.domain.errors import ApiError, Fault, InvalidRegex, StoreError, StoreFull
from trainshed.services import Services
from trainshed.transport import body, legacy, openapi, structs, version
from trainshed.transport.auth import Guard, Login
from trainshed.transport.call import Call
from trainshed.transport.envelope import Endpoint, failure, success
from trainshed.transport.table import ENDPOINTS, Effect, Entry, served
from trainshed.transport.wire.common import Empty

log = logging.getLogger(__name__)

_PATH = re.compile(r"/(?:v(?P<major>[0-9]{1,4})(?:\.(?P<minor>[0-9]{1,4}))?/)?(?P<name>[a-z_]+\.[a-z_0-9]+)/?\Z")
# The client's forked processes go on using the parent's connection, so that replies get mixed up: with these headers the
# connection ends with the reply.
_FORKING_CLIENTS = ("X-ClearML-Client", "X-Trains-Client")


class _Bare(Flask):
    """Hands every request to one function, whatever its path and method: a 404 or 405 of the framework's own would send the
    client into an endless loop, and its routing, contexts and signals are a fifth of the work of a small call.
    """

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        super().__init__("trainshed.api", static_folder=None)
        self._answer = answer

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        http = Request(environ)
        reply = self._answer(http)
        if reply.status_code != 200 or http.method == "HEAD" or not isinstance(reply.response, list):
            return reply(environ, start_response)
        # The listener sends a list in one piece; any other iterable costs it a turn of threads for each of its pieces.
        start_response(reply.status, reply.headers.to_wsgi_list())
        return reply.response


def create_api_app(services: Services, guard: Guard | None = None) -> Flask:
    """The WSGI application of the API listener. guard: the way in, as it is out of the box when left out."""
    entrance = guard or Guard(services.accounts, services.logins)
    structs.learn()
    room = body.Room()

    def answer(request: Request) -> Response:
        reply = entrance.preflight(request) or _answer(services, entrance, room, request)
        if any(name in request.headers for name in _FORKING_CLIENTS):
            reply.headers["Connection"] = "close"
        return entrance.finish(request, reply)

    return _Bare(answer)


def _answer(services: Services, guard: Guard, room: body.Room, http: Request) -> Response:
    endpoint = Endpoint()
    try:
        if http.path in ("/", "/health"):
            return success({}, endpoint)
        if http.path == openapi.PATH:  # to anybody: it says nothing that the documentation does not
            return openapi.reply(http)
        name, asked = _parse(http.path)
        endpoint = Endpoint(name, version.in_meta(asked), version.in_meta(min(asked, version.API)))
        entry = _look_up(name, asked)
        data = legacy.downgraded(name, asked, _call(services, guard, room, http, name, entry, asked))
        return data if isinstance(data, Response) else success(data, endpoint)
    except ApiError as error:
        return failure(error, endpoint)
    except StoreFull:
        log.error("%s refused: the disk is full", endpoint.name)
        return failure(ApiError(Fault.LOW_DISK_SPACE), endpoint)
    except InvalidRegex as error:
        return failure(ApiError(Fault.INVALID_REGEX, str(error)), endpoint)
    except StoreError:
        log.exception("%s failed in the store", endpoint.name)
        return failure(ApiError(Fault.UNAVAILABLE), endpoint)
    except Exception:
        log.exception("%s failed", endpoint.name)
        return failure(ApiError(Fault.INTERNAL), endpoint)


def _parse(path: str) -> tuple[str, tuple[int, int]]:
    match = _PATH.match(path)
    if match is None:
        if re.match(r"/v[^/]*/", path):
            raise ApiError(Fault.INVALID_PATH_VERSION, path.split("/")[1][:20])
        raise ApiError(Fault.UNKNOWN_ENDPOINT)
    asked = (int(match["major"]), int(match["minor"] or 0)) if match["major"] else version.API
    return match["name"], asked


def _look_up(name: str, asked: tuple[int, int]) -> Entry:
    if name not in ENDPOINTS:
        raise ApiError(Fault.UNKNOWN_ENDPOINT, name)
    entry = served(name, asked)
    if entry is None:
        raise ApiError(Fault.NOT_SUPPORTED, f"{name} came with version {version.text(ENDPOINTS[name].since)}")
    return entry


def _call(
    services: Services, guard: Guard, room: body.Room, http: Request, name: str, entry: Entry, asked: tuple[int, int]
) -> Any:
    # Who calls comes first: a stranger's body is not even read, or only a small one.
    login = _login(guard, http, name, entry)
    with body.held(http, room, stranger=login is None) as raw:
        if not entry.reports:
            _settle(services)
        arguments = {} if entry.batch else legacy.upgraded(name, asked, body.arguments(http, raw))
        call = Call(
            services=services,
            arguments=arguments,
            body=raw,
            version=asked,
            session=guard.session(http),
            login=login,
            address=http.remote_addr or "",
        )
        return entry.handler(call, _request(entry, http, raw, arguments))


def _settle(services: Services) -> None:
    """Let the documents know of every event that was acknowledged, before they answer."""
    try:
        services.events.settle()
    except StoreFull:  # reading and deleting go on
        log.warning("the disk is full: last values of tasks are not up to date")


def _login(guard: Guard, http: Request, name: str, entry: Entry) -> Login | None:
    if entry.login is False:
        return None
    try:
        login = guard.login(http, changes=entry.effect is not Effect.READS, passwords=name == "auth.login")
    except ApiError:
        if entry.login:
            raise
        return None
    login = guard.impersonate(login, http.headers.get("X-ClearML-Impersonate-As"))
    if not entry.allows(login.identity.role):
        raise ApiError(Fault.ROLE_NOT_ALLOWED, login.identity.role.value)
    return login


def _request(entry: Entry, http: Request, raw: bytes, arguments: dict[str, Any]) -> Any:
    if entry.batch:
        return Empty()
    from_query = not raw.strip()
    if from_query or not http.args:
        return body.convert(arguments, entry.request, from_text=from_query)
    # auth.login sends its lifetime in the query string beside a body.
    return body.convert({**http.args, **arguments}, entry.request, from_text=True)
