"""events.*: plots and debug samples"""

from typing import Any

from trainshed.ports.events import Sample, SampleKind
from trainshed.services import sample_steps
from trainshed.services.events import EventLog
from trainshed.services.samples import navigate
from trainshed.transport.call import Call
from trainshed.transport.endpoints.events import Metrics, Reply, chosen, owned
from trainshed.transport.wire import events as wire


def get_task_plots(call: Call, request: wire.GetTaskPlots) -> Reply:
    """The plots of the newest `iters` iterations of each metric and variant, all in one reply."""
    owned(call, request)
    if request.scroll_id:  # everything was in the first reply
        return {"plots": [], "returned": 0, "total": 0, "scroll_id": request.scroll_id}
    plots = call.services.events.samples(
        request.task, "plot", chosen(request.metrics), last_iterations=max(1, request.iters or 1)
    )
    reply: Reply = {"plots": plots, "returned": len(plots), "total": len(plots)}
    if not request.no_scroll:
        reply["scroll_id"] = request.task
    return reply


def get_multi_task_plots(call: Call, request: wire.GetMultiTaskPlots) -> Reply:
    """metric -> variant -> task -> iteration -> plots, all in one reply.

    Of the newest `iters` iterations of each metric and variant, or of the whole task without last_iters_per_task_metric.
    """
    log, count = call.services.events, 0
    found: dict[str, Any] = {}
    for task in request.tasks:
        name = log.owner(call.identity, task, is_model=bool(request.model_events))["name"]
        if request.scroll_id:  # everything was in the first reply
            continue
        for plot in _newest_plots(log, task, request):
            of_task = found.setdefault(plot.metric, {}).setdefault(plot.variant, {}).setdefault(task, {})
            of_task[str(plot.iter)] = {"name": name, "plots": [plot]}
            count += 1
    reply: Reply = {"plots": found, "returned": count, "total": count}
    if not request.no_scroll:
        reply["scroll_id"] = request.scroll_id or "read"
    return reply


def _newest_plots(log: EventLog, task: str, request: wire.GetMultiTaskPlots) -> list[Sample]:
    metrics, count = chosen(request.metrics), max(1, request.iters or 1)
    if request.last_iters_per_task_metric is not False:
        return log.samples(task, "plot", metrics, last_iterations=count)
    newest = sorted({iteration for _, _, iteration in log.sample_names(task, "plot", metrics)})[-count:]
    return log.samples(task, "plot", metrics, within=(newest[0], newest[-1])) if newest else []


# by iteration


def debug_images_of_task(call: Call, request: wire.ImagesOfTask) -> Reply:
    """Before version 2.7: the images of the newest `iters` iterations of each metric and variant, all in one reply."""
    owned(call, request)
    log = call.services.events
    images = log.samples(request.task, "training_debug_image", last_iterations=max(1, request.iters or 1))
    total = len(images)
    if request.scroll_id:  # everything was in the first reply
        images = []
    return {
        "task": request.task,
        "images": images,
        "returned": len(images),
        "total": total,
        "scroll_id": request.task,
    }


def debug_images(call: Call, request: wire.SamplesByIteration) -> Reply:
    return _by_iteration(call, request, "training_debug_image")


def plots(call: Call, request: wire.SamplesByIteration) -> Reply:
    return _by_iteration(call, request, "plot")


def _by_iteration(call: Call, request: wire.SamplesByIteration, kind: SampleKind) -> Reply:
    wanted: dict[str, Metrics | None] = {}
    for item in request.metrics:
        call.services.events.owner(call.identity, item.task, is_model=bool(request.model_events))
        if item.metric is None:
            wanted[item.task] = None
        elif (names := wanted.setdefault(item.task, [])) is not None:
            names.append((item.metric, item.variants or None))
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


# one after the other


def get_debug_image_sample(call: Call, request: wire.GetDebugImageSample) -> Reply:
    return _image(_show(call, request, "training_debug_image", variant=request.variant))


def next_debug_image_sample(call: Call, request: wire.NextSample) -> Reply:
    return _image(_step(call, request, "training_debug_image"))


def get_plot_sample(call: Call, request: wire.GetPlotSample) -> Reply:
    return _plots(_show(call, request, "plot"))


def next_plot_sample(call: Call, request: wire.NextSample) -> Reply:
    return _plots(_step(call, request, "plot"))


def _show(call: Call, request: wire.GetPlotSample, kind: SampleKind, variant: str = "") -> sample_steps.Shown:
    owned(call, request)
    return sample_steps.show(
        call.services.events,
        request.task,
        kind,
        metric=request.metric,
        variant=variant,
        iteration=request.iteration,
        within_metric=request.navigate_current_metric is not False,
        refresh=bool(request.refresh),
        scroll_id=request.scroll_id,
    )


def _step(call: Call, request: wire.NextSample, kind: SampleKind) -> sample_steps.Shown:
    owned(call, request)
    return sample_steps.step(
        call.services.events,
        request.task,
        kind,
        scroll_id=request.scroll_id,
        earlier=bool(request.navigate_earlier),
        next_iteration=bool(request.next_iteration),
    )


def _image(shown: sample_steps.Shown) -> Reply:
    return {"event": shown.samples[0] if shown.samples else None, **_place(shown)}


def _plots(shown: sample_steps.Shown) -> Reply:
    return {"events": sorted(shown.samples, key=lambda plot: plot.variant), **_place(shown)}


def _place(shown: sample_steps.Shown) -> Reply:
    return {
        "scroll_id": shown.scroll_id,
        "min_iteration": shown.first_iteration,
        "max_iteration": shown.last_iteration,
    }
