"""Requests of the reports service."""

from msgspec import UNSET

from trainshed.transport.wire import tasks as tasks_wire
from trainshed.transport.wire.common import FreeForm, Maybe, Request
from trainshed.transport.wire.events import AtMost, AxisKey, MetricVariants


class GetAllEx(tasks_wire.GetAllEx, kw_only=True):
    report: str | None = None


class Create(Request, kw_only=True):
    name: str
    project: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    comment: Maybe[str] = UNSET
    report: Maybe[str] = UNSET
    report_assets: Maybe[list[str]] = UNSET


class Update(Request, kw_only=True):
    task: str
    name: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    comment: Maybe[str] = UNSET
    report: Maybe[str] = UNSET
    report_assets: Maybe[list[str]] = UNSET


class Move(Request, kw_only=True):
    task: str
    project: str | None = None
    project_name: str | None = None


class Commented(Request, kw_only=True):
    task: str
    comment: str | None = None


class Delete(Request, kw_only=True):
    task: str
    force: bool | None = None


class Plots(Request, kw_only=True):
    iters: AtMost | None = None
    metrics: list[MetricVariants] | None = None
    last_iters_per_task_metric: bool | None = None


class Images(Request, kw_only=True):
    iters: AtMost | None = None
    metrics: list[MetricVariants] | None = None


class Scalars(Request, kw_only=True):
    samples: AtMost | None = None
    key: AxisKey | None = None
    metrics: list[MetricVariants] | None = None


class GetTaskData(tasks_wire.GetAllEx, kw_only=True):
    """Which tasks (or models), and which of their results."""

    model_events: bool | None = None
    plots: Plots | None = None
    debug_images: Images | None = None
    scalar_metrics_iter_histogram: Scalars | None = None
    single_value_metrics: FreeForm | None = None
