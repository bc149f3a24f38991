"""What each key of a limit or a time-out changes: the same is done on a server without it and on one with it."""

from collections.abc import Callable
from typing import Any

import pytest

from trainshed import bootstrap
from trainshed.bootstrap import Engines
from trainshed.services import Services
from trainshed.settings import Settings
from trainshed.testing.api import ApiClient, memory_engines

START = 1_767_225_600_000  # of the tests' clock, in milliseconds since the epoch


def tasks(api: ApiClient, count: int) -> list[str]:
    return [api.call("tasks.create", name=f"task {number}", type="training")["id"] for number in range(count)]


def rows(api: ApiClient, services: Services) -> Any:
    """How many a listing gives that does not say, of three; and a scroll."""
    tasks(api, 3)
    whole, scroll = api.call("tasks.get_all"), api.call("tasks.get_all", scroll_id=None)
    return len(whole["tasks"]), len(scroll["tasks"])


def scroll(api: ApiClient, services: Services) -> Any:
    """Whether a scroll goes on after a minute."""
    tasks(api, 3)
    scroll_id = api.call("tasks.get_all", scroll_id=None, size=1)["scroll_id"]
    api.move_clock(60)
    return api.error("tasks.get_all", scroll_id=scroll_id, size=1)[0]


def last_metrics(api: ApiClient, services: Services) -> Any:
    (task,) = tasks(api, 1)
    event = {"type": "training_stats_scalar", "task": task, "iter": 1, "value": 1.0, "metric": "m"}
    api.add_events([{**event, "variant": str(number)} for number in range(3)])
    return sum(map(len, api.call("tasks.get_by_id", task=task)["task"]["last_metrics"].values()))


def raw_events(api: ApiClient, services: Services) -> Any:
    (task,) = tasks(api, 1)
    event = {"type": "training_stats_scalar", "task": task, "value": 1.0, "metric": "m", "variant": "v"}
    api.add_events([{**event, "iter": number} for number in range(3)])
    events = api.call("events.get_task_events", task=task, batch_size=100)["events"]
    points = api.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "m"}, batch_size=100)["variants"]
    return len(events), len(points["v"]["y"])


def depth(api: ApiClient, services: Services) -> Any:
    return api.error("projects.create", name="one/two/three")


def table_rows(api: ApiClient, services: Services) -> Any:
    return api.call("users.get_current_user")["settings"]["max_download_items"]


def hidden_queues(api: ApiClient, services: Services) -> Any:
    for tag in ("k8s-glue", "ours"):
        api.call("queues.create", name=f"of {tag}", system_tags=[tag])
    return [queue["name"] for queue in api.call("queues.get_all", order_by=["name"])["queues"]]


def worker(api: ApiClient, services: Services) -> Any:
    """Whether a worker is there a minute after its report."""
    api.call("workers.status_report", worker="w", timestamp=START)
    api.call("workers.register", worker="registered")
    api.move_clock(60)
    return len(api.call("workers.get_all")["workers"])


def worker_chart(api: ApiClient, services: Services) -> Any:
    """How many bars ten seconds have that were asked for by the second."""
    for second in range(10):
        moment = START + second * 1000
        api.call("workers.status_report", worker="w", timestamp=moment, machine_stats={"cpu_usage": [1.0]})
    span: dict[str, Any] = {"from_date": START / 1000, "to_date": START / 1000 + 10, "interval": 1}
    asked = [{"key": "cpu_usage", "aggregation": "avg"}]
    (found,) = api.call("workers.get_stats", items=asked, worker_ids=["w"], **span)["workers"]
    return len(found["metrics"][0]["dates"])


def container(api: ApiClient, services: Services) -> Any:
    asked = {"container_id": "c", "endpoint_name": "e", "endpoint_url": "u", "model_name": "m"}
    api.call("serving.register_container", **asked)
    api.move_clock(60)
    return len(api.call("serving.get_endpoints")["endpoints"])


def container_chart(api: ApiClient, services: Services) -> Any:
    asked = {"container_id": "c", "endpoint_name": "e", "endpoint_url": "u", "model_name": "m"}
    api.call("serving.container_status_report", uptime_sec=1, requests_num=1, **asked)
    span: dict[str, Any] = {"from_date": START / 1000, "to_date": START / 1000 + 120, "interval": 1}
    return api.call("serving.get_endpoint_metrics_history", endpoint_url="u", metric_type="requests", **span)[
        "computed_interval"
    ]


