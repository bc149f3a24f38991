"""What the unmodified agent does with tasks that wait for it."""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trainshed.testing.live import AGENT, LiveServer, finish, wait_until

pytestmark = pytest.mark.sdk

SCRIPTS = Path(__file__).parent / "scripts"
ENDED = {"completed", "failed", "stopped"}
WAIT_SECONDS = 240  # long: the machine may be busy
SERVICES = ("--services-mode",)
RENDEZVOUS = """\
import time
from clearml import Task

me, deadline = Task.init(), time.monotonic() + 200
other = me.get_parameter("Args/other")
while Task.get_task(task_id=other).get_status() == "queued" and time.monotonic() < deadline:
    time.sleep(0.2)
me.get_logger().report_single_value("met", int(time.monotonic() < deadline))
"""
ONCE = """\
import uuid
print("it ran as", uuid.uuid4().hex, flush=True)
"""
FOREVER = """\
import time
print("it runs", flush=True)
while True:
    time.sleep(0.1)
"""


def test_an_agent_takes_a_clone_and_completes_it(server: LiveServer, tmp_path: Path) -> None:
    script = SCRIPTS / "queued.py"
    task = server.run(script, "enqueue", home=tmp_path / "client")
    with server.agent("default", home=tmp_path / "agent"):
        assert server.run(script, "wait", task, home=tmp_path / "client") == {
            "status": "completed",
            "value": 42,
            "printed": True,
            "worker": AGENT,
            "known": True,
            "waiting": 0,
        }


def test_a_services_agent_runs_tasks_side_by_side(server: LiveServer, tmp_path: Path) -> None:
    queue = server.call("queues.create", name="side by side")["id"]
    tasks = [create(server, f"service {i}", RENDEZVOUS) for i in range(2)]
    for task, other in zip(tasks, reversed(tasks), strict=True):
        parameter = {"section": "Args", "name": "other", "value": other}
        server.call("tasks.edit", task=task, hyperparams={"Args": {"other": parameter}})
        server.call("tasks.enqueue", task=task, queue=queue)
    with server.agent("side by side", home=tmp_path, worker="services", flags=SERVICES):
        ended = wait_for(server, tasks)
    assert [(task["status"], task["last_worker"]) for task in ended] == [
        ("completed", f"services:service:{task}") for task in tasks
    ]
    met = server.call("events.get_task_single_value_metrics", tasks=tasks)["tasks"]
    assert [[value["value"] for value in task["values"]] for task in met] == [[1], [1]]


def test_two_agents_never_run_one_task_twice(server: LiveServer, tmp_path: Path) -> None:
    queue = server.call("queues.create", name="shared")["id"]
    with ExitStack() as agents:
        for worker in ("one", "two"):
            agents.enter_context(server.agent("shared", home=tmp_path / worker, worker=worker, flags=SERVICES))
        wait_until(
            lambda: {"one", "two"} <= {worker["id"] for worker in server.call("workers.get_all")["workers"]},
            seconds=WAIT_SECONDS,
        )
        tasks = [create(server, f"shared {i}", ONCE) for i in range(5)]
        for task in tasks:
            server.call("tasks.enqueue", task=task, queue=queue)
        ended = wait_for(server, tasks)
    assert {task["status"] for task in ended} == {"completed"}
    # A busy agent may send its lines twice, so those of one run count once.
    runs = [set(re.findall(r"^it ran as (\w+)$", log(server, task), re.MULTILINE)) for task in tasks]
    assert [len(found) for found in runs] == [1] * len(tasks)


def test_queues_are_served_in_their_order_and_a_task_moved_to_the_front_first(
    server: LiveServer, tmp_path: Path
) -> None:
    urgent, idle = (server.call("queues.create", name=name)["id"] for name in ("urgent", "idle"))
    last, first_idle, first = tasks = [create(server, name, "pass\n") for name in ("last", "first idle", "first")]
    for task, queue in zip(tasks, (idle, idle, urgent), strict=True):
        server.call("tasks.enqueue", task=task, queue=queue)
    server.call("queues.move_task_to_front", queue=idle, task=first_idle)
    with server.agent("urgent", "idle", home=tmp_path, worker="orderly"):
        ended = {task["id"]: task for task in wait_for(server, tasks)}
    assert {task["status"] for task in ended.values()} == {"completed"}
    assert sorted(ended, key=lambda task: str(ended[task]["started"])) == [first, first_idle, last]


