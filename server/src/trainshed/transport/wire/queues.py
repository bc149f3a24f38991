"""Requests of the queues service."""

from typing import Annotated

from msgspec import UNSET, Meta

from trainshed.transport.wire.common import Count, Listing, Maybe, Metadata, Number, Request

# Seconds since the epoch, up to the year 9999.
Moment = Annotated[float, Meta(ge=0, le=253_402_300_799)]
Seconds = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class MetadataEntry(Request, kw_only=True):
    """As Metadata, its key being where it is put."""

    key: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    value: Maybe[str] = UNSET


class QueueId(Request, kw_only=True):
    queue: str


class GetById(QueueId, kw_only=True):
    max_task_entries: Number | None = None


class GetAll(Listing, kw_only=True):
    max_task_entries: Number | None = None


class Fields(Request, kw_only=True):
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    metadata: Maybe[dict[str, MetadataEntry]] = UNSET
    display_name: Maybe[str] = UNSET


class Create(Fields, kw_only=True):
    name: str


class Update(Fields, kw_only=True):
    queue: str
    name: Maybe[str] = UNSET


class Delete(QueueId, kw_only=True):
    force: bool | None = None


class AddOrUpdateMetadata(QueueId, kw_only=True):
    metadata: list[Metadata]
    replace_metadata: bool | None = None


class DeleteMetadata(QueueId, kw_only=True):
    keys: list[str]


class AddTask(QueueId, kw_only=True):
    task: str
    update_execution_queue: bool | None = None


class RemoveTask(QueueId, kw_only=True):
    task: str
    update_task_status: bool | None = None


class GetNextTask(QueueId, kw_only=True):
    get_task_info: bool | None = None


class Move(QueueId, kw_only=True):
    task: str


class MoveBy(Move, kw_only=True):
    count: Count | None = None


class GetQueueMetrics(Request, kw_only=True):
    from_date: Moment
    to_date: Moment
    interval: Seconds
    queue_ids: list[str] | None = None
    refresh: bool | None = None
