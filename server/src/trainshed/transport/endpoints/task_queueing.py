"""tasks.enqueue, tasks.dequeue, and the same for many."""

from typing import Any

from trainshed.domain.status import Status
from trainshed.transport.call import Call
from trainshed.transport.endpoints.batches import each
from trainshed.transport.wire import task_queueing as wire

Reply = dict[str, Any]


def _enqueue(call: Call, request: wire.Reason, task: str, queue: str, **options: bool) -> Reply:
    fields = call.services.task_queueing.enqueue(
        call.identity,
        task,
        queue,
        reason=request.status_reason,
        message=request.status_message,
        **options,
    )
    return {"updated": 1, "fields": fields}


def _watched(call: Call, queue: str, asked: bool | None) -> Reply:
    return {"queue_watched": call.services.task_queueing.is_watched(call.identity, queue)} if asked else {}


def enqueue(call: Call, request: wire.Enqueue) -> Reply:
    call.services.tasks.get(call.identity, request.task)  # no queue is made for a task that is not there
    queue = call.services.task_queueing.queue_for(call.identity, request.queue, request.queue_name)
    update = request.update_execution_queue is not False
    reply = _enqueue(call, request, request.task, queue, update_execution_queue=update)
    return {**reply, "queued": 1, **_watched(call, queue, request.verify_watched_queue)}


def enqueue_many(call: Call, request: wire.EnqueueMany) -> Reply:
    queue = call.services.task_queueing.queue_for(call.identity, request.queue, request.queue_name)

    def one(task: str) -> Reply:
        return {**_enqueue(call, request, task, queue, validate=bool(request.validate_tasks)), "queued": True}

    reply = each(request.ids, one)
    return {**reply, **_watched(call, queue, request.verify_watched_queue)}


def _dequeue(call: Call, request: wire.Dequeue | wire.DequeueMany, task: str) -> tuple[int, Reply]:
    fields = call.services.task_queueing.dequeue(
        call.identity,
        task,
        new=request.new_status or Status.CREATED,
        reason=request.status_reason,
        message=request.status_message,
    )
    return (1, fields) if fields else (0, {})


def dequeue(call: Call, request: wire.Dequeue) -> Reply:
    updated, fields = _dequeue(call, request, request.task)
    return {"updated": updated, "fields": fields, "dequeued": updated}


def dequeue_many(call: Call, request: wire.DequeueMany) -> Reply:
    def one(task: str) -> Reply:
        updated, fields = _dequeue(call, request, task)
        return {"updated": updated, "fields": fields, "dequeued": bool(updated)}

    return each(request.ids, one)
