"""models.*"""

from typing import Any

from trainshed.ports.documents import Document
from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed, shown
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import models as wire
from trainshed.transport.wire.batches import OfProjects

Reply = dict[str, Any]


def get_by_id(call: Call, request: wire.GetById) -> Reply:
    return {"model": shown(call.services.models.get(call.identity, request.model))}


def get_all(call: Call, request: wire.GetAll) -> Reply:
    return listed("models", call.services.model_catalog.find(call.identity, listing(request, call.arguments)))


def get_all_ex(call: Call, request: wire.GetAllEx) -> Reply:
    found = call.services.model_catalog.find_joined(call.identity, listing(request, call.arguments))
    return listed("models", found, _with_stats) if request.include_stats else listed("models", found)


def _with_stats(model: Document) -> Document:
    return {**shown(model), "stats": {"labels_count": len(model.get("labels") or {})}}


def create(call: Call, request: wire.Create) -> Reply:
    return {"id": call.services.models.create(call.identity, sent(request)), "created": True}


def get_by_task_id(call: Call, request: wire.GetByTaskId) -> Reply:
    return {"model": shown(call.services.models.of_task(call.identity, request.task))}


def get_frameworks(call: Call, request: OfProjects) -> Reply:
    return {"frameworks": call.services.model_catalog.values(call.identity, "framework", request.projects)}


def update_for_task(call: Call, request: wire.UpdateForTask) -> Reply:
    fields = sent(request, "task", "override_model_id")
    model, changed = call.services.models.update_for_task(
        call.identity, request.task, fields, model_id=request.override_model_id or None
    )
    if changed is None:
        return {"id": model, "created": True}
    return {"id": model, "created": False, "updated": 1, "fields": changed}


def edit(call: Call, request: wire.Edit | wire.Update) -> Reply:
    fields = call.services.models.edit(call.identity, request.model, sent(request, "model"))
    return {"updated": 1, "fields": fields}


def set_ready(call: Call, request: wire.SetReady) -> Reply:
    published = call.services.models.set_ready(
        call.identity,
        request.model,
        publish_task=request.publish_task is not False,
        force_publish_task=bool(request.force_publish_task),
    )
    reply: Reply = {"updated": 1}
    if published is not None:
        task, fields = published
        reply["published_task"] = {"id": task, "data": {"updated": 1, "fields": fields}}
    return reply


def delete(call: Call, request: wire.Delete) -> Reply:
    uri = call.services.models.delete(call.identity, request.model, force=bool(request.force))
    return {"deleted": True, "url": uri}


def add_or_update_metadata(call: Call, request: wire.AddOrUpdateMetadata) -> Reply:
    items = [sent(item) for item in request.metadata]
    call.services.models.add_or_update_metadata(
        call.identity, request.model, items, replace=bool(request.replace_metadata)
    )
    return {"updated": 1}


def delete_metadata(call: Call, request: wire.DeleteMetadata) -> Reply:
    call.services.models.delete_metadata(call.identity, request.model, request.keys)
    return {"updated": 1}