def task_worker(api: ApiClient, services: Services) -> Any:
    """What becomes of a task that is stopped a minute after its worker's report."""
    (task,) = tasks(api, 1)
    api.call("tasks.started", task=task)
    api.call("workers.status_report", worker="w", timestamp=START, task=task)
    api.move_clock(60)
    api.call("tasks.stop", task=task)
    found = api.call("tasks.get_by_id", task=task)["task"]
    return found["status"], found["status_message"]


SERVICES, APISERVER = "CLEARML__SERVICES__", "CLEARML__APISERVER__"


@pytest.mark.parametrize(
    ("scenario", "variable", "value", "without", "with_it"),
    [
        (rows, SERVICES + "_MONGO__MAX_PAGE_SIZE", "2", (3, 3), (2, 2)),
        (scroll, SERVICES + "_MONGO__SCROLL_STATE_EXPIRATION_SECONDS", "30", 200, 400),
        (last_metrics, SERVICES + "TASKS__MAX_LAST_METRICS", "2", 3, 2),
        (raw_events, SERVICES + "EVENTS__MAX_RAW_SCALARS_SIZE", "2", (3, 3), (2, 2)),
        (depth, SERVICES + "PROJECTS__SUB_PROJECTS__MAX_DEPTH", "2", (200, 0), (400, 409)),
        (table_rows, SERVICES + "ORGANIZATION__DOWNLOAD__MAX_DOWNLOAD_ITEMS", "7", "1000", "7"),
        (hidden_queues, SERVICES + "QUEUES__HIDDEN_TAGS", '["ours"]', ["of ours"], ["of k8s-glue"]),
        (worker, SERVICES + "WORKERS__DEFAULT_WORKER_TIMEOUT_SEC", "30", 2, 0),
        (worker, APISERVER + "WORKERS__DEFAULT_TIMEOUT", "30", 2, 0),
        (worker_chart, SERVICES + "WORKERS__MIN_CHART_INTERVAL_SEC", "5", 1, 2),
        (container_chart, SERVICES + "SERVING__MIN_CHART_INTERVAL_SEC", "20", 40, 20),
        (container, SERVICES + "SERVING__DEFAULT_CONTAINER_TIMEOUT_SEC", "30s", 1, 0),
        (
            task_worker,
            APISERVER + "WORKERS__TASK_UPDATE_TIMEOUT",
            "30",
            ("in_progress", "stopping"),
            ("stopped", ""),
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_key_changes_what_it_says(
    configure: Callable[..., Settings],
    served: Callable[[Settings, Engines], tuple[ApiClient, Services]],
    scenario: Callable[[ApiClient, Services], Any],
    variable: str,
    value: str,
    without: Any,
    with_it: Any,
) -> None:
    settings = configure()
    assert scenario(*served(settings, memory_engines(settings.data_dir))) == without
    settings = configure(**{variable: value})
    assert scenario(*served(settings, memory_engines(settings.data_dir))) == with_it


@pytest.mark.parametrize(
    ("variable", "job"),
    [
        (SERVICES + "ASYNC_URLS_DELETE__ENABLED", "deletion of files"),
        (SERVICES + "TASKS__NON_RESPONSIVE_TASKS_WATCHDOG__ENABLED", "watchdog"),
    ],
)
def test_a_job_can_be_switched_off(
    configure: Callable[..., Settings],
    served: Callable[[Settings, Engines], tuple[ApiClient, Services]],
    engines: Engines,
    variable: str,
    job: str,
) -> None:
    _, services = served(configure(), engines)
    there = {one.name for one in bootstrap.build_jobs(configure(), engines, services)}
    left = {one.name for one in bootstrap.build_jobs(configure(**{variable: "false"}), engines, services)}
    assert there - left == {job}


def test_whose_files_are_its_own(configure: Callable[..., Settings]) -> None:
    prefixes = 'async_urls_delete.fileserver.url_prefixes: ["https://old.example.com/files"]'
    settings = configure({"services": prefixes, "hosts": 'fileserver: "http://fileserver:8081"'})
    own = bootstrap.advertised(settings).own_files()
    assert {"https://old.example.com/files", "http://fileserver:8081"} <= {*own}
    assert not {*bootstrap.advertised(Settings(data_dir=settings.data_dir)).own_files()} & {"http://fileserver:8081"}


def test_how_often_it_is_tried_to_delete_a_file(configure: Callable[..., Settings]) -> None:
    assert [configure().files_retries.after(attempts) for attempts in (1, 2, 5, 9)] == [60, 300, 43_200, 43_200]
    found = configure({"services": "async_urls_delete { max_retries: 9, retry_timeout_sec: 10 }"}).files_retries
    assert (found.most, found.after(1), found.after(3)) == (9, 10, 300)
