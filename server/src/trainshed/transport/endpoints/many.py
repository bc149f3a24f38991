"""*_many: each is its single call, made for one id after the other."""

from collections.abc import Callable
from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.endpoints import batches, models, tasks
from trainshed.transport.wire import batches as batches_wire
from trainshed.transport.wire import models as models_wire
from trainshed.transport.wire import tasks as tasks_wire
from trainshed.transport.wire.common import Request

Reply = dict[str, Any]


def _tasks(call: Call, request: Any, single: Callable[[Call, Any], Reply], struct: type[Request]) -> Reply:
    """The single call's request has the fields of the many's, with `task` in the place of `ids`."""
    shared = {name: getattr(request, name) for name in request.__struct_fields__ if name != "ids"}
    return batches.each(request.ids, lambda task: single(call, struct(task=task, **shared)))


def delete_tasks(call: Call, request: tasks_wire.DeleteMany) -> Reply:
    return _tasks(call, request, tasks.delete, tasks_wire.Delete)


def publish_tasks(call: Call, request: tasks_wire.PublishMany) -> Reply:
    return _tasks(call, request, tasks.publish, tasks_wire.Publish)


def reset_tasks(call: Call, request: tasks_wire.ResetMany) -> Reply:
    def reset(call: Call, request: tasks_wire.Reset) -> Reply:
        reply = tasks.reset(call, request)
        return {**reply, "dequeued": bool(reply["dequeued"]["removed"])}

    return _tasks(call, request, reset, tasks_wire.Reset)


def stop_tasks(call: Call, request: tasks_wire.StopMany) -> Reply:
    return _tasks(call, request, tasks.stop, tasks_wire.Stop)


def archive_tasks(call: Call, request: tasks_wire.ArchiveMany) -> Reply:
    return batches.each(request.ids, lambda task: tasks.archive_one(call, request, task))


def unarchive_tasks(call: Call, request: tasks_wire.ArchiveMany) -> Reply:
    return batches.each(request.ids, lambda task: tasks.unarchive_one(call, request, task))


def archive_models(call: Call, request: batches_wire.Ids) -> Reply:
    def archive(model: str) -> Reply:
        call.services.archive.put_model(call.identity, model)
        return {"archived": True}

    return batches.each(request.ids, archive)


def unarchive_models(call: Call, request: batches_wire.Ids) -> Reply:
    def unarchive(model: str) -> Reply:
        call.services.archive.take_model(call.identity, model)
        return {"unarchived": True}

    return batches.each(request.ids, unarchive)


def delete_models(call: Call, request: models_wire.DeleteMany) -> Reply:
    return batches.each(
        request.ids, lambda model: models.delete(call, models_wire.Delete(model=model, force=request.force))
    )


def publish_models(call: Call, request: models_wire.PublishMany) -> Reply:
    def publish(model: str) -> Reply:
        single = models_wire.SetReady(
            model=model, force_publish_task=request.force_publish_task, publish_task=request.publish_tasks
        )
        return {**models.set_ready(call, single), "updated": True}

    return batches.each(request.ids, publish)
