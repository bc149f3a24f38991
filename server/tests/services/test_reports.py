"""Reports: documents in hidden projects."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, **fields: Any) -> str:
    report: str = api.call("reports.create", **{"name": "a report", **fields})["id"]
    return report


def project(api: ApiClient, name: str) -> str:
    made: str = api.call("projects.create", name=name)["id"]
    return made


def get(api: ApiClient, report: str) -> Json:
    (found,) = api.call("reports.get_all_ex", id=[report])["tasks"]
    return dict(found)


def names(api: ApiClient, **arguments: Any) -> list[str]:
    return [r["name"] for r in api.call("reports.get_all_ex", order_by=["name"], **arguments)["tasks"]]


def test_a_report_and_its_hidden_project(api: ApiClient) -> None:
    top = project(api, "top")
    made = api.call("reports.create", name="weekly", project=top, tags=["t"], comment="c", report="# text")
    report = get(api, made["id"])
    assert api.call("tasks.get_by_id", task=made["id"])["task"]["type"] == "report"
    assert report["system_tags"] == ["hidden", "reports"]
    assert (report["report"], report["tags"], report["comment"]) == ("# text", ["t"], "c")
    assert report["project"] == {"id": made["project_id"]}
    place = api.call("projects.get_by_id", project=made["project_id"])["project"]
    assert (place["name"], place["system_tags"]) == ("top/.reports", ["hidden", "reports"])
    assert [p["name"] for p in api.call("projects.get_all")["projects"]] == ["top"]
    assert api.call("reports.get_tags") == {"tags": ["t"]}
    assert api.call("tasks.get_all")["tasks"] == []


def test_listing_by_project(api: ApiClient) -> None:
    inner = project(api, "top/inner")
    (top,) = api.call("projects.get_all", name="^top$")["projects"]
    create(api, name="in inner", project=inner)
    create(api, name="in top", project=top["id"], report="a needle")
    create(api, name="nowhere")
    assert names(api) == ["in inner", "in top", "nowhere"]
    assert names(api, project=[top["id"]]) == ["in top"]
    assert names(api, project=[top["id"]], include_subprojects=True) == ["in inner", "in top"]
    assert names(api, project=[None]) == ["nowhere"]
    assert names(api, project=["none"]) == []
    assert names(api, search_text="needle") == ["in top"]


def test_a_published_report_keeps_its_text(api: ApiClient) -> None:
    report = create(api)
    assert api.call("reports.update", task=report, report="new", name="renamed")["fields"]["report"] == "new"
    assert api.call("reports.publish", task=report, comment="done")["fields"]["status"] == "published"
    assert api.error("reports.update", task=report, report="newer") == (400, 110)
    assert api.error("reports.publish", task=report) == (400, 110)
    api.call("reports.update", task=report, name="again", tags=["t"], comment="c")
    assert (get(api, report)["name"], get(api, report)["report"]) == ("again", "new")
    assert api.error("reports.delete", task=report) == (400, 123)
    assert api.call("reports.delete", task=report, force=True) == {"deleted": 1}


def test_moving_the_last_one_out_removes_the_project(api: ApiClient) -> None:
    top = project(api, "top")
    report = create(api, project=top)
    moved = api.call("reports.move", task=report, project_name="other/place")["project_id"]
    assert get(api, report)["project"] == {"id": moved}
    found = api.call("projects.get_all", search_hidden=True, order_by=["name"])["projects"]
    assert [p["name"] for p in found] == ["other", "other/place", "other/place/.reports", "top"]
    api.call("reports.move", task=report, project=None)
    assert names(api, project=[None]) == ["a report"]


def test_archiving(api: ApiClient) -> None:
    report = create(api)
    assert api.call("reports.archive", task=report) == {"archived": 1}
    assert api.call("reports.archive", task=report) == {"archived": 0}
    assert names(api, system_tags=["-archived"]) == []
    assert api.call("reports.unarchive", task=report) == {"unarchived": 1}
    assert names(api, system_tags=["-archived"]) == ["a report"]


@pytest.mark.parametrize("action", ["update", "move", "publish", "archive", "unarchive", "delete"])
def test_tasks_are_no_reports(api: ApiClient, action: str) -> None:
    task = api.call("tasks.create", name="a task", type="training")["id"]
    assert api.error(f"reports.{action}", task=task) == (400, 150)
    assert api.error(f"reports.{action}", task="none") == (400, 101)


def test_task_data_holds_what_was_asked_for(api: ApiClient) -> None:
    task = api.call("tasks.create", name="a task", type="training")["id"]
    series: Json = {"task": task, "metric": "m", "variant": "v"}
    single = {**series, "type": "training_stats_scalar", "iter": -(2**31), "value": 5.0, "metric": "Summary"}
    point = {**series, "type": "training_stats_scalar", "iter": 1, "value": 2.0}
    plot = {**series, "type": "plot", "iter": 1, "plot_str": "{}"}
    image = {**series, "type": "training_debug_image", "iter": 1, "url": "http://files/i.png", "key": "i.png"}
    api.add_events([single, point, plot, image])
    assert set(api.call("reports.get_task_data", id=[task])) == {"tasks"}
    everything: Json = {
        "plots": {"iters": 1},
        "debug_images": {"iters": 1, "metrics": [{"metric": "m"}]},
        "scalar_metrics_iter_histogram": {},
        "single_value_metrics": {},
    }
    found = api.call("reports.get_task_data", id=[task], only_fields=["name"], **everything)
    assert found["tasks"] == [{"id": task, "name": "a task"}]
    assert list(found["plots"]["m"]["v"][task]) == ["1"]
    assert found["debug_images"][0]["iterations"][0]["events"][0]["url"] == "http://files/i.png"
    assert found["scalar_metrics_iter_histogram"]["m"]["v"][task]["y"] == [2.0]
    assert found["single_value_metrics"][0]["values"][0]["value"] == 5.0
    assert api.call("reports.get_task_data", id=["none"], **everything)["plots"] == {}


def test_a_report_keeps_a_name_of_a_fitting_length(api: ApiClient) -> None:
    made = api.call("reports.create", name="weekly")["id"]
    assert api.error("reports.create", name="ab") == (400, 800)
    assert api.error("reports.update", task=made, name=" ab ") == (400, 800)
    assert api.call("reports.update", task=made, name=" monthly ")["fields"] == {"name": "monthly"}
