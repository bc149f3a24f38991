"""Plots and debug samples one after the other, and of several tasks."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json
from trainshed.testing.reports import image, plot


@pytest.fixture
def task(api: ApiClient) -> str:
    created: str = api.call("tasks.create", name="a task", type="training")["id"]
    return created


def urls(reply: Json) -> str | None:
    return reply["event"]["url"] if reply["event"] else None


def test_walking_through_debug_images(api: ApiClient, task: str) -> None:
    api.add_events([image(task, i, f"{i}{m}{v}", v, m) for i in (1, 2, 3) for m in "mn" for v in "ab"])
    where: Json = {"task": task, "metric": "m", "variant": "b"}
    reply = api.call("events.get_debug_image_sample", **where, iteration=2)
    assert (urls(reply), reply["min_iteration"], reply["max_iteration"]) == ("2mb", 1, 3)

    def go(**arguments: Any) -> str | None:
        return urls(api.call("events.next_debug_image_sample", task=task, scroll_id=reply["scroll_id"], **arguments))

    assert [go() for _ in range(3)] == ["3ma", "3mb", None]
    assert go(navigate_earlier=True) == "3ma"
    assert [go(navigate_earlier=True, next_iteration=True) for _ in range(3)] == ["2mb", "1mb", None]
    assert [go(next_iteration=True) for _ in range(3)] == ["2ma", "3ma", None]
    reply = api.call("events.get_debug_image_sample", **where, navigate_current_metric=False)
    assert urls(reply) == "3mb"
    assert [go() for _ in range(3)] == ["3na", "3nb", None]
    assert [go(navigate_earlier=True) for _ in range(4)] == ["3na", "3mb", "3ma", "2nb"]


def test_an_iteration_without_an_image_shows_the_one_before(api: ApiClient, task: str) -> None:
    api.add_events([image(task, i, str(i)) for i in (1, 5)])
    where: Json = {"task": task, "metric": "m", "variant": "v"}
    assert urls(api.call("events.get_debug_image_sample", **where, iteration=4)) == "1"
    assert urls(api.call("events.get_debug_image_sample", **where, iteration=99)) == "5"
    assert urls(api.call("events.get_debug_image_sample", **where, iteration=0)) is None


def test_new_images_show_only_after_a_refresh(api: ApiClient, task: str) -> None:
    where: Json = {"task": task, "metric": "m", "variant": "v"}
    api.add_events([image(task, 1, "1")])
    scroll = api.call("events.get_debug_image_sample", **where)["scroll_id"]
    api.add_events([image(task, 2, "2")])
    reply = api.call("events.get_debug_image_sample", **where, scroll_id=scroll)
    assert (urls(reply), reply["max_iteration"]) == ("1", 1)
    assert urls(api.call("events.next_debug_image_sample", task=task, scroll_id=scroll)) is None
    reply = api.call("events.get_debug_image_sample", **where, scroll_id=scroll, refresh=True)
    assert (urls(reply), reply["max_iteration"]) == ("2", 2)


def test_the_first_iteration_is_that_of_a_file_that_is_still_there(api: ApiClient, task: str) -> None:
    api.add_events([image(task, i, f"u{i % 3}") for i in range(7)])
    reply = api.call("events.get_debug_image_sample", task=task, metric="m", variant="v")
    assert (reply["min_iteration"], reply["max_iteration"]) == (4, 6)


def test_walking_through_plots(api: ApiClient, task: str) -> None:
    api.add_events([plot(task, i, f"{i}{m}{v}", v, m) for i in (1, 2) for m in "pq" for v in "ba"])

    def texts(reply: Json) -> list[str]:
        return [event["plot_str"] for event in reply["events"]]

    reply = api.call("events.get_plot_sample", task=task, metric="p")
    assert texts(reply) == ["2pa", "2pb"]
    assert (reply["min_iteration"], reply["max_iteration"]) == (1, 2)
    scroll = reply["scroll_id"]
    back = {"task": task, "scroll_id": scroll, "navigate_earlier": True}
    assert texts(api.call("events.next_plot_sample", **back)) == ["1pa", "1pb"]
    assert texts(api.call("events.next_plot_sample", **back)) == []
    reply = api.call("events.get_plot_sample", task=task, metric="p", scroll_id=scroll, navigate_current_metric=False)
    assert texts(api.call("events.next_plot_sample", task=task, scroll_id=scroll)) == ["2qa", "2qb"]


def test_nothing_to_show(api: ApiClient, task: str) -> None:
    reply = api.call("events.get_debug_image_sample", task=task, metric="m", variant="v")
    assert (reply["event"], reply["min_iteration"], reply["max_iteration"]) == (None, None, None)
    reply = api.call("events.next_debug_image_sample", task=task, scroll_id=reply["scroll_id"])
    assert (reply["event"], reply["min_iteration"]) == (None, None)
    reply = api.call("events.get_plot_sample", task=task, metric="m")
    assert (reply["events"], reply["min_iteration"], reply["max_iteration"]) == ([], None, None)
    for endpoint in ("next_debug_image_sample", "next_plot_sample"):
        assert api.error(f"events.{endpoint}", task=task, scroll_id="unknown") == (400, 1104)
        assert api.error(f"events.{endpoint}", task="none", scroll_id="unknown") == (400, 101)


def test_plots_of_several_tasks(api: ApiClient, task: str) -> None:
    other = api.call("tasks.create", name="another", type="training")["id"]
    api.add_events([plot(task, i, f"{i}") for i in (1, 2)] + [plot(other, 7, "7")])
    reply = api.call("events.get_multi_task_plots", tasks=[task, other])
    of_variant = reply["plots"]["p"]["v"]
    assert {owner: list(found) for owner, found in of_variant.items()} == {task: ["2"], other: ["7"]}
    assert of_variant[other]["7"]["name"] == "another"
    assert [event["plot_str"] for event in of_variant[other]["7"]["plots"]] == ["7"]
    assert (reply["returned"], reply["total"]) == (2, 2)
    rest = api.call("events.get_multi_task_plots", tasks=[task, other], scroll_id=reply["scroll_id"])
    assert (rest["plots"], rest["returned"]) == ({}, 0)
    both = api.call("events.get_multi_task_plots", tasks=[task], iters=2, no_scroll=True)
    assert sorted(both["plots"]["p"]["v"][task]) == ["1", "2"]
    assert "scroll_id" not in both


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({}, {"a": ["9"], "b": ["5"]}),
        ({"iters": 2, "last_iters_per_task_metric": True}, {"a": ["8", "9"], "b": ["4", "5"]}),
        ({"iters": 2, "last_iters_per_task_metric": False}, {"a": ["8", "9"]}),
        ({"iters": 3, "last_iters_per_task_metric": False}, {"a": ["8", "9"], "b": ["5"]}),
    ],
)
def test_the_newest_iterations_of_a_metric_or_of_the_task(
    api: ApiClient, task: str, arguments: Json, shown: dict[str, list[str]]
) -> None:
    api.add_events(
        [plot(task, i, "{}", "v", m) for m, iterations in (("a", (8, 9)), ("b", (3, 4, 5))) for i in iterations]
    )
    plots = api.call("events.get_multi_task_plots", tasks=[task], **arguments)["plots"]
    assert {metric: sorted(variants["v"][task]) for metric, variants in plots.items()} == shown
    none = api.call("tasks.create", name="empty", type="training")["id"]
    assert api.call("events.get_multi_task_plots", tasks=[none], **arguments)["plots"] == {}


def test_a_scroll_can_be_ended(api: ApiClient, task: str) -> None:
    api.add_events([image(task, 1, "1")])
    metrics = [{"task": task}]
    scroll = api.call("events.debug_images", metrics=metrics)["scroll_id"]
    assert api.call("events.clear_scroll", scroll_id=scroll) == {}
    assert api.call("events.clear_scroll", scroll_id=scroll) == {}
    assert api.error("events.debug_images", metrics=metrics, scroll_id=scroll) == (400, 1104)
