"""events.*"""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
from flask import Response
from msgspec import UNSET

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault
from trainshed.ports.documents import Document
from trainshed.ports.events import AnyEvent, LogEvent, VectorEvent
from trainshed.services import raw_events, raw_points, sampling
from trainshed.services.events import Report
from trainshed.services.samples import forget
from trainshed.transport.body import NOT_JSON
from trainshed.transport.call import Call
from trainshed.transport.wire import events as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]
Metrics = list[tuple[str, list[str] | None]]

DEFAULT_LOG_BATCH = 500  # console events a page
DEFAULT_EVENTS_BATCH = 500
DEFAULT_POINTS_BATCH = 10_000
_LOG_PIECE = 1_000  # console events that a download holds at a time
_MAX_LINES = 250_000  # of a batch that is read line by line as one of them is no event: a second or two
_FIELD = re.compile(r"\{(asctime|timestamp|worker|level|msg)\}")
_LINE_FORMAT = "{asctime} {worker} {level} {msg}"
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class _Timestamp(msgspec.Struct):
    timestamp: float | int


class _Lock(msgspec.Struct):
    task: str
    allow_locked: bool | None = None


# writing


def add(call: Call, request: wire.Add) -> Reply:
    """One event."""
    report = Report()
    call.services.events.add(call.identity, [_decode(call.body)], report, unlocked=_unlocked(call.body))
    return {}


def add_batch(call: Call, request: Empty) -> Reply:
    """Events, one JSON object a line. Lines that cannot be stored are counted; the others are stored."""
    report = Report()
    events = _decode_lines(call.body, report)
    call.services.events.add(call.identity, events, report, unlocked=_unlocked(call.body))
    return {"added": report.added, "errors": sum(report.errors.values()), "errors_info": report.errors}


def _unlocked(body: bytes) -> set[str]:
    """The tasks and models of lines that are to be stored even if these are published."""
    if b'"allow_locked"' not in body:  # no client sends it: not worth a look at every line
        return set()
    found = set()
    for line in body.splitlines():
        with suppress(*NOT_JSON):
            asked = msgspec.json.decode(line, type=_Lock)
            found |= {asked.task} if asked.allow_locked else set()
    return found


def _decode(line: bytes) -> AnyEvent:
    try:
        return _decode_line(line)
    except NOT_JSON as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def _decode_line(line: bytes) -> AnyEvent:
    """An event, whose timestamp may be any number: what is below a millisecond is cut off. Raises NOT_JSON."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError:
        if not isinstance(moment := _moment(line), float):
            raise
        event: AnyEvent = msgspec.convert({**msgspec.json.decode(line), "timestamp": int(moment)}, AnyEvent)
        return event


def _moment(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line, type=_Timestamp).timestamp
    except NOT_JSON:
        return None


def _decode_lines(body: bytes, report: Report) -> list[AnyEvent]:
    if not body.strip():
        raise ApiError(Fault.BATCH_EMPTY)
    try:
        return _decoder.decode_lines(body)
    except NOT_JSON:
        return _decode_good_lines(body, report)


def _decode_good_lines(body: bytes, report: Report) -> list[AnyEvent]:
    if body.count(b"\n") > _MAX_LINES:
        raise ApiError(Fault.TOO_LARGE, f"at most {_MAX_LINES} lines where some are no events")
    good: list[AnyEvent] = []
    for line in body.split(b"\n"):
        if line.strip():
            try:
                good.append(_decode_line(line))
            except NOT_JSON as error:
                report.fail(str(error))
    return good


def delete_for_task(call: Call, request: wire.DeleteForTask) -> Reply:
    call.services.events.delete(call.identity, request.task, locks=not request.allow_locked)
    return {"deleted": True}


def delete_for_model(call: Call, request: wire.DeleteForModel) -> Reply:
    call.services.events.delete(call.identity, request.model, is_model=True, locks=not request.allow_locked)
    return {"deleted": True}


# scalars


def scalar_metrics_iter_histogram(call: Call, request: wire.ScalarHistogram) -> Reply:
    """metric -> variant -> curve, directly as the reply's data."""
    owned(call, request)
    axis, samples = _axis(request)
    curves: dict[str, dict[str, Any]] = defaultdict(dict)
    for series in call.services.events.scalars(request.task, chosen(request.metrics)):
        curves[series.metric][series.variant] = sampling.curve(series, axis=axis, samples=samples)
    return curves


