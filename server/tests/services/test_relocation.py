"""Links after the file server got another address."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from trainshed.bootstrap import Engines, build_services
from trainshed.services.file_deletion import PENDING
from trainshed.services.relocation import KINDS, Found, Relocation
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json

OLD, NEW = "http://old.example:8081", "https://new.example/p/files"


@pytest.fixture
def relocation(engines: Engines) -> Relocation:
    return build_services(engines, token_secret=TOKEN_SECRET).relocation


def counts(found: Found) -> dict[str, int]:
    return {kind: count for kind, count in found.links.items() if count}


def plot(*urls: str, escaped: bool = False) -> str:
    text = json.dumps({"layout": {"images": [{"source": url} for url in urls]}, "data": [{"text": 'a "b" \\ é'}]})
    return text.replace("/", "\\/") if escaped else text


def event(task: str, kind: str, **fields: Any) -> Json:
    return {"task": task, "type": kind, "metric": "m", "variant": "v", "iter": 0, "timestamp": 1000, **fields}


def stored(api: ApiClient, base: str) -> Callable[[], list[Any]]:
    """Something of every kind that has links; returns what the API then says of it."""
    project = api.call("projects.create", name="project", default_output_destination=base)["id"]
    task = api.call("tasks.create", name="task", type="training", project=project, output_dest=f"{base}/out")["id"]
    artifacts = [
        {"key": "a", "type": "custom", "uri": f"{base}/p/t.{task}/a"},
        {"key": "b", "type": "custom", "uri": f"{base}/elsewhere"},
        {"key": "c", "type": "custom", "uri": f"s3://bucket/x?from={base}/c"},
        {"key": "d", "type": "custom", "uri": f"{base}0/d"},
    ]
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=artifacts)
    model = api.call("models.create", name="model", uri=f"{base}/p/m.bin")["id"]
    report = api.call("reports.create", name="report", project=project, report=f"![x]({base}/x.png) and {base}/y")["id"]
    api.add_events(
        [
            *(event(task, "training_debug_image", iter=i, url=f"{base}/i/{i}", key=f"k{i}") for i in range(50)),
            event(task, "plot", plot_str=plot(f"{base}/one.png", "data:image/png;base64,AA==")),
            event(task, "plot", variant="w", plot_str=plot(f"{base}/two.png", escaped=True)),
            event(task, "training_stats_scalar", value=1.5),
            event(task, "log", msg=f"see {base}/x"),
            event(model, "training_debug_image", url=f"{base}/of/model", model_event=True),
        ]
    )

    def said() -> list[Any]:
        found = api.call("tasks.get_by_id", task=task)["task"]
        images = api.call("events.debug_images", metrics=[{"task": task}], iters=100)["metrics"][0]["iterations"]
        plots = api.call("events.get_task_plots", task=task)["plots"]
        return [
            [artifact["uri"] for artifact in found["execution"]["artifacts"]],
            found["output"]["destination"],
            api.call("projects.get_by_id", project=project)["project"]["default_output_destination"],
            api.call("models.get_by_id", model=model)["model"]["uri"],
            [e["url"] for i in images for e in i["events"]],
            [json.loads(each["plot_str"]) for each in sorted(plots, key=lambda p: p["variant"])],
            api.call("reports.get_all_ex", id=[report], only_fields=["report"])["tasks"][0]["report"],
            found["last_update"],
        ]

    return said


WHOLE = {"artifacts": 2, "models": 1, "images": 51, "plots": 2, "destinations": 2, "reports": 1}


def test_every_link_leads_to_the_new_address(api: ApiClient, relocation: Relocation) -> None:
    said = stored(api, OLD)
    before = said()
    assert counts(relocation.count(OLD, NEW)) == WHOLE
    assert said() == before, "counting changes nothing"
    assert counts(relocation.relocate(OLD, NEW)) == WHOLE
    after = said()
    expected = json.loads(json.dumps(before).replace(f"{OLD}/", f"{NEW}/"))
    expected[0][2] = before[0][2]  # within a link to elsewhere
    expected[2] = NEW
    assert after == expected
    assert counts(relocation.relocate(OLD, NEW)) == {}
    assert said() == after


def test_what_is_there_again_after_a_way_back(api: ApiClient, relocation: Relocation) -> None:
    said = stored(api, OLD)
    before = said()
    relocation.relocate(OLD, NEW)
    assert counts(relocation.relocate(NEW, OLD)) == WHOLE
    assert said() == before


def test_below_the_old_address(api: ApiClient, relocation: Relocation) -> None:
    """What was moved begins with the old address too, and is moved once all the same."""
    said = stored(api, "http://h")
    assert counts(relocation.relocate("http://h", "http://h/files")) == WHOLE
    after = said()
    assert counts(relocation.relocate("http://h", "http://h/files")) == {}
    assert said() == after
    assert after[3] == "http://h/files/p/m.bin"


def test_one_that_was_cut_goes_on(api: ApiClient, engines: Engines, relocation: Relocation) -> None:
    class Cut(Exception):
        pass

    said = stored(api, OLD)
    add, left = engines.events.add, [2]

    def cut(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Cut
        add(*arguments)

    engines.events.add = cut  # type: ignore[assignment,method-assign]  # where it is cut
    with pytest.raises(Cut):
        relocation.relocate(OLD, NEW)
    engines.events.add = add  # type: ignore[method-assign]  # whole again
    rest = relocation.relocate(OLD, NEW).links
    assert 0 < rest["images"] < WHOLE["images"]
    assert rest["artifacts"] == 0
    assert OLD + "/" not in json.dumps([part for part in said() if part != said()[0]])
    assert counts(relocation.count(OLD, NEW)) == {}


def test_files_that_are_to_be_deleted(api: ApiClient, engines: Engines) -> None:
    services = build_services(engines, token_secret=TOKEN_SECRET, files_addresses=[OLD, NEW])
    task = api.call("tasks.create", name="task", type="training")["id"]
    artifacts = [{"key": "a", "type": "custom", "uri": f"{OLD}/p/t.{task}/a"}]
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=artifacts)
    api.call("tasks.delete", task=task)
    assert counts(services.relocation.relocate(OLD, NEW)) == {"deletions": 1}
    (listed,) = services.file_deletion.listed(PENDING)
    assert [file["url"] for file in listed["files"]] == [f"{NEW}/p/t.{task}/a"]


def test_the_addresses_that_there_are(api: ApiClient, relocation: Relocation) -> None:
    stored(api, OLD)
    found = relocation.count("http://nothing", NEW)
    assert counts(found) == {}
    assert found.addresses[OLD] == 2 + 1 + 51


def test_every_kind_is_counted_by_name(relocation: Relocation) -> None:
    assert set(relocation.count(OLD, NEW).links) == set(KINDS)
