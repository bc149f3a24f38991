"""Requests of the workers service."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from trainshed.transport.wire.common import Int64, Maybe, Number, Request
from trainshed.transport.wire.queues import Moment, Seconds

# Reporters' names are part of many keys.
WorkerName = Annotated[str, Meta(min_length=1, max_length=1000)]
MAX_PARTS = 1024  # cores, graphics cards
Parts = Annotated[list[float | None], Meta(max_length=MAX_PARTS)]
# As a list of tags in any listing.
Tags = list[str | None] | None


class MachineStats(Request, kw_only=True):
    cpu_usage: Maybe[Parts | float] = UNSET
    gpu_usage: Maybe[Parts | float] = UNSET
    memory_used: Maybe[float] = UNSET
    memory_free: Maybe[float] = UNSET
    gpu_memory_free: Maybe[Parts | float] = UNSET
    gpu_memory_used: Maybe[Parts | float] = UNSET
    network_tx: Maybe[float] = UNSET
    network_rx: Maybe[float] = UNSET
    disk_free_home: Maybe[float] = UNSET
    disk_free_temp: Maybe[float] = UNSET
    disk_read: Maybe[float] = UNSET
    disk_write: Maybe[float] = UNSET
    cpu_temperature: Maybe[Parts | float] = UNSET
    gpu_temperature: Maybe[Parts | float] = UNSET


class Register(Request, kw_only=True):
    worker: WorkerName
    timeout: Seconds | None = None
    queues: Maybe[list[str]] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET


class Unregister(Request, kw_only=True):
    worker: WorkerName


class StatusReport(Request, kw_only=True):
    worker: WorkerName
    timestamp: Int64
    task: Maybe[str] = UNSET
    queue: Maybe[str] = UNSET
    queues: Maybe[list[str]] = UNSET
    machine_stats: Maybe[MachineStats] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET


class GetCount(Request, kw_only=True):
    last_seen: Number | None = 0
    tags: Tags = None
    system_tags: Tags = None
    worker_pattern: str | None = None


class GetAll(GetCount, kw_only=True):
    last_seen: Number | None = 3600


class GetMetricKeys(Request, kw_only=True):
    worker_ids: list[WorkerName] | None = None


class StatItem(Request, kw_only=True):
    key: str
    category: Literal["avg", "min", "max"] = "avg"


class GetActivityReport(Request, kw_only=True):
    from_date: Moment
    to_date: Moment
    interval: Seconds


class GetStats(GetActivityReport, kw_only=True):
    items: list[StatItem]
    worker_ids: list[WorkerName] | None = None
    split_by_variant: bool | None = None