def multi_task_scalar_metrics_iter_histogram(call: Call, request: wire.MultiTaskScalarHistogram) -> Reply:
    """metric -> variant -> task -> curve, each named after its task."""
    most = call.services.limits.compared_tasks
    if len(request.tasks) > most:
        raise ApiError(Fault.VALIDATION_ERROR, f"at most {most} tasks at once")
    axis, samples = _axis(request)
    curves: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for task_id, task in _owners(call, request).items():
        for series in call.services.events.scalars(task_id, chosen(request.metrics)):
            curve = sampling.curve(series, axis=axis, samples=samples)
            curves[series.metric][series.variant][task_id] = {**curve, "name": task["name"]}
    return {"metrics": {metric: dict(sorted(curves[metric].items())) for metric in sorted(curves)}}


def _axis(request: wire.ScalarHistogram | wire.MultiTaskScalarHistogram) -> tuple[str, int]:
    samples = sampling.DEFAULT_SAMPLES if request.samples is None else request.samples
    return request.key or "iter", samples if samples >= 0 else 1


def _owners(call: Call, request: wire.OfTasks) -> dict[str, Document]:
    is_model = bool(request.model_events)
    return {owner: call.services.events.owner(call.identity, owner, is_model=is_model) for owner in request.tasks}


def get_task_single_value_metrics(call: Call, request: wire.GetTaskSingleValueMetrics) -> Reply:
    tasks = []
    for task_id, owner in _owners(call, request).items():
        values = [
            {
                "metric": series.metric,
                "variant": series.variant,
                "value": float(series.values[-1]),
                "timestamp": int(series.timestamps[-1]),
            }
            for series in call.services.events.single_values(task_id, chosen(request.metrics))
        ]
        if values:
            tasks.append({"task": task_id, "task_name": owner["name"], "values": values})
    return {"tasks": tasks}


def get_scalar_metrics_and_variants(call: Call, request: wire.OfTask) -> Reply:
    owned(call, request)
    metrics: dict[str, list[str]] = defaultdict(list)
    for metric, variant in call.services.events.metrics(request.task, "training_stats_scalar"):
        metrics[metric].append(variant)
    return {"metrics": metrics}


def get_task_metrics(call: Call, request: wire.GetTaskMetrics) -> Reply:
    kind = request.event_type or "training_stats_scalar"
    described = []
    for task_id in _owners(call, request):
        names = sorted({metric for metric, _ in call.services.events.metrics(task_id, kind)})
        described.append({"task": task_id, "metrics": names})
    return {"metrics": described}


def get_multi_task_metrics(call: Call, request: wire.GetTaskMetrics) -> Reply:
    """What the tasks have together, of one kind of events or of all that have names."""
    kinds = [request.event_type] if request.event_type else [raw_events.SCALAR, *raw_events.SAMPLE_KINDS]
    log = call.services.events
    names = {name for owner in _owners(call, request) for kind in kinds for name in log.metrics(owner, kind)}
    return {"metrics": _grouped(names)}


def get_task_latest_scalar_values(call: Call, request: wire.OfTask) -> Reply:
    """The last value of each curve, and the mean of its last hundred."""
    owned(call, request)
    metrics: dict[str, list[Reply]] = defaultdict(list)
    for series in call.services.events.scalars(request.task, None):
        latest = series.values[-100:]
        variant = {"name": series.variant, "last_value": float(latest[-1]), "last_100_value": float(latest.mean())}
        metrics[series.metric].append(variant)
    return {"metrics": [{"name": metric, "variants": variants} for metric, variants in metrics.items()]}


# console


def clear_task_log(call: Call, request: wire.ClearTaskLog) -> Reply:
    """Remove console events, those of the last threshold_sec stay."""
    deleted = call.services.events.delete_logs(
        call.identity,
        request.task,
        older_than=request.threshold_sec or 0,
        only=request.include_metrics,
        spared=request.exclude_metrics or (),
        locks=not request.allow_locked,
    )
    return {"deleted": deleted}


def download_task_log(call: Call, request: wire.DownloadTaskLog) -> Response:
    """The whole console as a file, sent while it is read."""
    call.services.events.owner(call.identity, request.task)
    as_json, pattern = request.line_type == "json", request.line_format or _LINE_FORMAT
    events = call.services.events.all_logs(request.task, piece=_LOG_PIECE)
    lines = (msgspec.json.encode(event) if as_json else _text(event, pattern).encode() for event in events)
    name = f"task_{request.task}.log"
    return Response(
        (line + b"\n" for line in lines),
        content_type="application/x-ndjson" if as_json else "text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
    )


def _text(event: LogEvent, pattern: str) -> str:
    # Not str.format: its patterns reach into objects, and ask for a million spaces.
    return _FIELD.sub(lambda field: _field(event, field[1]), pattern)


