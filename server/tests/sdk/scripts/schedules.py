"""What runs on a schedule and what runs when something changes: functions here, clones of a task in a queue."""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from clearml import Dataset, OutputModel, Task
from clearml.automation import TaskScheduler, TriggerScheduler

PROJECT, QUEUE = sys.argv[2], sys.argv[1]
WAIT_SECONDS = 200
called: dict[str, str] = {}


def template() -> str:
    task = Task.create(project_name=PROJECT, task_name="template", task_type="testing")
    task.set_parameters({"Args/who": "nobody", "Args/fixed": 1})
    return task.id


def note(name: str) -> Callable[..., None]:
    return lambda *given: called.setdefault(name, *(given or ("called",)))


def clones() -> dict[str, str]:
    found = Task.get_tasks(project_name=PROJECT, task_filter={"status": ["queued"], "type": ["testing"]})
    return {task.name: task.get_parameter("Args/who") for task in found}


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < end, (called, clones())
        time.sleep(0.2)


def scheduled() -> object:
    service = Task.init(project_name=PROJECT, task_name="a scheduler", task_type=Task.TaskTypes.service)
    scheduler = TaskScheduler(sync_frequency_minutes=0.01)
    scheduler.add_task(
        schedule_task_id=template(),
        queue=QUEUE,
        name="every hour",
        hour=1,
        execute_immediately=True,
        task_parameters={"Args/who": "the clock"},
    )
    scheduler.add_task(schedule_function=note("a function"), queue=QUEUE, name="now", day=1, execute_immediately=True)
    threading.Thread(target=scheduler.start, daemon=True).start()
    until(lambda: bool(called and clones()))
    stored = json.loads(service.get_configuration_object("schedule"))
    return {
        "called": called,
        "clones": clones(),
        "stored": [[job["name"], job["hour"], job["day"]] for job in stored],
    }


def triggered() -> object:
    Task.init(project_name=PROJECT, task_name="triggers", task_type=Task.TaskTypes.service)
    scheduler = TriggerScheduler(pooling_frequency_minutes=0.01, sync_frequency_minutes=60)
    scheduler.add_model_trigger(
        schedule_function=note("model"), trigger_project=PROJECT, trigger_on_publish=True, name="a model is out"
    )
    scheduler.add_dataset_trigger(
        schedule_function=note("data set"), trigger_name="^fresh$", trigger_on_tags=["use"], name="new data"
    )
    scheduler.add_task_trigger(
        schedule_task_id=template(),
        schedule_queue=QUEUE,
        trigger_project=PROJECT,
        trigger_on_metric="loss",
        trigger_on_variant="all",
        trigger_on_threshold=0.5,
        trigger_on_sign="minimum",
        task_parameters={"Args/who": "${task.id}"},
        name="low loss",
    )
    scheduler.add_task_trigger(
        schedule_function=note("failed"), trigger_project=PROJECT, trigger_on_status=["failed"], name="failed"
    )
    threading.Thread(target=scheduler.start, daemon=True).start()
    time.sleep(1)  # a trigger sees what comes after it

    low, high, bad = (Task.create(project_name=PROJECT, task_name=name) for name in ("low", "high", "bad"))
    for task, value in ((low, 0.25), (high, 0.75)):
        task.mark_started(force=True)
        task.get_logger().report_scalar("loss", "all", value=value, iteration=1)
        task.flush(wait_for_uploads=True)
    bad.mark_started(force=True)
    bad.mark_failed(status_message="on purpose", force=True)
    model = OutputModel(task=low, name="net")
    model.update_weights(register_uri="https://elsewhere.example/net.bin")
    model.publish()
    Path("data.txt").write_text("data")
    data = Dataset.create(dataset_name="fresh", dataset_project=PROJECT, dataset_tags=["use"])
    data.add_files("data.txt")
    data.upload(show_progress=False)
    data.finalize()
    until(lambda: len(called) == 3 and bool(clones()))
    return {
        "called": called == {"model": model.id, "data set": data.id, "failed": bad.id},
        "clones": list(clones().values()) == [low.id],
    }


print(json.dumps(globals()[sys.argv[1]]()))
