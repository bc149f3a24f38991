"""Queues with tasks in them, as several tests need them."""

from typing import Any

from trainshed.testing.api import ApiClient


def task(api: ApiClient, **fields: Any) -> str:
    """A new task."""
    return str(api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"])


def queue(api: ApiClient, name: str = "a queue", **fields: Any) -> str:
    """A new queue."""
    return str(api.call("queues.create", name=name, **fields)["id"])


def waiting(api: ApiClient, queue_id: str) -> list[str]:
    """The tasks in a queue, in order."""
    entries = api.call("queues.get_by_id", queue=queue_id)["queue"]["entries"]
    return [entry["task"] for entry in entries]


def filled(api: ApiClient, count: int) -> tuple[str, list[str]]:
    """A queue with so many tasks in it."""
    queue_id = queue(api)
    tasks = [task(api, name=f"task {number}") for number in range(count)]
    for task_id in tasks:
        api.call("tasks.enqueue", task=task_id, queue=queue_id)
    return queue_id, tasks
