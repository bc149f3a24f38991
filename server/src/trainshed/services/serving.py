"""Serving: containers that answer requests with a model, each behind the url of an endpoint.

As with workers, a container is there for as long as it reports. One that does not say its url yet is loading its model.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Filter, Range, Sort
from trainshed.services import history
from trainshed.services.history import Buckets, History, Points
from trainshed.services.limits import LIMITS, Limits

_MB_PER_GB = 1024
_MODEL_FIELDS = ("model_source", "model_version", "preprocess_artifact", "input_type", "input_size")

Stats = Mapping[str, Any]


class _Metric(NamedTuple):
    """A chart: its title, whether containers add up (or are averaged), and its value in a report."""

    title: str
    adds_up: bool
    of: Callable[[Document, Stats], float | None]


def _reported(name: str) -> Callable[[Document, Stats], float | None]:
    return lambda report, stats: report.get(name)


def _sum(*names: str, per: float = 1) -> Callable[[Document, Stats], float | None]:
    def value(report: Document, stats: Stats) -> float | None:
        parts = [part for name in names for part in _parts(stats.get(name))]
        return sum(parts) / per if parts else None

    return value


def _load(name: str) -> Callable[[Document, Stats], float | None]:
    def value(report: Document, stats: Stats) -> float | None:
        parts = _parts(stats.get(name))
        return sum(parts) / len(parts) if parts else None

    return value


METRICS: dict[str, _Metric] = {
    "requests": _Metric("Number of Requests", True, _reported("requests_num")),
    "requests_min": _Metric("Requests per Minute", True, _reported("requests_min")),
    "latency_ms": _Metric("Average Latency (ms)", False, _reported("latency_ms")),
    "cpu_count": _Metric("CPU Count", True, lambda _, stats: len(_parts(stats.get("cpu_usage"))) or None),
    "gpu_count": _Metric("GPU Count", True, lambda _, stats: len(_parts(stats.get("gpu_usage"))) or None),
    "cpu_util": _Metric("Average CPU Load (%)", False, _load("cpu_usage")),
    "gpu_util": _Metric("Average GPU Utilization (%)", False, _load("gpu_usage")),
    "ram_total": _Metric("RAM Total (GB)", True, _sum("memory_used", "memory_free", per=_MB_PER_GB)),
    "ram_used": _Metric("RAM Used (GB)", True, _sum("memory_used", per=_MB_PER_GB)),
    "ram_free": _Metric("RAM Free (GB)", True, _sum("memory_free", per=_MB_PER_GB)),
    "gpu_ram_total": _Metric("GPU RAM Total (GB)", True, _sum("gpu_memory_used", "gpu_memory_free", per=_MB_PER_GB)),
    "gpu_ram_used": _Metric("GPU RAM Used (GB)", True, _sum("gpu_memory_used", per=_MB_PER_GB)),
    "gpu_ram_free": _Metric("GPU RAM Free (GB)", True, _sum("gpu_memory_free", per=_MB_PER_GB)),
    "network_rx": _Metric("Network Throughput RX (MBps)", True, _sum("network_rx")),
    "network_tx": _Metric("Network Throughput TX (MBps)", True, _sum("network_tx")),
}


class Serving:
    """The use cases of serving."""

    def __init__(self, *, documents: Documents, clock: Clock, history: History, limits: Limits = LIMITS) -> None:
        self._documents = documents
        self._clock = clock
        self._history = history
        self._limits = limits

    # what containers say

    def register(self, identity: Identity, container: str, *, timeout: int | None, fields: dict[str, Any]) -> None:
        """Note a container that begins."""
        self._documents.delete("serving_containers", Range(("ends",), high=self._now()))
        self._documents.delete("serving_containers", Eq(("id",), _key(identity, container)))
        self._change(identity, container, {"timeout": timeout or self._limits.container, **fields})

    def unregister(self, identity: Identity, container: str) -> None:
        """Forget a container. Raises CONTAINER_NOT_REGISTERED."""
        if not self._documents.delete("serving_containers", Eq(("id",), _key(identity, container))):
            raise ApiError(Fault.CONTAINER_NOT_REGISTERED, container)

    def report(self, identity: Identity, container: str, *, machine_stats: Stats, fields: dict[str, Any]) -> None:
        """A sign of life; known or not, the container is there afterwards."""
        counts = {
            "cpu_count": len(_parts(machine_stats.get("cpu_usage"))),
            "gpu_count": len(_parts(machine_stats.get("gpu_usage"))),
        }
        report = self._change(identity, container, {**fields, **counts, "last_update": self._now()})
        if report.get("endpoint_url"):
            values = {name: metric.of(report, machine_stats) for name, metric in METRICS.items()}
            self._history.add(
                _reporter(identity, report["endpoint_url"]),
                {(name, container): float(value) for name, value in values.items() if value is not None},
            )

    # who is there

    def endpoints(self, identity: Identity) -> list[dict[str, Any]]:
        """Each url with its containers' figures together."""
        by_url: dict[str, list[Document]] = {}
        for container in self._alive(identity):
            if container.get("endpoint_url"):
                by_url.setdefault(container["endpoint_url"], []).append(container)
        return [_endpoint(url, containers) for url, containers in by_url.items()]

    def details(self, identity: Identity, url: str) -> dict[str, Any]:
        """An endpoint with each of its containers. Raises NO_CONTAINERS_FOR_URL."""
        containers = self._of_url(identity, url)
        summary = _endpoint(url, containers)
        shown = ("endpoint", "model", "url", "uptime_sec", "last_update")
        return {
            **{name: summary[name] for name in shown if name in summary},
            **{name: containers[0][name] for name in _MODEL_FIELDS if name in containers[0]},
            "instances": [_instance(container) for container in containers],
        }

    def loading(self, identity: Identity) -> list[dict[str, Any]]:
        """The containers that do not say their url yet."""
        return [self._info(container) for container in self._alive(identity) if not container.get("endpoint_url")]

    # figures

    def chart(
        self, identity: Identity, url: str, span: tuple[float, float], interval: int, *, metric: str, by_container: bool
    ) -> dict[str, Any]:
        """A metric of an endpoint by interval, in all and for each container. Raises NO_CONTAINERS_FOR_URL."""
        self._of_url(identity, url)
        within = history.buckets(*span, interval, at_least=self._limits.container_chart)
        found = self._history.read(_reporter(identity, url), within, metric=metric)
        lines = {container: _means(points, within) for (_, container), points in found.items()}
        chosen = METRICS[metric]
        reply = {
            "computed_interval": within.width // 1000,
            "total": {"title": chosen.title, **_columns(_total(lines.values(), chosen), within)},
        }
        if by_container:
            reply["instances"] = {
                container: {"title": container, **_columns(line, within)} for container, line in lines.items()
            }
        return reply

    # storage

    def _of_url(self, identity: Identity, url: str) -> list[Document]:
        containers = [found for found in self._alive(identity) if found.get("endpoint_url") == url]
        if not containers:
            raise ApiError(Fault.NO_CONTAINERS_FOR_URL, url)
        return containers

    def _alive(self, identity: Identity) -> list[Document]:
        alive: tuple[Filter, ...] = (
            Eq(("company",), identity.company),
            Range(("ends",), low=self._now(), low_open=True),
        )
        return self._documents.find("serving_containers", And(alive), sort=(Sort(("name",)),))

    def _change(self, identity: Identity, container: str, fields: dict[str, Any]) -> Document:
        now = self._clock.now()

        def change(document: Document) -> None:
            document.update(fields)
            document["ends"] = dates.to_text(now + timedelta(seconds=document["timeout"]))

        key = _key(identity, container)
        try:
            return self._documents.update("serving_containers", key, change)
        except NotFound:
            document = {
                "id": key,
                "name": container,
                "company": identity.company,
                "timeout": self._limits.container,
                "registered": dates.to_text(now),
            }
            change(document)
            with suppress(Duplicate):  # the same container's other report was quicker
                self._documents.insert("serving_containers", document)
            return document

    def _info(self, container: Document) -> dict[str, Any]:
        age = self._clock.now() - dates.from_text(container["registered"])
        names = (*_MODEL_FIELDS, "uptime_sec", "last_update")
        return {
            "id": container["name"],
            "endpoint": container["endpoint_name"],
            "model": container["model_name"],
            "age_sec": int(age.total_seconds()),
            **{name: container[name] for name in names if name in container},
        }

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _endpoint(url: str, containers: list[Document]) -> dict[str, Any]:
    def reported(name: str) -> list[Any]:
        return [container[name] for container in containers if name in container]

    latencies = reported("latency_ms")
    summary = {
        "endpoint": containers[0]["endpoint_name"],
        "model": containers[0]["model_name"],
        "url": url,
        "instances": len(containers),
        "uptime_sec": max(reported("uptime_sec"), default=0),
        "requests": sum(reported("requests_num")),
        "requests_min": sum(reported("requests_min")),
        "latency_ms": round(sum(latencies) / len(latencies)) if latencies else 0,
    }
    updates = reported("last_update")
    return {**summary, "last_update": max(updates)} if updates else summary


