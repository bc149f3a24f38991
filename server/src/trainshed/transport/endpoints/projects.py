"""projects.*"""

from typing import Any

from trainshed.ports.documents import Document
from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import projects as wire


def _shown(project: Document) -> Document:
    # `path` is ours: the ids of the projects above.
    return {name: value for name, value in project.items() if name != "path"}


def get_all(call: Call, request: wire.GetAll) -> dict[str, Any]:
    found = call.services.projects.find(call.identity, listing(request, call.arguments))
    return listed("projects", found, _shown)


def get_by_id(call: Call, request: wire.GetById) -> dict[str, Any]:
    return {"project": _shown(call.services.projects.get(call.identity, request.project))}


def create(call: Call, request: wire.Create) -> dict[str, Any]:
    return {"id": call.services.projects.create(call.identity, request.name, sent(request, "name"))}


def update(call: Call, request: wire.Update) -> dict[str, Any]:
    fields = call.services.projects.update(call.identity, request.project, sent(request, "project"))
    return {"updated": 1, "fields": fields}
