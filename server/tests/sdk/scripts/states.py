"""The states of a task and what else its page changes, one call of the client each."""

import json

from clearml import Task
from clearml.backend_api.session.client import APIClient

PROJECT = "Sdk/states"
api = APIClient()
seen: dict[str, object] = {}


def status(task: Task) -> str:
    return str(Task.get_task(task_id=task.id).get_status())


first, second = (
    Task.create(project_name=PROJECT, task_name=name, task_type="inference") for name in ("first", "second")
)
queue = api.queues.create(name="states").id


def waiting() -> list[str]:
    names = {first.id: "first", second.id: "second"}
    return [names[entry.task] for entry in api.queues.get_by_id(queue=queue).entries]


for task in (first, second):
    Task.enqueue(task, queue_name="states")
seen["enqueued"] = [status(first), waiting(), Task.get_task(task_id=first.id).data.execution.queue == queue]
Task.dequeue(first)
seen["dequeued"] = [status(first), waiting()]
Task.enqueue(first, queue_id=queue)
api.queues.move_task_to_front(queue=queue, task=first.id)
seen["in front"] = waiting()
for task in (first, second):
    Task.dequeue(task)

first.mark_started()
first.get_logger().report_scalar("loss", "all", value=1, iteration=3)
first.upload_artifact("kept", {"a": 1}, wait_on_upload=True)
first.flush(wait_for_uploads=True)
first.set_progress(40)
first.mark_stopped(status_message="for now")
stopped = Task.get_task(task_id=first.id)
seen["stopped"] = [status(first), stopped.data.status_message, stopped.get_progress(), stopped.get_last_iteration()]
first.mark_started(force=True)
first.mark_failed(status_reason="tried", status_message="broke")
failed = Task.get_task(task_id=first.id)
seen["failed"] = [status(first), failed.data.status_reason, failed.data.status_message]
first.reset(force=True)
again = Task.get_task(task_id=first.id)
seen["reset"] = [status(first), again.get_reported_scalars(), again.get_last_iteration(), sorted(again.artifacts)]

first.rename("renamed")
first.set_comment("a comment")
first.set_tags(["a", "b"])
first.add_tags("c")
first.set_system_tags([*first.get_system_tags(), "mine"])
changed = Task.get_task(project_name=PROJECT, task_name="renamed")
# The client sends tags as a set: in any order.
tags = sorted(changed.get_tags())
seen["changed"] = [changed.id == first.id, changed.comment, tags, "mine" in changed.get_system_tags()]


def found(**filters: object) -> list[str]:
    return [task.name for task in Task.get_tasks(project_name=PROJECT, task_filter={"order_by": ["name"], **filters})]


second.set_archived(True)
seen["archived"] = [Task.get_task(task_id=second.id).get_archived(), found(), found(system_tags=["-archived"])]
second.set_archived(False)
seen["unarchived"] = [Task.get_task(task_id=second.id).get_archived(), found(system_tags=["-archived"])]
second.mark_started()
second.mark_completed()
second.publish()
seen["published"] = [status(second), found(status=["published"]), found(type=["inference"])]
fields = Task.query_tasks(project_name=PROJECT, task_name="^renamed$", additional_return_fields=["tags", "comment"])
seen["queried"] = [fields[0]["id"] == first.id, sorted(fields[0]["tags"]), fields[0]["comment"]]

copy = Task.import_task({**changed.export_task(), "name": "imported"})
seen["imported"] = [copy.name, copy.id != first.id, sorted(copy.get_tags()), str(copy.task_type)]
seen["projects"] = [project.name for project in Task.get_projects() if project.name == PROJECT]
seen["deleted"] = [bool(copy.delete()), Task.query_tasks(project_name=PROJECT, task_name="imported")]
print(json.dumps(seen))
