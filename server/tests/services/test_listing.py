"""Listings: filters, order, paging, scrolling and projection."""

import hashlib
from typing import Any

import msgspec
import pytest

from trainshed.testing.api import ApiClient, Json

TASKS: dict[str, Json] = {
    "one": {"tags": ["a", "b"], "comment": "first", "type": "training", "runtime": {"n": 2, "job": "x", "a.b": 1}},
    "two": {"tags": ["a"], "comment": "second", "type": "testing", "runtime": {"n": 11, "job": "y"}},
    "three": {"tags": ["b", "c"], "comment": "third (odd)", "type": "training", "runtime": {"n": 3}},
    "four": {"tags": [], "comment": "", "type": "custom", "runtime": {"flag": True}},
}
LEARNING_RATES = {"one": "10", "two": "2", "three": "0.1"}


@pytest.fixture
def filled(api: ApiClient) -> ApiClient:
    for name, fields in TASKS.items():
        task = api.call("tasks.create", name=f"task {name}", **fields)["id"]
        if name in LEARNING_RATES:
            item = {"section": "Args", "name": "lr", "value": LEARNING_RATES[name]}
            api.call("tasks.edit_hyper_params", task=task, hyperparams=[item])
        api.move_clock(60)
    return api


def found(api: ApiClient, **arguments: Any) -> list[str]:
    """The names of the tasks that are found, in the order of their creation unless asked otherwise."""
    reply = api.call("tasks.get_all", **{"order_by": ["created"], **arguments})
    return [task["name"].removeprefix("task ") for task in reply["tasks"]]


def minute(number: int) -> str:
    return f"2026-01-01T00:{number:02}:00"


ALL = ["one", "two", "three", "four"]


# filters


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (["a"], ["one", "two"]),
        ("a", ["one", "two"]),
        (["a", "c"], ["one", "two", "three"]),
        (["-a"], ["three", "four"]),
        (["b", "-a"], ["three"]),
        (["-a", "-c"], ["four"]),
        (["__$all", "a", "b"], ["one"]),
        (["__$and", "a", "b"], ["one"]),
        (["__$any", "a", "c"], ["one", "two", "three"]),
        (["__$or", "a", "c"], ["one", "two", "three"]),
        (["__$not", "a"], ["three", "four"]),
        (["b", "__$not", "a"], ["three"]),
        (["__$all", "b", "__$not", "a"], ["three"]),
        (["__$any", "__$not", "a", "b"], ["one", "three", "four"]),
        (["__$any", "a", "c", "__$all", "a", "b"], ["one", "two", "three"]),
        (["__$all", "a", "b", "__$any", "b", "c"], ["one"]),
        (["nobody"], []),
        ([], ALL),
        (None, ALL),
    ],
    ids=str,
)
def test_lists_of_tags(filled: ApiClient, tags: Any, names: list[str]) -> None:
    assert found(filled, tags=tags) == names


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"type": ["training", "custom"]}, ["one", "three", "four"]),
        ({"type": "testing"}, ["two"]),
        ({"type": ["-training"]}, ["two", "four"]),
        ({"status": ["created"]}, ALL),
        ({"status": ["-created"]}, []),
        ({"status": ["__$not", "created", None]}, []),
        ({"parent": [None]}, ALL),
        ({"parent": "none"}, []),
        ({"name": "^task t"}, ["two", "three"]),
        ({"name": "O"}, []),
        ({"name": "o"}, ["one", "two", "four"]),
        ({"name": "^task\\ one$"}, ["one"]),
        ({"comment": r"third \(odd\)"}, ["three"]),
        ({"search_text": "second"}, ["two"]),
        ({"_any_": {"fields": ["comment", "name"], "pattern": "fir|four"}}, ["one", "four"]),
        ({"_or_": {"fields": ["comment", "name"], "pattern": "fir|four"}}, ["one", "four"]),
        ({"_all_": {"fields": ["comment", "name"], "pattern": "o"}}, ["two"]),
        ({"_all_": {"fields": ["runtime.job"], "pattern": "^x$"}}, ["one"]),
        ({"_any_": {"fields": [], "pattern": ""}}, []),
        ({"_any_": {"fields": ["created", "started"], "datetime": f">={minute(2)}"}}, ["three", "four"]),
        ({"_all_": {"fields": ["created", "started"], "datetime": f">={minute(0)}"}}, []),
        ({"_all_": {"fields": ["created", "last_update"], "datetime": [f">{minute(0)}", f"<{minute(2)}"]}}, ["two"]),
        ({"runtime.job": "x"}, ["one"]),
        ({"runtime.job": ["x", "y"]}, ["one", "two"]),
        ({"runtime.job": ["-x"]}, ["two", "three", "four"]),
        ({"runtime.n": [2, 3]}, ["one", "three"]),
        ({"runtime.n": [3, None]}, ["two", "three"]),
        ({"runtime.n": [None, 2.5]}, ["one"]),
        ({"runtime.flag": True}, ["four"]),
        ({"runtime.flag": 1}, []),
        ({"runtime.a%2Eb": 1}, ["one"]),
        ({"hyperparams.Args.lr.value": "2"}, ["two"]),
        ({"hyperparams.Args.lr.value": None}, ALL),
    ],
    ids=str,
)
def test_filters(filled: ApiClient, arguments: Json, names: list[str]) -> None:
    assert found(filled, **arguments) == names


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ({"any": {"include": ["a", "c"]}}, ["one", "two", "three"]),
        ({"all": {"include": ["a", "b"]}}, ["one"]),
        ({"any": {"exclude": ["a", "b"]}}, ["two", "three", "four"]),
        ({"all": {"exclude": ["a", "b"]}}, ["four"]),
        ({"any": {"include": ["c"], "exclude": ["b"]}}, ["two", "three", "four"]),
        ({"all": {"include": ["b"], "exclude": ["a"]}}, ["three"]),
        ({"any": {"include": ["a", "c"]}, "all": {"exclude": ["b"]}}, ["two"]),
        ({"any": {"include": ["c"]}, "all": {"exclude": ["a", "b"]}, "op": "or"}, ["three", "four"]),
        ({"any": {"include": None}}, ALL),
        ({"any": {"include": []}, "op": "or"}, ALL),
        ({"any": None}, ALL),
        ({}, ALL),
    ],
    ids=str,
)
def test_filters_of_a_field(filled: ApiClient, group: Json, names: list[str]) -> None:
    assert found(filled, filters={"tags": group}) == names


