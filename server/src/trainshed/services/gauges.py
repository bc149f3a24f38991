"""Figures of a server that are asked for when somebody looks: queues, jobs, stores, the disk."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trainshed.ports.documents import Documents
from trainshed.ports.query import Page, Sort
from trainshed.services.events import EventLog

QUEUES = 100  # that are told by name; of more the others are one


@dataclass(frozen=True)
class Metrics:
    """open_to: the addresses and networks that read the figures without a key; administrators always can."""

    open_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure. A name that ends in _total only grows."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


class Job(Protocol):
    """What a server does by itself."""

    name: str
    last_success: float  # Unix time; 0 before the first


def gauges(
    documents: Documents,
    events: EventLog,
    *,
    jobs: Sequence[Job],
    stores: Mapping[str, int],
    free: int,
    product: str,
    started: float,
) -> Iterator[Gauge]:
    """All of them, those of one name together. stores: name -> bytes. free: bytes of the data's disk. started: Unix time."""
    yield Gauge("trainshed_info", "The release that runs.", 1, {"version": product})
    yield Gauge("trainshed_started_seconds", "When the process started, Unix time.", started)
    yield Gauge("trainshed_events_total", "Events that were accepted, points of scalars included.", events.accepted)
    found = documents.find("queues", sort=(Sort(("name",)),), page=Page(limit=10 * QUEUES))
    for place, queue in enumerate(found):
        if place < QUEUES:
            yield _queue(str(queue.get("name", "")), len(queue.get("entries", ())))
    if len(found) > QUEUES:
        yield _queue("", sum(len(queue.get("entries", ())) for queue in found[QUEUES:]))
    for job in jobs:
        yield Gauge(
            "trainshed_job_last_success_seconds",
            "When a background job last did what there was to do, Unix time; 0: not yet, or another process does it.",
            job.last_success,
            {"job": job.name},
        )
    for name, size in stores.items():
        yield Gauge("trainshed_store_bytes", "Bytes of a database with its log.", size, {"store": name})
    yield Gauge("trainshed_disk_free_bytes", "Bytes that are free on the disk of the data.", free)
    yield Gauge(
        "trainshed_processor_seconds_total", "Seconds of the processor that the process took.", time.process_time()
    )


def _queue(name: str, depth: int) -> Gauge:
    return Gauge(
        "trainshed_queue_entries", "Tasks that wait in a queue; name empty: in all others.", depth, {"queue": name}
    )
