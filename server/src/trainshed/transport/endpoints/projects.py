"""projects.*"""

from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed, shown
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import projects as wire
from trainshed.transport.wire.batches import SomeIds


def get_all(call: Call, request: wire.GetAll) -> dict[str, Any]:
    found = call.services.projects.find(call.identity, listing(request, call.arguments))
    return listed("projects", found)


def get_all_ex(call: Call, request: wire.GetAllEx) -> dict[str, Any]:
    found = call.services.project_stats.find(call.identity, listing(request, call.arguments))
    return listed("projects", found)


def get_by_id(call: Call, request: wire.GetById) -> dict[str, Any]:
    return {"project": shown(call.services.projects.get(call.identity, request.project))}


def create(call: Call, request: wire.Create) -> dict[str, Any]:
    return {"id": call.services.projects.create(call.identity, request.name, sent(request, "name"))}


def update(call: Call, request: wire.Update) -> dict[str, Any]:
    fields = call.services.projects.update(call.identity, request.project, sent(request, "project"))
    return {"updated": 1, "fields": fields}


def make_public(call: Call, request: SomeIds) -> dict[str, Any]:
    return {"updated": call.services.projects.make_public(call.identity, request.ids or [])}


def make_private(call: Call, request: SomeIds) -> dict[str, Any]:
    return {"updated": call.services.projects.make_private(call.identity, request.ids or [])}


# the tree


def move(call: Call, request: wire.Move) -> dict[str, Any]:
    location = (request.new_location or "").strip()
    return {"moved": call.services.project_tree.move(call.identity, request.project, location)}


def merge(call: Call, request: wire.Merge) -> dict[str, Any]:
    moved = call.services.project_tree.merge(call.identity, request.project, request.destination_project)
    return {"moved_entities": moved.entities, "moved_projects": moved.projects}


def validate_delete(call: Call, request: wire.GetById) -> dict[str, Any]:
    return call.services.project_deletion.contents(call.identity, request.project)


def delete(call: Call, request: wire.Delete) -> dict[str, Any]:
    return call.services.project_deletion.delete(
        call.identity,
        request.project,
        force=bool(request.force),
        with_contents=bool(request.delete_contents),
        with_files=request.delete_external_artifacts is not False,
    )
