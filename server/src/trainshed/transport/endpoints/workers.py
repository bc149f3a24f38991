"""workers.*"""

from typing import Any

from trainshed.ports.documents import Document
from trainshed.transport.call import Call
from trainshed.transport.fields import sent
from trainshed.transport.wire import workers as wire

Reply = dict[str, Any]


def register(call: Call, request: wire.Register) -> Reply:
    call.services.workers.register(
        call.identity,
        request.worker,
        address=call.address,
        timeout=request.timeout,
        fields=sent(request, "worker", "timeout"),
    )
    return {}


def unregister(call: Call, request: wire.Unregister) -> Reply:
    call.services.workers.unregister(call.identity, request.worker)
    return {}


def status_report(call: Call, request: wire.StatusReport) -> Reply:
    call.services.workers.report(
        call.identity,
        request.worker,
        address=call.address,
        timestamp=request.timestamp,
        machine_stats=sent(request.machine_stats) if request.machine_stats else {},
        fields=sent(request, "worker", "timestamp", "machine_stats"),
    )
    return {}


def _found(call: Call, request: wire.GetCount) -> list[Document]:
    return call.services.workers.find(
        call.identity,
        last_seen=request.last_seen,
        tags=request.tags,
        system_tags=request.system_tags,
        pattern=request.worker_pattern,
    )


def get_all(call: Call, request: wire.GetAll) -> Reply:
    return {"workers": call.services.workers.described(_found(call, request))}


def get_count(call: Call, request: wire.GetCount) -> Reply:
    return {"count": len(_found(call, request))}


def get_metric_keys(call: Call, request: wire.GetMetricKeys) -> Reply:
    kinds = call.services.workers.metric_keys(call.identity, request.worker_ids or [])
    return {"categories": [{"name": name, "metric_keys": metrics} for name, metrics in kinds.items()]}


def get_stats(call: Call, request: wire.GetStats) -> Reply:
    found = call.services.workers.stats(
        call.identity,
        request.worker_ids or [],
        (request.from_date, request.to_date),
        request.interval,
        [(item.key, item.category) for item in request.items],
        by_variant=bool(request.split_by_variant),
    )
    return {"workers": found}


def get_activity_report(call: Call, request: wire.GetActivityReport) -> Reply:
    return call.services.workers.activity(call.identity, (request.from_date, request.to_date), request.interval)