def _field(event: LogEvent, name: str) -> str:
    if name == "asctime":
        return dates.of_milliseconds(event.timestamp)
    value = getattr(event, name)
    return "" if value is UNSET else str(value)


def get_task_log(call: Call, request: wire.GetTaskLog) -> Reply:
    owned(call, request)
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


def scroll_task_log(call: Call, request: wire.ScrollTaskLog) -> Reply:
    """Before version 2.9: from the head or the tail of the log on, page by page, each page in the order asked for."""
    owned(call, request)
    from_tail = request.start == "tail"
    page = raw_events.page(
        call.services.events,
        request.task,
        [raw_events.LOG],
        None,
        size=max(1, request.batch_size or DEFAULT_LOG_BATCH),
        descending=from_tail,
        scroll_id=request.scroll_id,
    )
    return _page(page._replace(events=page.events[::-1] if from_tail != (request.order == "desc") else page.events))


# raw events


def get_task_events(call: Call, request: wire.GetTaskEvents) -> Reply:
    """Stored events, of one kind or all, oldest first unless told otherwise, page by page."""
    owned(call, request)
    page = raw_events.page(
        call.services.events,
        request.task,
        [request.event_type] if request.event_type else raw_events.KINDS,
        chosen(request.metrics),
        size=max(1, request.batch_size or DEFAULT_EVENTS_BATCH),
        descending=request.order == "desc",
        scroll_id=request.scroll_id,
    )
    return _page(page)


def get_scalar_metric_data(call: Call, request: wire.GetScalarMetricData) -> Reply:
    """The points of a metric, or of all, oldest first, page by page."""
    call.services.events.owner(call.identity, request.task, is_model=bool(request.model_events))
    metrics: Metrics | None = [(request.metric, None)] if request.metric else None
    page = raw_events.page(
        call.services.events,
        request.task,
        [raw_events.SCALAR],
        metrics,
        size=DEFAULT_POINTS_BATCH,
        scroll_id=request.scroll_id,
    )
    reply = _page(page)
    if request.no_scroll:
        del reply["scroll_id"]
    return reply


def _page(page: raw_events.Page) -> Reply:
    return {"events": page.events, "returned": len(page.events), "total": page.total, "scroll_id": page.scroll_id}


def scalar_metrics_iter_raw(call: Call, request: wire.ScalarRaw) -> Reply:
    """Every point of a metric, page by page."""
    owned(call, request)
    log, metric, variants = call.services.events, request.metric.metric, request.metric.variants or None
    found, scroll_id = raw_points.page(
        log, request.task, metric, variants, size=request.batch_size, scroll_id=request.scroll_id
    )
    reply: Reply = {
        "variants": {s.variant: sampling.every_point(s, axis=request.key or "iter") for s in found},
        "returned": sum(len(series.iters) for series in found),
        "scroll_id": scroll_id,
    }
    if request.count_total:
        reply["total"] = raw_points.count(log, request.task, metric, variants)
    return reply


# vectors


def get_vector_metrics_and_variants(call: Call, request: wire.OfTask) -> Reply:
    owned(call, request)
    return {"metrics": _grouped(call.services.events.metrics(request.task, "training_stats_vector"))}


def vector_metrics_iter_histogram(call: Call, request: wire.VectorHistogram) -> Reply:
    """The vectors of a metric and variant, by iteration."""
    owned(call, request)
    vectors = call.services.events.samples(
        request.task, "training_stats_vector", [(request.metric, [request.variant])]
    )[::-1]
    return {
        "metric": request.metric,
        "variant": request.variant,
        "iterations": [vector.iter for vector in vectors],
        "vectors": [vector.values for vector in vectors if isinstance(vector, VectorEvent)],
    }


def clear_scroll(call: Call, request: wire.ClearScroll) -> Reply:
    """Forget where a walk through samples stands; other scroll ids keep nothing."""
    forget(call.services.events, request.scroll_id)
    return {}


# parts


def owned(call: Call, request: wire.OfTask) -> None:
    """The caller may see the task, or the model. Raises INVALID_TASK_ID or INVALID_MODEL_ID."""
    call.services.events.owner(call.identity, request.task, is_model=bool(request.model_events))


def chosen(items: list[wire.MetricVariants] | None) -> Metrics | None:
    """The metrics asked for, and the variants of each; None: all."""
    return None if items is None else [(item.metric, item.variants or None) for item in items]


def _grouped(names: Iterable[tuple[str, str]]) -> list[Reply]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for metric, variant in sorted(names):
        grouped[metric].append(variant)
    return [{"metric": metric, "variants": variants} for metric, variants in grouped.items()]
