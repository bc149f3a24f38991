"""The way of tasks into queues and out of them again: what touches a task and its queue together.

The two are two documents. The task goes first into a queue and the entry goes first out of one, so that no agent ever
gets a task that is not ready for it; if the server dies in between, the task is `queued` in no queue, which dequeue mends.
"""

from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.status import Status
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, In
from trainshed.services import joins, listing
from trainshed.services.queues import Entry, Queues
from trainshed.services.tasks import DEVELOPMENT, Tasks, moved
from trainshed.services.workers import Workers

_REFERENCES: joins.References = {"company": None, "user": "users"}

Fields = dict[str, Any]


class TaskQueueing:
    """The use cases of tasks in queues."""

    def __init__(self, *, documents: Documents, clock: Clock, tasks: Tasks, queues: Queues, workers: Workers) -> None:
        self._documents = documents
        self._clock = clock
        self._tasks = tasks
        self._queues = queues
        self._workers = workers

    # tasks

    def queue_for(self, identity: Identity, queue_id: str | None, name: str | None) -> str:
        """The id of the queue with this id, or else of this name (made when it is missing), or else of the default one."""
        if queue_id:
            return str(self._queues.get(identity, queue_id)["id"])
        queue = self._queues.named(identity, name) if name else self._queues.default(identity)
        return str(queue["id"])

    def is_watched(self, identity: Identity, queue_id: str) -> bool:
        """Whether any worker listens on the queue."""
        return bool(self._workers.watching(identity, [queue_id]))

    def enqueue(
        self,
        identity: Identity,
        task_id: str,
        queue_id: str,
        *,
        reason: str | None = None,
        message: str | None = None,
        update_execution_queue: bool = True,
        validate: bool = False,
    ) -> Fields:
        """Make a task wait in a queue; return its changed fields. Raises INVALID_TASK_STATUS.

        validate: what the task refers to has to be there, raises as Tasks.check_references.
        """
        if validate:
            self._tasks.check_references(identity, self._tasks.get(identity, task_id), models=True)
        now = self._now()
        before: Document = {}
        changed: Fields = {}

        def change(task: Document) -> None:
            before.clear()
            before.update(task, execution=dict(task["execution"]))
            if task["status"] == Status.QUEUED:
                raise ApiError(Fault.INVALID_TASK_STATUS, "the task is queued", current_status=task["status"])
            changed.clear()
            changed.update(moved(task, Status.QUEUED, now, force=False, reason=reason, message=message))
            task.update(changed)
            task["system_tags"] = [tag for tag in task["system_tags"] if tag != DEVELOPMENT]
            if update_execution_queue:
                changed["execution.queue"] = task["execution"]["queue"] = queue_id

        self._tasks.change(identity, task_id, change)
        try:
            self._queues.add(identity, queue_id, task_id)
        except ApiError as error:
            if error.fault is Fault.TASK_ALREADY_QUEUED:  # put there by queues.add_task: it only had to be queued
                return changed
            # The queue was deleted meanwhile.
            kept = ("status", "status_changed", "status_reason", "status_message", "system_tags", "execution")
            self._tasks.change(identity, task_id, lambda task: task.update({name: before[name] for name in kept}))
            raise
        return changed

    def dequeue(
        self, identity: Identity, task_id: str, *, new: Status, reason: str | None = None, message: str | None = None
    ) -> Fields | None:
        """Take a task that is queued out of its queue, if it is in any; return its changed fields, None when it is not queued.

        Agents say it of tasks that they have begun to run: those stay as they are.
        """
        self._queues.forget(str(self._tasks.get(identity, task_id)["id"]))
        now = self._now()
        changed: Fields = {}

        def change(task: Document) -> None:
            changed.clear()
            if task["status"] == Status.QUEUED:
                changed.update(moved(task, new, now, force=False, reason=reason, message=message))
                task.update(changed)

        self._tasks.change(identity, task_id, change, counts_as_change=False)
        return changed or None

    # queues

    def add(self, identity: Identity, queue_id: str, task_id: str, *, update_execution_queue: bool) -> None:
        """Put a task into a queue whatever its status."""
        self._tasks.get(identity, task_id)
        self._queues.add(identity, queue_id, task_id)
        if update_execution_queue:
            self._tasks.change(identity, task_id, lambda task: task["execution"].update(queue=queue_id))

    def remove(self, identity: Identity, queue_id: str, task_id: str, *, update_status: bool) -> None:
        """Take a task out of a queue; its status stays as it is, unless asked for."""
        self._queues.remove(identity, queue_id, task_id)
        if update_status:
            self._back_to_created(identity, [task_id])

    def clear(self, identity: Identity, queue_id: str) -> list[str]:
        """Take every task out of a queue, back to created; return them."""
        tasks = self._queues.clear(identity, queue_id)
        self._back_to_created(identity, tasks)
        return tasks

    def delete_queue(self, identity: Identity, queue_id: str, *, force: bool) -> None:
        """Remove a queue; with force its tasks go back to created."""
        self._back_to_created(identity, self._queues.delete(identity, queue_id, force=force))

    def take(self, identity: Identity, queue_id: str) -> tuple[Entry, Fields] | None:
        """The first entry of a queue, which is taken out, and whose task it is; None when the queue is empty.

        An entry whose task was deleted meanwhile is passed over.
        """
        while entry := self._queues.take(identity, queue_id):
            task = self._documents.get("tasks", entry["task"])
            if task is not None:
                return entry, {"company": task["company"], "user": task["user"]}
        return None

    def find_queues(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Queues as asked for, with names of the tasks in them and the workers that listen on them."""
        names = arguments.get("only_fields") or arguments.get("projection") or []
        names = [names] if isinstance(names, str) else names
        own = ["entries" if name.startswith("entries.") else name for name in names if not _of_workers(name)]
        # Left with no name, a listing would show everything.
        shown = own or (["id"] if names else [])
        arguments = {**arguments, "only_fields": shown, "projection": None}
        found = joins.find(self._documents, _REFERENCES, identity, arguments, self._queues.find)
        self._name_tasks(found.documents)
        if not names or "*" in names or any(map(_of_workers, names)):
            self._add_workers(identity, found.documents)
        return found

    def _name_tasks(self, queues: list[Document]) -> None:
        entries = [entry for queue in queues for entry in queue.get("entries", ())]
        ids = tuple(sorted({entry["task"] for entry in entries}))
        found = self._documents.find("tasks", In(("id",), ids)) if ids else []
        names = {task["id"]: task["name"] for task in found}
        for entry in entries:
            entry["task"] = {"id": entry["task"], "name": names.get(entry["task"], "")}

    def _add_workers(self, identity: Identity, queues: list[Document]) -> None:
        workers = self._workers.watching(identity, [queue["id"] for queue in queues])
        described = self._workers.described(workers)
        for queue in queues:
            queue["workers"] = [
                {"name": worker["id"], "ip": worker["ip"], "key": worker["key"], "task": worker.get("task")}
                for worker in described
                if any(watched["id"] == queue["id"] for watched in worker["queues"])
            ]

    def _back_to_created(self, identity: Identity, task_ids: list[str]) -> None:
        if not task_ids:
            return
        now = self._now()
        queued = And(
            (
                Eq(("company",), identity.company),
                In(("id",), tuple(task_ids)),
                Eq(("status",), Status.QUEUED.value),
            )
        )

        def change(task: Document) -> None:
            task.update(moved(task, Status.CREATED, now, force=False, reason=None, message=None))
            task.update(last_update=now, last_change=now)

        self._documents.update_many("tasks", queued, change)

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _of_workers(name: str) -> bool:
    return name == "workers" or name.startswith("workers.")
