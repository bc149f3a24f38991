"""organization.*"""

from typing import Any

from flask import Response
from msgspec import json, to_builtins

from trainshed.services.organization import Column
from trainshed.transport.body import convert
from trainshed.transport.call import Call
from trainshed.transport.fields import listing
from trainshed.transport.wire import models as models_wire
from trainshed.transport.wire import organization as wire
from trainshed.transport.wire import tasks as tasks_wire
from trainshed.transport.wire.common import Empty, Listing

Reply = dict[str, Any]


def get_tags(call: Call, request: wire.GetTags) -> Reply:
    """The tags of tasks and models."""
    return call.services.facets.tags(
        call.identity, ["tasks", "models"], where=to_builtins(request.filter), system=bool(request.include_system)
    )


def get_user_companies(call: Call, request: Empty) -> Reply:
    """The one company of this server."""
    owners = [{**owner, "avatar": None} for owner in call.services.accounts.owners(call.identity.company)]
    return {"companies": [{"id": call.identity.company, "name": "", "allocated": len(owners), "owners": owners}]}


_KINDS = ("projects", "tasks", "models", "pipelines", "datasets", "reports")


def get_entities_count(call: Call, request: wire.GetEntitiesCount) -> Reply:
    """How many there are of each kind that was named."""
    shared = {name: getattr(request, name) for name in ("search_hidden", "allow_public", "active_users")}
    shared = {name: value for name, value in shared.items() if value is not None}
    counts = {}
    for kind in _KINDS:
        wanted = getattr(request, kind)
        if wanted is not None:
            arguments = {**listing(wanted, call.arguments[kind]), **shared}
            counts[kind] = call.services.organization.count(call.identity, kind, arguments)
    return counts


_LISTINGS: dict[str, type[Listing]] = {"task": tasks_wire.GetAllEx, "model": models_wire.GetAllEx}


def prepare_download_for_get_all(call: Call, request: wire.PrepareDownload) -> Reply:
    """Columns are the fields as they are mapped, or else as they are."""
    wanted = convert(call.arguments, _LISTINGS[request.entity_type], from_text=False)
    columns = [
        Column(
            item.field,
            item.name or item.field,
            {_text(value.key): _text(value.value) for value in item.values or ()},
        )
        for item in request.field_mappings
    ] or [Column(field, field, {}) for field in request.only_fields]
    arguments = listing(wanted, call.arguments)
    arguments.pop("scroll_id", None)
    return {"prepare_id": call.services.organization.prepare(request.entity_type, arguments, columns)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.encode(value).decode()


def download_for_get_all(call: Call, request: wire.Download) -> Response:
    """The prepared table as a file, sent while it is read."""
    lines = call.services.organization.download(call.identity, request.prepare_id)
    return Response(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="table.csv"', "X-Content-Type-Options": "nosniff"},
    )