def _instance(container: Document) -> dict[str, Any]:
    instance = {
        "id": container["name"],
        "uptime_sec": container.get("uptime_sec", 0),
        "requests": container.get("requests_num", 0),
        "requests_min": container.get("requests_min", 0),
        "latency_ms": container.get("latency_ms", 0),
        "cpu_count": container.get("cpu_count", 0),
        "gpu_count": container.get("gpu_count", 0),
        "reference": container.get("reference", []),
    }
    return {**instance, "last_update": container["last_update"]} if "last_update" in container else instance


# Number of a bucket -> the value there.
_Line = dict[int, float]


def _means(points: Points, within: Buckets) -> _Line:
    numbers = within.of(points.times)
    return {int(number): float(points.values[numbers == number].mean()) for number in np.unique(numbers)}


def _total(lines: Iterable[_Line], metric: _Metric) -> _Line:
    by_number: dict[int, list[float]] = {}
    for line in lines:
        for number, value in line.items():
            by_number.setdefault(number, []).append(value)
    return {
        number: sum(values) if metric.adds_up else sum(values) / len(values) for number, values in by_number.items()
    }


def _columns(line: _Line, within: Buckets) -> dict[str, Any]:
    numbers = sorted(line)
    return {"dates": [within.date(number) for number in numbers], "values": [line[number] for number in numbers]}


def _parts(value: Any) -> list[float]:
    """A figure of a machine as a list of its parts."""
    listed = value if isinstance(value, list) else [value]
    return [part for part in listed if part is not None]


def _key(identity: Identity, container: str) -> str:
    return f"{identity.company}_{container}"


def _reporter(identity: Identity, url: str) -> str:
    return f"serving:{identity.company}:{url}"
