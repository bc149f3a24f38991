"""Requests of the serving service."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from trainshed.transport.wire.common import Maybe, Request
from trainshed.transport.wire.queues import Moment, Seconds
from trainshed.transport.wire.workers import MachineStats, WorkerName

Url = Annotated[str, Meta(max_length=2000)]
# Far below 64 bits: they are summed.
Counted = Annotated[int, Meta(ge=0, le=2**53)]
ReferenceType = Literal["app_id", "app_instance", "model", "task", "url"]
MetricType = Literal[
    "requests",
    "requests_min",
    "latency_ms",
    "cpu_count",
    "gpu_count",
    "cpu_util",
    "gpu_util",
    "ram_total",
    "ram_used",
    "ram_free",
    "gpu_ram_total",
    "gpu_ram_used",
    "gpu_ram_free",
    "network_rx",
    "network_tx",
]


class Reference(Request, kw_only=True):
    type: ReferenceType
    value: str


class _Model(Request, kw_only=True):
    container_id: WorkerName
    endpoint_name: str
    model_name: str
    endpoint_url: Maybe[Url] = UNSET
    model_source: Maybe[str] = UNSET
    model_version: Maybe[str] = UNSET
    preprocess_artifact: Maybe[str] = UNSET
    input_type: Maybe[str] = UNSET
    input_size: Maybe[str] = UNSET
    reference: Maybe[list[Reference]] = UNSET


class RegisterContainer(_Model, kw_only=True):
    timeout: Seconds | None = None


class ContainerStatusReport(_Model, kw_only=True):
    uptime_sec: Maybe[Counted] = UNSET
    requests_num: Maybe[Counted] = UNSET
    requests_min: Maybe[float] = UNSET
    latency_ms: Maybe[Counted] = UNSET
    machine_stats: Maybe[MachineStats] = UNSET


class UnregisterContainer(Request, kw_only=True):
    container_id: WorkerName


class GetEndpointDetails(Request, kw_only=True):
    endpoint_url: Url


class GetEndpointMetricsHistory(GetEndpointDetails, kw_only=True):
    from_date: Moment
    to_date: Moment
    interval: Seconds
    metric_type: MetricType | None = None
    instance_charts: bool | None = None
