"""serving.*"""

from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.fields import sent
from trainshed.transport.wire import serving as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


def register_container(call: Call, request: wire.RegisterContainer) -> Reply:
    fields = sent(request, "container_id", "timeout")
    call.services.serving.register(call.identity, request.container_id, timeout=request.timeout, fields=fields)
    return {}


def unregister_container(call: Call, request: wire.UnregisterContainer) -> Reply:
    call.services.serving.unregister(call.identity, request.container_id)
    return {}


def container_status_report(call: Call, request: wire.ContainerStatusReport) -> Reply:
    call.services.serving.report(
        call.identity,
        request.container_id,
        machine_stats=sent(request.machine_stats) if request.machine_stats else {},
        fields=sent(request, "container_id", "machine_stats"),
    )
    return {}


def get_endpoints(call: Call, request: Empty) -> Reply:
    return {"endpoints": call.services.serving.endpoints(call.identity)}


def get_endpoint_details(call: Call, request: wire.GetEndpointDetails) -> Reply:
    return call.services.serving.details(call.identity, request.endpoint_url)


def get_loading_instances(call: Call, request: Empty) -> Reply:
    return {"instances": call.services.serving.loading(call.identity)}


def get_endpoint_metrics_history(call: Call, request: wire.GetEndpointMetricsHistory) -> Reply:
    return call.services.serving.chart(
        call.identity,
        request.endpoint_url,
        (request.from_date, request.to_date),
        request.interval,
        metric=request.metric_type or "requests",
        by_container=request.instance_charts is not False,
    )
