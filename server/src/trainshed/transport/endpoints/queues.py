"""queues.*"""

import sys
from collections.abc import Callable
from typing import Any

from trainshed.ports.documents import Document
from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import queues as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


def _shown(limit: int | None) -> Callable[[Document], Document]:
    """A queue with at most so many entries."""

    def shown(queue: Document) -> Document:
        return {**queue, "entries": queue["entries"][:limit]} if limit is not None and "entries" in queue else queue

    return shown


def get_by_id(call: Call, request: wire.GetById) -> Reply:
    queue = call.services.queues.get(call.identity, request.queue)
    return {"queue": _shown(request.max_task_entries)(queue)}


def get_all(call: Call, request: wire.GetAll) -> Reply:
    found = call.services.queues.find(call.identity, listing(request, call.arguments))
    return listed("queues", found, _shown(request.max_task_entries))


def get_all_ex(call: Call, request: wire.GetAll) -> Reply:
    found = call.services.task_queueing.find_queues(call.identity, listing(request, call.arguments))
    return listed("queues", found, _shown(request.max_task_entries))


def get_default(call: Call, request: Empty) -> Reply:
    queue = call.services.queues.default(call.identity)
    return {"id": queue["id"], "name": queue["name"]}


def create(call: Call, request: wire.Create) -> Reply:
    return {"id": call.services.queues.create(call.identity, sent(request))}


def update(call: Call, request: wire.Update) -> Reply:
    fields = call.services.queues.update(call.identity, request.queue, sent(request, "queue"))
    return {"updated": 1, "fields": fields}


def delete(call: Call, request: wire.Delete) -> Reply:
    call.services.task_queueing.delete_queue(call.identity, request.queue, force=bool(request.force))
    return {"deleted": 1}


def add_or_update_metadata(call: Call, request: wire.AddOrUpdateMetadata) -> Reply:
    items = [sent(item) for item in request.metadata]
    call.services.queues.add_or_update_metadata(
        call.identity, request.queue, items, replace=bool(request.replace_metadata)
    )
    return {"updated": 1}


def delete_metadata(call: Call, request: wire.DeleteMetadata) -> Reply:
    call.services.queues.delete_metadata(call.identity, request.queue, request.keys)
    return {"updated": 1}


# entries


def add_task(call: Call, request: wire.AddTask) -> Reply:
    call.services.task_queueing.add(
        call.identity,
        request.queue,
        request.task,
        update_execution_queue=request.update_execution_queue is not False,
    )
    return {"added": 1}


def remove_task(call: Call, request: wire.RemoveTask) -> Reply:
    call.services.task_queueing.remove(
        call.identity, request.queue, request.task, update_status=bool(request.update_task_status)
    )
    return {"removed": 1}


def clear_queue(call: Call, request: wire.QueueId) -> Reply:
    return {"removed_tasks": call.services.task_queueing.clear(call.identity, request.queue)}


def get_next_task(call: Call, request: wire.GetNextTask) -> Reply:
    taken = call.services.task_queueing.take(call.identity, request.queue)
    if taken is None:
        return {}
    entry, task_info = taken
    return {"entry": entry, "task_info": task_info} if request.get_task_info else {"entry": entry}


def peek_task(call: Call, request: wire.QueueId) -> Reply:
    entries = call.services.queues.get(call.identity, request.queue)["entries"]
    return {"task": entries[0]["task"]} if entries else {}


def get_num_entries(call: Call, request: wire.QueueId) -> Reply:
    return {"num": len(call.services.queues.get(call.identity, request.queue)["entries"])}


def _move(call: Call, request: wire.Move, to: Callable[[int], int]) -> Reply:
    return {"position": call.services.queues.move(call.identity, request.queue, request.task, to)}


def move_task_forward(call: Call, request: wire.MoveBy) -> Reply:
    return _move(call, request, lambda present: present - (request.count or 1))


def move_task_backward(call: Call, request: wire.MoveBy) -> Reply:
    return _move(call, request, lambda present: present + (request.count or 1))


def move_task_to_front(call: Call, request: wire.Move) -> Reply:
    return _move(call, request, lambda _: 0)


def move_task_to_back(call: Call, request: wire.Move) -> Reply:
    return _move(call, request, lambda _: sys.maxsize)


# figures


def get_queue_metrics(call: Call, request: wire.GetQueueMetrics) -> Reply:
    found = call.services.queues.metrics(
        call.identity,
        request.queue_ids or [],
        (request.from_date, request.to_date),
        request.interval,
        refresh=bool(request.refresh),
    )
    return {"queues": found}
