"""One task through its life, a process each: run, continue, rerun (which resets it), publish and delete."""

import json
import sys

import requests
from clearml import Task
from clearml.backend_api.session.client import APIClient

NAME = {"project_name": "Sdk/lifecycle", "task_name": "one"}


def run() -> object:
    task = Task.init(**NAME)
    task.get_logger().report_scalar("a", "b", value=1, iteration=5)
    task.close()
    return task.id


def resume() -> object:
    task = Task.init(**NAME, continue_last_task=True)
    task.get_logger().report_scalar("a", "b", value=2, iteration=1)
    task.close()
    return {"id": task.id, "x": Task.get_task(task_id=task.id).get_reported_scalars()["a"]["b"]["x"]}


def rerun() -> object:
    task = Task.init(**NAME, reuse_last_task_id=True)
    after_reset = Task.get_task(task_id=task.id).get_reported_scalars()
    task.upload_artifact("numbers", {"x": [1, 2, 3]}, wait_on_upload=True)
    task.close()
    return {"id": task.id, "scalars": after_reset}


def publish_and_delete() -> object:
    task = Task.get_task(**NAME)
    artifact = task.artifacts["numbers"]
    numbers, url = artifact.get(), artifact.url
    task.publish()
    status = Task.get_task(task_id=task.id).get_status()
    client = APIClient()
    login = {"Authorization": f"Bearer {client.session.token}"}
    stored = [requests.get(url, headers=headers, timeout=30).status_code for headers in (login, {})]
    client.tasks.stopped(task=task.id, force=True)  # the client itself deletes no published task
    deleted = Task.get_task(task_id=task.id).delete(raise_on_error=True)
    left = [t.id for t in Task.get_tasks(task_filter={"id": [task.id]})]
    gone = requests.get(url, headers=login, timeout=30).status_code
    return {
        "numbers": numbers,
        "status": status,
        "stored": stored,
        "deleted": bool(deleted),
        "left": left,
        "gone": gone,
    }


print(json.dumps(globals()[sys.argv[1]]()))
