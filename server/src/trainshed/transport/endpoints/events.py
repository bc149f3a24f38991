"""events.*"""

from collections import defaultdict
from typing import Any

import msgspec

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.events import AnyEvent
from trainshed.services import sampling
from trainshed.services.events import Report
from trainshed.services.samples import navigate
from trainshed.transport.call import Call
from trainshed.transport.wire import events as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]
Metrics = list[tuple[str, list[str] | None]]

DEFAULT_LOG_BATCH = 500  # console events a page
DEFAULT_EVENTS_BATCH = 500
_decoder = msgspec.json.Decoder(AnyEvent)


# writing


def add(call: Call, request: Empty) -> Reply:
    """One event."""
    report = Report()
    call.services.events.add(call.identity, [_decode(call.body)], report)
    return {}


def add_batch(call: Call, request: Empty) -> Reply:
    """Events, one JSON object a line. Lines that cannot be stored are counted; the others are stored."""
    report = Report()
    call.services.events.add(call.identity, _decode_lines(call.body, report), report)
    return {"added": report.added, "errors": sum(report.errors.values()), "errors_info": report.errors}


def _decode(line: bytes) -> AnyEvent:
    try:
        event: AnyEvent = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error
    return event


def _decode_lines(body: bytes, report: Report) -> list[AnyEvent]:
    if not body.strip():
        raise ApiError(Fault.BATCH_EMPTY)
    try:
        return _decoder.decode_lines(body)
    except msgspec.DecodeError:
        return _decode_good_lines(body, report)


def _decode_good_lines(body: bytes, report: Report) -> list[AnyEvent]:
    good: list[AnyEvent] = []
    for line in body.split(b"\n"):
        if line.strip():
            try:
                good.append(_decoder.decode(line))
            except msgspec.DecodeError as error:
                report.fail(str(error))
    return good


def delete_for_task(call: Call, request: wire.OfTask) -> Reply:
    call.services.events.delete(call.identity, request.task)
    return {"deleted": True}


# scalars


def scalar_metrics_iter_histogram(call: Call, request: wire.ScalarHistogram) -> Reply:
    """metric -> variant -> curve, directly as the reply's data."""
    _check_owner(call, request)
    axis = request.key or "iter"
    samples = max(1, request.samples or sampling.DEFAULT_SAMPLES)
    curves: dict[str, dict[str, Any]] = defaultdict(dict)
    for series in call.services.events.scalars(request.task, _metrics(request.metrics)):
        curves[series.metric][series.variant] = sampling.curve(series, axis=axis, samples=samples)
    return curves


def get_task_single_value_metrics(call: Call, request: wire.GetTaskSingleValueMetrics) -> Reply:
    tasks = []
    for task_id in request.tasks:
        owner = call.services.events.owner(call.identity, task_id, is_model=bool(request.model_events))
        values = [
            {
                "metric": series.metric,
                "variant": series.variant,
                "value": float(series.values[-1]),
                "timestamp": int(series.timestamps[-1]),
            }
            for series in call.services.events.single_values(task_id, _metrics(request.metrics))
        ]
        if values:
            tasks.append({"task": task_id, "task_name": owner["name"], "values": values})
    return {"tasks": tasks}


def get_scalar_metrics_and_variants(call: Call, request: wire.OfTask) -> Reply:
    _check_owner(call, request)
    metrics: dict[str, list[str]] = defaultdict(list)
    for metric, variant in call.services.events.metrics(request.task, "training_stats_scalar"):
        metrics[metric].append(variant)
    return {"metrics": metrics}


def get_task_metrics(call: Call, request: wire.GetTaskMetrics) -> Reply:
    kind = request.event_type or "training_stats_scalar"
    described = []
    for task_id in request.tasks:
        call.services.events.owner(call.identity, task_id, is_model=bool(request.model_events))
        names = sorted({metric for metric, _ in call.services.events.metrics(task_id, kind)})
        described.append({"task": task_id, "metrics": names})
    return {"metrics": described}


# console


def get_task_log(call: Call, request: wire.GetTaskLog) -> Reply:
    _check_owner(call, request)
    earlier = request.navigate_earlier is not False
    page = call.services.events.logs(
        request.task,
        limit=max(1, request.batch_size or DEFAULT_LOG_BATCH),
        earlier=earlier,
        from_timestamp=None if request.from_timestamp is None else int(request.from_timestamp),
    )
    events = page.events
    # Newest first, unless the caller asks for the other order or walks towards the present.
    if (request.order or ("desc" if earlier else "asc")) == "desc":
        events = events[::-1]
    return {"events": events, "returned": len(events), "total": page.total}


