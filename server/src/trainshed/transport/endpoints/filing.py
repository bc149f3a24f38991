"""tasks.* and models.*: what is done to both in the same way. Each handler is made for the filing of one collection."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from trainshed.domain.errors import ApiError, Fault
from trainshed.services import Services
from trainshed.services.filing import Filing
from trainshed.transport.call import Call
from trainshed.transport.wire import batches as wire

Reply = dict[str, Any]
Handler = Callable[[Call, Any], Reply]
Of = Callable[[Services], Filing]


def of_tasks(services: Services) -> Filing:
    return services.task_filing


def of_models(services: Services) -> Filing:
    return services.model_filing


def move(of: Of) -> Handler:
    def handler(call: Call, request: wire.Move) -> Reply:
        if request.project is UNSET and not request.project_name:
            raise ApiError(Fault.VALIDATION_ERROR, "either project or project_name is needed")
        project, name = request.project or None, request.project_name or None
        return {"project_id": of(call.services).move(call.identity, request.ids, project=project, name=name)}

    return handler


def update_tags(of: Of) -> Handler:
    def handler(call: Call, request: wire.UpdateTags) -> Reply:
        add, remove = request.add_tags or [], request.remove_tags or []
        return {"updated": of(call.services).update_tags(call.identity, request.ids or [], add=add, remove=remove)}

    return handler


def make_public(of: Of) -> Handler:
    def handler(call: Call, request: wire.SomeIds) -> Reply:
        return {"updated": of(call.services).make_public(call.identity, request.ids or [])}

    return handler


def make_private(of: Of) -> Handler:
    def handler(call: Call, request: wire.SomeIds) -> Reply:
        return {"updated": of(call.services).make_private(call.identity, request.ids or [])}

    return handler
