"""The form of every reply: {"meta": {...}, "data": {...}}, errors included.

Clients look at meta.result_code in one place and at the HTTP status in another, so both agree. A reply without a whole
`meta` sends the client into an endless loop: nothing but this module makes replies of the API.
"""

from typing import Any

import msgspec
from flask import Response

from trainshed.domain.errors import ApiError
from trainshed.domain.trace import request_id

_encode = msgspec.json.Encoder().encode
_HEADERS = (("X-Content-Type-Options", "nosniff"),)  # whatever text is in it, a browser takes it for nothing else


class Endpoint(msgspec.Struct, frozen=True):
    """What was asked for and what answers. Versions are never integers: the client's parser refuses those."""

    name: str = ""
    requested_version: str | float = "1.0"
    actual_version: str | float = "1.0"


class _Meta(msgspec.Struct):
    id: str
    trx: str
    endpoint: Endpoint
    result_code: int = 200
    result_subcode: int = 0
    result_msg: str = "OK"
    error_stack: str = ""
    error_data: dict[str, Any] = {}


class _Envelope(msgspec.Struct):
    meta: _Meta
    data: Any


def success(data: Any, endpoint: Endpoint) -> Response:
    """200 with `data`, which msgspec can encode."""
    name = request_id()
    return _reply(_Envelope(_Meta(name, name, endpoint), data))


def failure(error: ApiError, endpoint: Endpoint = Endpoint()) -> Response:
    """The error's code as HTTP status and in meta."""
    name = request_id()
    meta = _Meta(
        name,
        name,
        endpoint,
        error.fault.code,
        error.fault.subcode,
        error.message,
        error_data=error.data,
    )
    reply = _reply(_Envelope(meta, {}))
    if "retry_after" in error.data:
        reply.headers["Retry-After"] = str(round(error.data["retry_after"]))
    return reply


def _reply(envelope: _Envelope) -> Response:
    return Response(_encode(envelope), envelope.meta.result_code, _HEADERS, content_type="application/json")
