"""Serving: endpoints, their containers and what those answer."""

from typing import Any

import pytest

from trainshed.services.serving import METRICS
from trainshed.testing.api import ApiClient, Json

START = 1_767_225_600  # of the tests' clock, in seconds since the epoch
URL = "http://host/serve/a"
STATS = {"cpu_usage": [10, 30], "gpu_usage": [50], "memory_used": 512, "memory_free": 1536, "network_rx": 4}


def report(api: ApiClient, container: str, **fields: Any) -> None:
    shared = {"endpoint_name": "a", "endpoint_url": URL, "model_name": "m"}
    api.call("serving.container_status_report", **{"container_id": container, **shared, **fields})


def chart(api: ApiClient, metric: str, **fields: Any) -> Json:
    span = {"from_date": START, "to_date": START + 120, "interval": 1}
    found: Json = api.call(
        "serving.get_endpoint_metrics_history", **{"endpoint_url": URL, "metric_type": metric, **span, **fields}
    )
    return found


def test_an_endpoint_and_its_containers(api: ApiClient) -> None:
    report(api, "c1", uptime_sec=10, requests_num=3, requests_min=1.5, latency_ms=100, machine_stats=STATS)
    api.move_clock(5)
    reference = [{"type": "task", "value": "x"}]
    report(api, "c2", uptime_sec=5, requests_num=4, requests_min=2, latency_ms=200, reference=reference, input_type="f")
    summary = {"endpoint": "a", "model": "m", "url": URL, "uptime_sec": 10}
    last = "2026-01-01T00:00:05.000000+00:00"
    assert api.call("serving.get_endpoints")["endpoints"] == [
        {**summary, "instances": 2, "requests": 7, "requests_min": 3.5, "latency_ms": 150, "last_update": last}
    ]
    details = api.call("serving.get_endpoint_details", endpoint_url=URL)
    first, second = details.pop("instances")
    assert details == {**summary, "last_update": last}
    assert first == {
        "id": "c1",
        "uptime_sec": 10,
        "requests": 3,
        "requests_min": 1.5,
        "latency_ms": 100,
        "last_update": "2026-01-01T00:00:00.000000+00:00",
        "cpu_count": 2,
        "gpu_count": 1,
        "reference": [],
    }
    assert (second["cpu_count"], second["reference"]) == (0, reference)


def test_a_container_loads_until_it_has_a_url(api: ApiClient) -> None:
    api.call("serving.register_container", container_id="c", endpoint_name="a", model_name="m", model_version="2")
    api.move_clock(7)
    assert api.call("serving.get_endpoints")["endpoints"] == []
    assert api.call("serving.get_loading_instances")["instances"] == [
        {"id": "c", "endpoint": "a", "model": "m", "model_version": "2", "age_sec": 7}
    ]
    report(api, "c")
    assert api.call("serving.get_loading_instances")["instances"] == []
    assert [found["url"] for found in api.call("serving.get_endpoints")["endpoints"]] == [URL]


def test_containers_go(api: ApiClient) -> None:
    api.call(
        "serving.register_container",
        container_id="c",
        endpoint_name="a",
        model_name="m",
        endpoint_url=URL,
        timeout=60,
    )
    report(api, "other")
    api.move_clock(61)
    ((only,),) = [found["instances"] for found in [api.call("serving.get_endpoint_details", endpoint_url=URL)]]
    assert only["id"] == "other"
    api.call("serving.unregister_container", container_id="other")
    assert api.error("serving.unregister_container", container_id="other") == (400, 1051)
    assert api.error("serving.get_endpoint_details", endpoint_url=URL) == (400, 1052)
    assert api.error("serving.get_endpoint_metrics_history", endpoint_url=URL, from_date=1, to_date=2, interval=1) == (
        400,
        1052,
    )


@pytest.mark.parametrize(
    ("metric", "total"),
    [
        ("requests", [8.0, 5.0]),
        ("latency_ms", [150.0, 100.0]),
        ("cpu_count", [4.0]),
        ("cpu_util", [20.0]),
        ("ram_total", [4.0]),
        ("ram_used", [1.0]),
        ("network_rx", [8.0]),
        ("gpu_ram_used", []),
    ],
)
def test_charts_add_up_or_average(api: ApiClient, metric: str, total: list[float]) -> None:
    report(api, "c1", requests_num=3, latency_ms=100, machine_stats=STATS)
    report(api, "c2", requests_num=5, latency_ms=200, machine_stats=STATS)
    api.move_clock(80)
    report(api, "c1", requests_num=5, latency_ms=100)
    found = chart(api, metric)
    assert found["computed_interval"] == 40
    assert found["total"]["title"] == METRICS[metric].title
    assert found["total"]["values"] == total
    assert found["total"]["dates"] == [START * 1000, (START + 80) * 1000][: len(total)]
    assert set(found["instances"]) == ({"c1", "c2"} if total else set())
    assert "instances" not in chart(api, metric, instance_charts=False)


def test_every_metric_has_a_chart(api: ApiClient) -> None:
    report(api, "c")
    for metric in METRICS:
        assert chart(api, metric)["total"]["values"] == []
    assert api.error("serving.get_endpoint_metrics_history", endpoint_url=URL, metric_type="mood") == (400, 12)