@pytest.mark.parametrize(
    ("bound", "names"),
    [
        (f">={minute(2)}", ["three", "four"]),
        (f">{minute(2)}", ["four"]),
        (f"<={minute(1)}", ["one", "two"]),
        (f"<{minute(1)}", ["one"]),
        ([f">={minute(1)}"], ["two", "three", "four"]),
        ([f">={minute(1)}", f"<{minute(3)}"], ["two", "three"]),
        ([minute(1), minute(2)], ["two", "three"]),
        ([None, minute(1)], ["one", "two"]),
        ([minute(2), None], ["three", "four"]),
        (minute(1), ["two"]),
        (f">={minute(2)}Z", ["three", "four"]),
        (">= 2026-01-01T02:02:00+02:00", ["three", "four"]),
        (">=2026-01-01", ALL),
    ],
    ids=str,
)
@pytest.mark.parametrize("field", ["created", "status_changed"])
def test_dates(filled: ApiClient, field: str, bound: Any, names: list[str]) -> None:
    assert found(filled, **{field: bound}) == names


@pytest.mark.parametrize(
    ("arguments", "pair"),
    [
        ({"name": "("}, (400, 21)),
        ({"name": "(?P<x"}, (400, 21)),
        ({"name": "x" * 20_000}, (400, 21)),
        ({"_any_": {"fields": ["name"], "pattern": "["}}, (400, 21)),
        ({"search_text": "*"}, (400, 21)),
        ({"_any_": {"fields": ["name"]}}, (400, 12)),
        ({"_any_": {"pattern": "x"}}, (400, 12)),
        ({"_all_": {"fields": ["created"], "datetime": "soon"}}, (400, 12)),
        ({"status": "done"}, (400, 12)),
        ({"status": ["created", "-done"]}, (400, 12)),
        ({"status_changed": "soon"}, (400, 12)),
        ({"status_changed": [">=soon"]}, (400, 12)),
        ({"last_update": 5}, (400, 12)),
        ({"last_update": [[]]}, (400, 12)),
        ({"runtime.x": {"a": 1}}, (400, 12)),
        ({"runtime.x": [[1]]}, (400, 12)),
        ({"runtime.x": 10**30}, (400, 12)),
        ({"tags": [f"t{n}" for n in range(5000)]}, (400, 12)),
        ({"order_by": [f"f{n}" for n in range(5000)]}, (400, 12)),
        ({"page": -1}, (400, 12)),
        ({"scroll_id": "unknown"}, (400, 1104)),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.usefixtures("no_stack_traces")
def test_what_cannot_be_asked(api: ApiClient, arguments: Json, pair: tuple[int, int]) -> None:
    assert api.send("/tasks.get_all", msgspec.json.encode(arguments)).pair == pair


def test_many_ids_are_found_at_once(filled: ApiClient) -> None:
    ids = [task["id"] for task in filled.call("tasks.get_all")["tasks"]]
    assert found(filled, id=[f"{n:032x}" for n in range(40_000)] + ids) == ALL


# hidden, public


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [({}, False), ({"search_hidden": True}, True), ({"search_hidden": False}, False), ({"name": "hidden"}, False)],
)
def test_hidden_tasks(api: ApiClient, arguments: Json, shown: bool) -> None:
    task = api.call("tasks.create", name="hidden one", type="training", system_tags=["hidden"])["id"]
    assert ("hidden one" in found(api, **arguments)) is shown
    assert found(api, id=[task]) == ["hidden one"]


@pytest.mark.parametrize(("include", "names"), [(None, ["in"]), (False, ["in"]), (True, ["in", "below"])])
def test_a_project_means_itself_alone(api: ApiClient, include: bool | None, names: list[str]) -> None:
    below = api.call("projects.create", name="top/below")["id"]
    top = api.call("projects.get_by_id", project=below)["project"]["parent"]
    for name, project in (("in", top), ("below", below), ("out", None)):
        api.call("tasks.create", name=f"task {name}", type="training", project=project)
        api.call("models.create", name=f"task {name}", uri="u", project=project)
        api.move_clock(1)
    assert found(api, project=[top], include_subprojects=include) == names
    models = api.call("models.get_all", project=top, include_subprojects=include, order_by="created")["models"]
    assert [model["name"].removeprefix("task ") for model in models] == names


# order


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["name"], ["four", "one", "three", "two"]),
        (["-name"], ["two", "three", "one", "four"]),
        ("-created", ["four", "three", "two", "one"]),
        (["type", "-name"], ["four", "two", "three", "one"]),
        (["runtime.n", "name"], ["one", "three", "two", "four"]),
        (["-runtime.n", "name"], ["two", "three", "one", "four"]),
        (["hyperparams.Args.lr", "name"], ["three", "two", "one", "four"]),
        (["hyperparams.Args.lr.value", "name"], ["three", "two", "one", "four"]),
        (["-hyperparams.Args.lr", "name"], ["one", "two", "three", "four"]),
        ([""], None),
        (None, None),
        (["-"], None),
        (["."], None),
    ],
    ids=str,
)
def test_order(filled: ApiClient, order: Any, names: list[str] | None) -> None:
    in_order = found(filled, order_by=order)
    assert in_order == names if names else sorted(in_order) == sorted(ALL)