# plots and debug samples


def get_task_plots(call: Call, request: wire.GetTaskPlots) -> Reply:
    """The plots of the newest `iters` iterations of each metric and variant, all in one reply."""
    _check_owner(call, request)
    if request.scroll_id:  # everything was in the first reply
        return {"plots": [], "returned": 0, "total": 0, "scroll_id": request.scroll_id}
    plots = call.services.events.samples(
        request.task, "plot", _metrics(request.metrics), last_iterations=max(1, request.iters or 1)
    )
    reply: Reply = {"plots": plots, "returned": len(plots), "total": len(plots)}
    if not request.no_scroll:
        reply["scroll_id"] = request.task
    return reply


def debug_images(call: Call, request: wire.SamplesByIteration) -> Reply:
    return _by_iteration(call, request, "training_debug_image")


def plots(call: Call, request: wire.SamplesByIteration) -> Reply:
    return _by_iteration(call, request, "plot")


def _by_iteration(call: Call, request: wire.SamplesByIteration, kind: Any) -> Reply:
    wanted: dict[str, Metrics | None] = {}
    for item in request.metrics:
        call.services.events.owner(call.identity, item.task, is_model=bool(request.model_events))
        if item.metric is None:
            wanted[item.task] = None
        elif (chosen := wanted.setdefault(item.task, [])) is not None:
            chosen.append((item.metric, item.variants))
    scroll_id, found = navigate(
        call.services.events,
        kind,
        wanted,
        iterations=max(1, request.iters or 1),
        earlier=request.navigate_earlier is not False,
        refresh=bool(request.refresh),
        scroll_id=request.scroll_id,
    )
    metrics = [
        {"task": task, "iterations": [{"iter": iteration, "events": events} for iteration, events in groups]}
        for task, groups in found.items()
    ]
    return {"scroll_id": scroll_id, "metrics": metrics}


# raw events


def get_task_events(call: Call, request: wire.GetTaskEvents) -> Reply:
    """Stored events of one kind, oldest first unless told otherwise, page by page."""
    _check_owner(call, request)
    start = _position(request.scroll_id)
    size = max(1, request.batch_size or DEFAULT_EVENTS_BATCH)
    events = _events_of_kind(call, call.identity, request)
    if request.order == "desc":
        events.reverse()
    page = events[start : start + size]
    scroll_id = f"events:{start + len(page)}"
    return {"events": page, "returned": len(page), "total": len(events), "scroll_id": scroll_id}


def _position(scroll_id: str | None) -> int:
    name, _, position = (scroll_id or "events:0").partition(":")
    if name != "events" or not position.isdecimal() or len(position) > _MAX_DIGITS:
        raise ApiError(Fault.INVALID_SCROLL_ID)
    return int(position)


def _events_of_kind(call: Call, identity: Identity, request: wire.GetTaskEvents) -> list[Any]:
    log, metrics, kind = call.services.events, _metrics(request.metrics), request.event_type
    if kind == "log":
        return list(log.logs(request.task, limit=MAX_LOG_EVENTS, earlier=False, from_timestamp=None).events)
    if kind in ("plot", "training_debug_image", "training_stats_vector"):
        found = log.samples(request.task, kind, metrics)
        return sorted(found, key=lambda e: (e.timestamp, e.metric, e.variant, e.iter))
    points = [
        {
            "type": "training_stats_scalar",
            "task": request.task,
            "metric": series.metric,
            "variant": series.variant,
            "iter": iteration,
            "timestamp": timestamp,
            "value": value,
        }
        for series in [*log.scalars(request.task, metrics), *log.single_values(request.task, metrics)]
        for iteration, timestamp, value in zip(
            series.iters.tolist(), series.timestamps.tolist(), series.values.tolist(), strict=True
        )
    ]
    return sorted(points, key=lambda e: (e["timestamp"], e["metric"], e["variant"], e["iter"]))


_MAX_DIGITS = 18  # of a position: no task has so many events
MAX_LOG_EVENTS = 1_000_000  # console events that get_task_events looks at; get_task_log pages without a bound


def _check_owner(call: Call, request: wire.OfTask) -> None:
    call.services.events.owner(call.identity, request.task, is_model=bool(request.model_events))


def _metrics(items: list[wire.MetricVariants] | None) -> Metrics | None:
    return None if items is None else [(item.metric, item.variants) for item in items]
