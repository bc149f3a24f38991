"""The archive: tasks and models that are out of the way, yet not gone."""

from trainshed.domain import dates
from trainshed.domain.identity import Identity
from trainshed.domain.status import Status
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document
from trainshed.services.models import Models
from trainshed.services.tasks import Tasks

ARCHIVED = "archived"  # the system tag


class Archive:
    """The use cases of the archive."""

    def __init__(self, *, clock: Clock, tasks: Tasks, models: Models) -> None:
        self._clock = clock
        self._tasks = tasks
        self._models = models

    def put_task(self, identity: Identity, task_id: str, *, reason: str | None, message: str | None) -> None:
        """Archive a task. One that waits in a queue leaves it."""
        now = dates.to_text(self._clock.now())

        def change(task: Document) -> None:
            _put(task)
            task.update(status_reason=reason or "", status_message=message or "")
            if task["status"] == Status.QUEUED:
                task.update(status=Status.CREATED.value, status_changed=now)

        self._tasks.change(identity, task_id, change)

    def take_task(self, identity: Identity, task_id: str, *, reason: str | None, message: str | None) -> None:
        """Take a task out of the archive."""

        def change(task: Document) -> None:
            _take(task)
            task.update(status_reason=reason or "", status_message=message or "")

        self._tasks.change(identity, task_id, change)

    def put_model(self, identity: Identity, model_id: str) -> None:
        """Archive a model."""
        self._models.change(identity, model_id, _put)

    def take_model(self, identity: Identity, model_id: str) -> None:
        """Take a model out of the archive."""
        self._models.change(identity, model_id, _take)


def _put(document: Document) -> None:
    document["system_tags"] = [*_without(document), ARCHIVED]


def _take(document: Document) -> None:
    document["system_tags"] = _without(document)


def _without(document: Document) -> list[str]:
    return [tag for tag in document["system_tags"] if tag != ARCHIVED]
