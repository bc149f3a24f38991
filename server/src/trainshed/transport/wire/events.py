"""Requests of the events service. The events themselves are ports.events.AnyEvent."""

from typing import Annotated, Literal

from msgspec import Meta, field

from trainshed.transport.wire.common import Int64, Request

EventType = Literal["training_stats_scalar", "training_stats_vector", "training_debug_image", "plot", "log"]
# How many; what is below 1 counts as 1.
AtMost = Annotated[int, Meta(le=2**31 - 1)]
# Milliseconds since the epoch, in 64 bits.
Moment = Annotated[float, Meta(ge=-9e18, le=9e18)]
# So long ago: a hundred million years fit into 64 bits of milliseconds.
Seconds = Annotated[int, Meta(ge=0, le=2**51)]
AxisKey = Literal["iter", "timestamp", "iso_time"]


class MetricVariants(Request, kw_only=True):
    metric: str
    variants: list[str] | None = None


class TaskMetricVariants(Request, kw_only=True):
    task: str
    metric: str | None = None
    variants: list[str] | None = None


class OfTask(Request, kw_only=True):
    task: str
    model_events: bool | None = None


class Locked(Request, kw_only=True):
    """Of a published task or model nothing changes, unless this is set."""

    allow_locked: bool | None = None


class Add(Locked, kw_only=True):
    """An event itself is beside these."""

    model_event: bool | None = None


class DeleteForTask(Locked, kw_only=True):
    task: str


class DeleteForModel(Locked, kw_only=True):
    model: str


class ClearScroll(Request, kw_only=True):
    scroll_id: str


class ClearTaskLog(Locked, kw_only=True):
    task: str
    threshold_sec: Seconds | None = None
    include_metrics: list[str] | None = None
    exclude_metrics: list[str] | None = None


class DownloadTaskLog(Request, kw_only=True):
    task: str
    line_type: Literal["json", "text"] | None = None
    line_format: str | None = None


class OfTasks(Request, kw_only=True):
    tasks: list[str]
    model_events: bool | None = None


class GetTaskMetrics(OfTasks, kw_only=True):
    event_type: EventType | None = None


class GetMultiTaskPlots(OfTasks, kw_only=True):
    iters: AtMost | None = None
    last_iters_per_task_metric: bool | None = None
    scroll_id: str | None = None
    no_scroll: bool | None = None
    metrics: list[MetricVariants] | None = None


class MultiTaskScalarHistogram(OfTasks, kw_only=True):
    samples: AtMost | None = None
    key: AxisKey | None = None
    metrics: list[MetricVariants] | None = None


class GetTaskSingleValueMetrics(OfTasks, kw_only=True):
    metrics: list[MetricVariants] | None = None


class ScalarHistogram(OfTask, kw_only=True):
    samples: AtMost | None = None
    key: AxisKey | None = None
    metrics: list[MetricVariants] | None = None


class ScalarRaw(OfTask, kw_only=True):
    metric: MetricVariants
    key: AxisKey | None = None
    batch_size: AtMost | None = None
    count_total: bool | None = None
    scroll_id: str | None = None


class VectorHistogram(OfTask, kw_only=True):
    metric: str
    variant: str


class GetScalarMetricData(Request, kw_only=True):
    task: str
    metric: str | None = None
    scroll_id: str | None = None
    no_scroll: bool | None = None
    model_events: bool | None = None


class GetTaskEvents(OfTask, kw_only=True):
    order: Literal["asc", "desc"] | None = None
    scroll_id: str | None = None
    batch_size: AtMost | None = None
    event_type: EventType | None = None
    metrics: list[MetricVariants] | None = None


class GetTaskLog(OfTask, kw_only=True):
    batch_size: AtMost | None = None
    navigate_earlier: bool | None = None
    from_timestamp: Moment | None = None
    order: Literal["asc", "desc"] | None = None


class ScrollTaskLog(OfTask, kw_only=True):
    """events.get_task_log before version 2.9."""

    order: Literal["asc", "desc"] | None = None
    start: Literal["head", "tail"] | None = field(name="from", default=None)
    scroll_id: str | None = None
    batch_size: AtMost | None = None


class GetTaskPlots(OfTask, kw_only=True):
    iters: AtMost | None = None
    scroll_id: str | None = None
    metrics: list[MetricVariants] | None = None
    no_scroll: bool | None = None


class SamplesByIteration(Request, kw_only=True):
    metrics: list[TaskMetricVariants]
    iters: AtMost | None = None
    navigate_earlier: bool | None = None
    refresh: bool | None = None
    scroll_id: str | None = None
    model_events: bool | None = None


class ImagesOfTask(OfTask, kw_only=True):
    """events.debug_images before version 2.7."""

    iters: AtMost | None = None
    scroll_id: str | None = None


class GetPlotSample(OfTask, kw_only=True):
    metric: str
    iteration: Int64 | None = None
    refresh: bool | None = None
    scroll_id: str | None = None
    navigate_current_metric: bool | None = None


class GetDebugImageSample(GetPlotSample, kw_only=True):
    variant: str


class NextSample(OfTask, kw_only=True):
    scroll_id: str
    navigate_earlier: bool | None = None
    next_iteration: bool | None = None
