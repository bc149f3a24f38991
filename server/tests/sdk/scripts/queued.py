"""A clone with a parameter of its own that waits in a queue for an agent, and what the agent made of it."""

import json
import sys

from clearml import Task
from clearml.backend_api.session.client import APIClient

PROGRAM = """\
from clearml import Task

task = Task.init()
factor = int(task.get_parameter("Args/factor"))
print("the factor is", factor)
task.get_logger().report_scalar("a", "b", value=2 * factor, iteration=1)
"""


def enqueue() -> object:
    template = APIClient().tasks.create(
        name="a template",
        type="training",
        script={"diff": PROGRAM, "entry_point": "program.py", "working_dir": ".", "requirements": {"pip": ""}},
        hyperparams={"Args": {"factor": {"section": "Args", "name": "factor", "value": "1"}}},
    )
    task = Task.clone(source_task=template.id, name="for an agent")
    task.set_parameter("Args/factor", 21)
    Task.enqueue(task, queue_name="default")
    return task.id


def wait(task_id: str) -> object:
    task = Task.get_task(task_id=task_id)
    task.wait_for_status(status=["completed", "failed", "stopped"], check_interval_sec=0.5)
    task.reload()
    workers = [worker.id for worker in APIClient().workers.get_all()]
    log = "".join(task.get_reported_console_output(number_of_reports=100))
    return {
        "status": task.status,
        "value": task.get_last_scalar_metrics()["a"]["b"]["last"],
        "printed": "the factor is 21" in log,
        "worker": task.data.last_worker,
        "known": task.data.last_worker in workers,
        "waiting": APIClient().queues.get_num_entries(task.data.execution.queue).num,
    }


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