def test_metrics_are_filtered_sorted_and_projected_by_their_hashes(filled: ApiClient) -> None:
    tasks = {task["name"].removeprefix("task "): task["id"] for task in filled.call("tasks.get_all")["tasks"]}
    for name, value in {"one": 0.5, "two": 0.9, "three": -3.0}.items():
        filled.add_events(
            [
                {
                    "type": "training_stats_scalar",
                    "task": tasks[name],
                    "metric": "acc",
                    "variant": "top.1",
                    "value": value,
                }
            ]
        )
    metric, variant = (hashlib.md5(text.encode()).hexdigest() for text in ("acc", "top.1"))
    path = f"last_metrics.{metric}.{variant}"
    assert found(filled, **{f"{path}.max_value": [0.5, None]}) == ["one", "two"]
    assert found(filled, order_by=[f"-{path}.max_value", "name"]) == ["two", "one", "three", "four"]
    assert found(filled, order_by=[path, "name"]) == ["three", "one", "two", "four"]
    (task,) = filled.call("tasks.get_all", id=[tasks["two"]], only_fields=[f"{path}.value"])["tasks"]
    assert task == {"id": tasks["two"], "last_metrics": {metric: {variant: {"value": 0.9}}}}


# paging


@pytest.mark.parametrize("order", [["comment"], ["-last_update"], ["type", "-name"], None])
def test_pages_never_overlap_however_many_ties(api: ApiClient, order: list[str] | None) -> None:
    for number in range(11):
        api.call("tasks.create", name=f"same {number % 2}", type="training")
    pages = [
        [task["id"] for task in api.call("tasks.get_all", page=page, page_size=3, order_by=order)["tasks"]]
        for page in range(5)
    ]
    assert [len(page) for page in pages] == [3, 3, 3, 2, 0]
    assert len({task for page in pages for task in page}) == 11


def test_without_paging_a_listing_is_bounded(api: ApiClient) -> None:
    for number in range(501):
        api.engines.documents.insert("models", {"id": f"{number:032x}", "company": "", "name": "m", "system_tags": []})
    assert len(api.call("models.get_all")["models"]) == 500
    assert len(api.call("models.get_all", page=0)["models"]) == 500
    assert len(api.call("models.get_all", page=1)["models"]) == 1
    assert len(api.call("models.get_all", page_size=1000)["models"]) == 501


