"""The description of the API that programs read: OpenAPI 3.1, made from the endpoint table when somebody first asks for it."""

import gzip
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

import msgspec
from flask import Request, Response

from trainshed.domain.errors import Fault
from trainshed.domain.identity import Role
from trainshed.ports.events import AnyEvent
from trainshed.transport import version
from trainshed.transport.replies import REPLIES, File, Shape
from trainshed.transport.table import ENDPOINTS, Entry, first_version
from trainshed.transport.wire import tasks

Json = dict[str, Any]

PATH = "/openapi.json"
_ABOUT = (
    "Any HTTP method does, and any newer version in the path; a program that speaks an older version of the API names that one. "
    "Arguments are a JSON object; without a body they may be the query string. Fields that the server does not know are ignored. "
    "The HTTP status equals `meta.result_code`."
)
# The bodies that handlers decode themselves: of one, and of each line of a batch.
_BODIES: dict[str, Any] = {"events.add": AnyEvent, "events.add_batch": AnyEvent, "tasks.update_batch": tasks.Update}
_JSON = "application/json"
_LINES = "application/json-lines"
# Of the faults of the table, those that only the file listener answers with.
_NOT_HERE = {Fault.RANGE_NOT_SATISFIABLE}
_MODULES = "trainshed.transport.wire."  # what sets apart the structs that share a name begins with it

_META: Json = {
    "type": "object",
    "description": "What clients judge a reply by.",
    "properties": {
        "id": {"type": "string"},
        "trx": {"type": "string"},
        "endpoint": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "requested_version": {"type": ["string", "number"]},
                "actual_version": {"type": ["string", "number"]},
            },
            "required": ["name", "requested_version", "actual_version"],
        },
        "result_code": {"type": "integer"},
        "result_subcode": {"type": "integer"},
        "result_msg": {"type": "string"},
        "error_stack": {"type": "string", "const": ""},
        "error_data": {"type": "object"},
    },
}
_META["required"] = list(_META["properties"])


def reply(http: Request) -> Response:
    """The description, packed when the caller says that it can unpack."""
    response = Response(content_type=_JSON, headers={"Vary": "Accept-Encoding"})
    if http.accept_encodings.quality("gzip") > 0:
        response.data = _packed()
        response.headers["Content-Encoding"] = "gzip"
    else:
        response.data = _encoded()
    return response


@cache
def _packed() -> bytes:
    return gzip.compress(_encoded(), mtime=0)


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


def document() -> Json:
    """The whole description."""
    types = [*_request_types(), *dict.fromkeys(leaf for shape in REPLIES.values() for leaf in _leaves(shape))]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    of_type = dict(zip(types, schemas, strict=True))
    made: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Trainshed", "version": version.text(version.API), "description": _ABOUT},
        "servers": [{"url": f"/v{version.text(version.API)}"}],
        "tags": [{"name": service} for service in sorted({name.partition(".")[0] for name in ENDPOINTS})],
        "paths": {f"/{name}": {"post": _operation(name, entry, of_type)} for name, entry in sorted(ENDPOINTS.items())},
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "basic", "description": "An access key and its secret."},
                "token": {"type": "http", "scheme": "bearer", "description": "What auth.login gave."},
            },
            "schemas": {"Meta": _META, **components},
            "responses": {str(code): _failure(list(faults)) for code, faults in _faults()},
        },
    }
    short: Json = msgspec.json.decode(msgspec.json.encode(made).replace(_MODULES.encode(), b""))
    return short


def _request_types() -> list[Any]:
    return list(dict.fromkeys(_BODIES.get(name, entry.request) for name, entry in ENDPOINTS.items()))


def _operation(name: str, entry: Entry, of_type: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": name,
        "tags": [name.partition(".")[0]],
        "x-since": version.text(first_version(entry)),
        "x-roles": [role.value for role in Role if entry.allows(role)] if entry.login else [],
        "security": _security(entry),
        "requestBody": _body(name, entry, of_type),
        "responses": {"200": _success(REPLIES[name], of_type)}
        | {str(code): {"$ref": f"#/components/responses/{code}"} for code, _ in _faults()},
    }
    if said := (entry.handler.__doc__ or "").strip():
        operation["summary"] = said.partition("\n")[0].rstrip(".")
        operation["description"] = " ".join(said.split())
    return operation


def _security(entry: Entry) -> list[Json]:
    logins: list[Json] = [{"token": []}, {"key": []}]
    return logins if entry.login else [{}, *logins] if entry.login is None else []


def _body(name: str, entry: Entry, of_type: dict[Any, Json]) -> Json:
    schema = of_type[_BODIES.get(name, entry.request)]
    if entry.batch:
        lines = {"type": "string", "contentMediaType": _LINES, "description": "Each line is one JSON object."}
        return {"required": True, "content": {_LINES: {"schema": lines, "x-item-schema": schema}}}
    needed = name in _BODIES or any(field.required for field in msgspec.structs.fields(entry.request))
    return {"required": needed, "content": {_JSON: {"schema": schema}}}


def _success(shape: Shape, of_type: dict[Any, Json]) -> Json:
    if isinstance(shape, File):
        return {"description": "A file.", "content": {kind: {"schema": {"type": "string"}} for kind in shape.types}}
    return {"description": "It worked.", "content": {_JSON: {"schema": _envelope(_schema(shape, of_type), [200], [0])}}}


def _failure(faults: list[Fault]) -> Json:
    code = faults[0].code
    nothing: Json = {"type": "object", "maxProperties": 0}
    said = (f"{code}/{fault.subcode}: {fault.value.message}." for fault in faults)
    schema = _envelope(nothing, [code], sorted({fault.subcode for fault in faults}))
    return {"description": "\n".join(said), "content": {_JSON: {"schema": schema}}}


def _faults() -> Iterator[tuple[int, Iterator[Fault]]]:
    """Those of this listener, by code."""
    known = sorted(set(Fault) - _NOT_HERE, key=lambda fault: (fault.code, fault.subcode, fault.name))
    return groupby(known, key=lambda fault: fault.code)


def _envelope(data: Json, codes: list[int], subcodes: list[int]) -> Json:
    result = {"properties": {"result_code": {"enum": codes}, "result_subcode": {"enum": subcodes}}}
    return {
        "type": "object",
        "properties": {"meta": {"allOf": [{"$ref": "#/components/schemas/Meta"}, result]}, "data": data},
        "required": ["meta", "data"],
        "additionalProperties": False,
    }


def _leaves(shape: Shape) -> Iterator[Any]:
    """The types that the shape is made of."""
    if isinstance(shape, dict):
        shape = list(shape.values())
    if isinstance(shape, list):
        for inner in shape:
            yield from _leaves(inner)
    elif not isinstance(shape, File):
        yield shape


def _schema(shape: Shape, of_type: dict[Any, Json]) -> Json:
    if isinstance(shape, dict):
        return {"type": "object", "properties": {name: _schema(inner, of_type) for name, inner in shape.items()}}
    if isinstance(shape, list):
        return {"type": "array", "items": _schema(shape[0], of_type)}
    return of_type[shape]
