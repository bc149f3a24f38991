"""reports.*"""

from collections.abc import Sequence
from typing import Any

from trainshed.ports.documents import Document
from trainshed.services.reports import TYPE
from trainshed.transport.call import Call
from trainshed.transport.endpoints import event_samples, events
from trainshed.transport.endpoints.listed import listed, shown
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import events as events_wire
from trainshed.transport.wire import reports as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


# Of a report that is shown as one: it is a task, but was never run.
_SHOWN = (
    *("id", "name", "user", "company", "project", "status", "comment", "tags", "system_tags"),
    *("created", "last_update", "published", "status_changed", "status_message", "status_reason"),
    *("report", "report_assets"),
)


def _shown(report: Document) -> Document:
    return {name: report[name] for name in _SHOWN if name in report}


def get_all_ex(call: Call, request: wire.GetAllEx) -> Reply:
    return listed("tasks", call.services.reports.find(call.identity, listing(request, call.arguments)), _shown)


def get_tags(call: Call, request: Empty) -> Reply:
    return call.services.facets.tags(call.identity, ["tasks"], where={"type": [TYPE]})


def create(call: Call, request: wire.Create) -> Reply:
    report, project = call.services.reports.create(call.identity, sent(request))
    return {"id": report, "project_id": project}


def update(call: Call, request: wire.Update) -> Reply:
    fields = call.services.reports.update(call.identity, request.task, sent(request, "task"))
    return {"updated": 1, "fields": fields}


def move(call: Call, request: wire.Move) -> Reply:
    return {
        "project_id": call.services.reports.move(call.identity, request.task, request.project, request.project_name)
    }


def publish(call: Call, request: wire.Commented) -> Reply:
    fields = call.services.reports.publish(call.identity, request.task, message=request.comment)
    return {"updated": 1, "fields": fields}


def archive(call: Call, request: wire.Commented) -> Reply:
    return {"archived": _archive(call, request, archived=True)}


def unarchive(call: Call, request: wire.Commented) -> Reply:
    return {"unarchived": _archive(call, request, archived=False)}


def _archive(call: Call, request: wire.Commented, *, archived: bool) -> int:
    return call.services.reports.archive(call.identity, request.task, archived=archived, message=request.comment)


def delete(call: Call, request: wire.Delete) -> Reply:
    call.services.reports.delete(call.identity, request.task, force=bool(request.force))
    return {"deleted": 1}


# what a report shows of tasks


def get_task_data(call: Call, request: wire.GetTaskData) -> Reply:
    """The tasks (or models) as asked for, and of their results those that were named."""
    catalog = call.services.model_catalog if request.model_events else call.services.task_catalog
    found = catalog.find(call.identity, listing(request, call.arguments)).documents
    ids = [str(document["id"]) for document in found]
    reply: Reply = {"tasks": [shown(document) for document in found]}
    if request.plots is not None:
        reply["plots"] = _plots(call, ids, request.plots, is_model=request.model_events)
    if request.debug_images is not None:
        reply["debug_images"] = _images(call, ids, request.debug_images, is_model=request.model_events)
    if (scalars := request.scalar_metrics_iter_histogram) is not None:
        reply["scalar_metrics_iter_histogram"] = _scalars(call, ids, scalars, is_model=request.model_events)
    if request.single_value_metrics is not None:
        wanted = events_wire.GetTaskSingleValueMetrics(tasks=ids, model_events=request.model_events)
        reply["single_value_metrics"] = events.get_task_single_value_metrics(call, wanted)["tasks"]
    return reply


def _plots(call: Call, ids: list[str], wanted: wire.Plots, *, is_model: bool | None) -> Any:
    asked = events_wire.GetMultiTaskPlots(
        tasks=ids, iters=wanted.iters, metrics=wanted.metrics, no_scroll=True, model_events=is_model
    )
    return event_samples.get_multi_task_plots(call, asked)["plots"]


def _images(call: Call, ids: list[str], wanted: wire.Images, *, is_model: bool | None) -> Any:
    chosen = events.chosen(wanted.metrics)
    names: Sequence[tuple[str | None, list[str] | None]] = chosen or [(None, None)]
    metrics = [
        events_wire.TaskMetricVariants(task=task, metric=metric, variants=variants)
        for task in ids
        for metric, variants in names
    ]
    asked = events_wire.SamplesByIteration(metrics=metrics, iters=wanted.iters, model_events=is_model)
    return event_samples.debug_images(call, asked)["metrics"]


def _scalars(call: Call, ids: list[str], wanted: wire.Scalars, *, is_model: bool | None) -> Any:
    asked = events_wire.MultiTaskScalarHistogram(
        tasks=ids, samples=wanted.samples, key=wanted.key, metrics=wanted.metrics, model_events=is_model
    )
    return events.multi_task_scalar_metrics_iter_histogram(call, asked)["metrics"]