def test_a_page_far_behind_the_end_is_empty(filled: ApiClient) -> None:
    assert found(filled, page=2**31 - 1, page_size=2**31 - 1) == []


# scrolling


def test_a_scroll_goes_on_refreshes_and_ends(filled: ApiClient) -> None:
    def step(scroll_id: str | None, **arguments: Any) -> tuple[list[str], str]:
        reply = filled.call("tasks.get_all", scroll_id=scroll_id, size=3, order_by=["created"], **arguments)
        return [task["name"].removeprefix("task ") for task in reply["tasks"]], reply["scroll_id"]

    names, scroll = step(None)
    assert names == ["one", "two", "three"]
    assert step(scroll) == (["four"], scroll)
    assert step(scroll, refresh_scroll=True) == (ALL, scroll)
    assert step(scroll) == ([], scroll)
    filled.call("tasks.create", name="task five", type="training")
    assert step(scroll) == (["five"], scroll)
    assert step(scroll, refresh_scroll=True) == ([*ALL, "five"], scroll)
    assert step(scroll) == ([], scroll)


def test_a_refresh_keeps_the_position(filled: ApiClient) -> None:
    arguments: Json = {"size": 1, "order_by": ["created"]}
    scroll = filled.call("tasks.get_all", scroll_id=None, **arguments)["scroll_id"]
    assert found(filled, scroll_id=scroll, refresh_scroll=True, **arguments) == ["one"]
    assert found(filled, scroll_id=scroll, **arguments) == ["two"]


def test_a_scroll_is_forgotten_after_a_while(filled: ApiClient) -> None:
    scroll = filled.call("tasks.get_all", scroll_id=None, size=1)["scroll_id"]
    filled.move_clock(601)
    assert filled.error("tasks.get_all", scroll_id=scroll) == (400, 1104)


def test_who_does_not_scroll_gets_no_scroll_id(filled: ApiClient) -> None:
    assert "scroll_id" not in filled.call("tasks.get_all")


# projection


@pytest.mark.parametrize("argument", ["only_fields", "projection"])
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (["name"], {"name": "task one"}),
        ("name", {"name": "task one"}),
        (["status"], {"status": "created"}),
        (["runtime.n", "runtime.none", "none.at.all"], {"runtime": {"n": 2}}),
        (["runtime.a%2Eb"], {"runtime": {"a.b": 1}}),
        (["runtime.*"], {"runtime": TASKS["one"]["runtime"]}),
        (["runtime", "-runtime.n"], {"runtime": {"job": "x", "a.b": 1}}),
        (["name", "-name"], {}),
        (["name", "-id"], {"name": "task one"}),
        (["name.deeper"], {}),
        (["execution.queue"], {"execution": {}}),
        (["id"], {}),
    ],
    ids=str,
)
def test_projection(filled: ApiClient, argument: str, fields: Any, kept: Json) -> None:
    asked = {argument: fields}
    (task,) = filled.call("tasks.get_all", name="one", **asked)["tasks"]
    assert task.pop("id")
    assert task == kept


@pytest.mark.parametrize("fields", [["*"], [], None, ["*", "name"]])
def test_everything_is_shown(filled: ApiClient, fields: list[str] | None) -> None:
    (task,) = filled.call("tasks.get_all", name="one", only_fields=fields)["tasks"]
    assert task == filled.call("tasks.get_by_id", task=task["id"])["task"]


def test_a_field_can_be_left_out_of_everything(filled: ApiClient) -> None:
    (task,) = filled.call("tasks.get_all", name="one", only_fields=["-runtime.n", "-tags"])["tasks"]
    assert task["runtime"] == {"job": "x", "a.b": 1}
    assert "tags" not in task
    assert task["comment"] == "first"


def test_models_by_metadata_and_flags(api: ApiClient) -> None:
    for name in ("a", "b"):
        model = api.call("models.create", name=name, uri=f"file:///{name}", ready=name == "b")["id"]
        api.call("models.add_or_update_metadata", model=model, metadata=[{"key": "k.x", "value": name}])

    def names(**arguments: Any) -> list[str]:
        return sorted(model["name"] for model in api.call("models.get_all", **arguments)["models"])

    assert names(**{"metadata.k%2Ex.value": "a"}) == ["a"]
    assert names(ready=True) == ["b"]
    assert names(ready=False) == ["a"]
    assert names(uri=["file:///a", "file:///c"]) == ["a"]
    assert names(system_tags=["-archived"]) == ["a", "b"]