def test_a_running_task_is_aborted(server: LiveServer, tmp_path: Path) -> None:
    queue = server.call("queues.create", name="aborted")["id"]
    task = create(server, "for ever", FOREVER)
    server.call("tasks.enqueue", task=task, queue=queue)
    with server.agent("aborted", home=tmp_path, worker="aborter"):
        wait_until(lambda: "it runs" in log(server, task), seconds=WAIT_SECONDS)
        server.call("tasks.stop", tasks=[task], task=task)
        (ended,) = wait_for(server, [task])
        wait_until(lambda: "user aborted" in (tmp_path / "agent.log").read_text(), seconds=WAIT_SECONDS)
    assert ended["status"] == "stopped"


def test_a_script_sends_itself_to_a_queue(server: LiveServer, tmp_path: Path) -> None:
    server.call("queues.create", name="remote")
    task = server.run(SCRIPTS / "remote.py", home=tmp_path / "client")
    assert server.call("tasks.get_by_id", task=task)["task"]["status"] == "queued"
    changed = [("Args", "rate", "4.0"), ("settings", "size", "10")]
    parameters = [{"section": section, "name": name, "value": value} for section, name, value in changed]
    server.call("tasks.dequeue", task=task)
    server.call("tasks.edit_hyper_params", task=task, hyperparams=parameters)
    server.call("tasks.enqueue", task=task, queue_name="remote")
    with server.agent("remote", home=tmp_path / "agent", worker="remote"):
        (ended,) = wait_for(server, [task])
    assert (ended["status"], ended["last_worker"]) == ("completed", "remote")
    curve = server.call("events.scalar_metrics_iter_histogram", task=task)["loss"]["all"]
    assert (curve["x"], curve["y"]) == ([0, 1], [0, 40])


def test_agents_run_a_pipeline_of_tasks_and_a_search(server: LiveServer, tmp_path: Path) -> None:
    server.call("queues.create", name="templates")
    script = SCRIPTS / "pipeline_tasks.py"
    with server.agent("templates", home=tmp_path / "agent", worker="steps", flags=SERVICES):
        pipeline, search = (
            server.start_script(script, stage, home=tmp_path / stage) for stage in ("pipeline", "search")
        )
        assert finish(pipeline) == {
            "status": "completed",
            "states": {"one": "completed", "two": "completed"},
            "parameters": {"one": {"Args/x": "5", "Args/y": "1"}, "two": {"Args/x": "1", "Args/y": "5"}},
            "sums": {"one": {"sum": 6}, "two": {"sum": 6}},
            "monitored": 6,
        }
        assert finish(search) == {
            "ended": [[4], [5], [5]],
            "best": {"Args/x": "2", "Args/y": "4"},
            "values": [4, 5, 5],
            "children": True,
        }


def create(server: LiveServer, name: str, program: str) -> str:
    """A task that an agent can run."""
    script = {"diff": program, "entry_point": "program.py", "working_dir": ".", "requirements": {"pip": ""}}
    return str(server.call("tasks.create", name=name, type="training", script=script)["id"])


def wait_for(server: LiveServer, tasks: list[str]) -> list[Any]:
    """The tasks, once all of them have ended."""

    def read() -> list[Any]:
        found = {task["id"]: task for task in server.call("tasks.get_all", id=tasks)["tasks"]}
        return [found[task] for task in tasks]

    wait_until(lambda: {task["status"] for task in read()} <= ENDED, seconds=WAIT_SECONDS)
    return read()


def log(server: LiveServer, task: str) -> str:
    events: Iterable[Any] = server.call("events.get_task_log", task=task, batch_size=1000, order="asc")["events"]
    return "\n".join(event["msg"] for event in events)
