"""Requests of the tasks service that move tasks into queues and out of them."""

from typing import Annotated

from msgspec import Meta

from trainshed.domain.status import Status
from trainshed.transport.wire.common import Request

Ids = Annotated[list[str], Meta(min_length=1)]


class Reason(Request, kw_only=True):
    status_reason: str | None = None
    status_message: str | None = None


class _Enqueueing(Reason, kw_only=True):
    queue: str | None = None
    queue_name: str | None = None
    verify_watched_queue: bool | None = None


class Enqueue(_Enqueueing, kw_only=True):
    task: str
    update_execution_queue: bool | None = None


class EnqueueMany(_Enqueueing, kw_only=True):
    ids: Ids
    validate_tasks: bool | None = None


class _Dequeueing(Reason, kw_only=True):
    # Without effect: a task that is not queued any more leaves every queue, so that no agent runs it.
    remove_from_all_queues: bool | None = None
    new_status: Status | None = None


class Dequeue(_Dequeueing, kw_only=True):
    task: str


class DequeueMany(_Dequeueing, kw_only=True):
    ids: Ids
