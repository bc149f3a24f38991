"""Tasks: the life of an experiment."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault, NotFound
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.domain.status import FINISHED, Status, may_change
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Events
from trainshed.ports.query import And, Eq, Has, In
from trainshed.services import checks
from trainshed.services.file_deletion import TRASH, FileDeletion, Urls
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.projects import Projects
from trainshed.services.queues import Queues

log = logging.getLogger(__name__)

DEVELOPMENT = "development"
CONTROLLER = "controller"
# A stop asks a worker that reported within this many seconds to end the task itself.

# The parts that an edit replaces as a whole.
_SECTIONS = (
    "type",
    "tags",
    "system_tags",
    "comment",
    "parent",
    "project",
    "hyperparams",
    "configuration",
    "runtime",
    "script",
    "container",
)
_UPDATE_FIELDS = ("name", "tags", "system_tags", "comment", "project", "created")
_LEFT_BY_RESET = ("started", "completed", "published", "active_duration", "last_worker", "last_worker_report")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleanup:
    """What goes when a task is reset or deleted. models: its output models in draft. files: what they and it have stored.

    urls: return where that is.
    """

    models: bool = True
    files: bool = True
    urls: bool = False


class Reset(NamedTuple):
    """The changed fields, the deleted models, how many queues had the task, and the urls, if asked for."""

    fields: dict[str, Any]
    models: list[Document]
    dequeued: int
    urls: Urls | None


class Deleted(NamedTuple):
    """Counts of what was changed, the deleted models, and the urls, if asked for."""

    counts: dict[str, int]
    models: list[Document]
    urls: Urls | None


class Tasks:
    """The use cases of tasks."""

    def __init__(
        self,
        *,
        documents: Documents,
        events: Events,
        clock: Clock,
        projects: Projects,
        queues: Queues,
        files: FileDeletion,
        limits: Limits = LIMITS,
    ) -> None:
        self._documents = documents
        self._events = events
        self._clock = clock
        self._projects = projects
        self._queues = queues
        self._files = files
        self._limits = limits

    # reading

    def get(self, identity: Identity, task_id: str) -> Document:
        """Raises INVALID_TASK_ID."""
        return checks.existing(self._documents, "tasks", identity, task_id, Fault.INVALID_TASK_ID)

    def steps(self, identity: Identity, task_id: str) -> list[str]:
        """The tasks that a pipeline's controller started; none of any other task."""
        if self.get(identity, task_id)["type"] != CONTROLLER:
            return []
        children = And((Eq(("company",), identity.company), Eq(("parent",), task_id)))
        return [str(child["id"]) for child in self._documents.find("tasks", children)]

    def validate(self, identity: Identity, fields: dict[str, Any]) -> None:
        """Whether a task could be created so. Raises what create does."""
        checks.name(fields["name"])
        self.check_references(identity, fields)

    def check_references(
        self, identity: Identity, fields: Mapping[str, Any], *, of: str | None = None, models: bool = False
    ) -> None:
        """What the fields of a task refer to is there. of: the task, when it exists. models: the input models count, too.

        Raises INVALID_PROJECT_ID, INVALID_TASK_ID, INVALID_MODEL_ID, and VALIDATION_ERROR for a task above itself.
        """
        if fields.get("project"):
            self._projects.get(identity, fields["project"])
        if fields.get("parent"):
            checks.parent(self._documents, "tasks", identity, fields["parent"], Fault.INVALID_TASK_ID, of=of)
        if models:
            wanted = [item["model"] for item in (fields.get("models") or {}).get("input", ())]
            wanted += filter(None, [(fields.get("execution") or {}).get("model")])
            for model in wanted:
                checks.existing(self._documents, "models", identity, model, Fault.INVALID_MODEL_ID)

    # writing

    def create(self, identity: Identity, fields: dict[str, Any]) -> str:
        """Add a task with status created; return its id. Raises as check_references, and DATA_VALIDATION_ERROR."""
        self.check_references(identity, fields)
        return self.add(identity, fields)

    def add(self, identity: Identity, fields: dict[str, Any]) -> str:
        """As create, without a look at what the task refers to."""
        now = self._now()
        task: Document = {
            "id": new_id(),
            "user": identity.user,
            "company": identity.company,
            "created": now,
            "last_update": now,
            "last_change": now,
            "status": Status.CREATED.value,
            "status_changed": now,
            # Clients test these for membership: they are never null.
            "status_message": "",
            "status_reason": "",
            "comment": "",
            "tags": [],
            "system_tags": [],
            "execution": {"artifacts": []},
            "models": {"input": [], "output": []},
            "script": {},
            "hyperparams": {},
            "configuration": {},
            "runtime": {},
            "container": {},
            "output": {},
            "last_iteration": 0,
            "last_metrics": {},
        }
        _write_fields(task, fields)
        self._files.note_links(task["id"], task["execution"].get("artifacts") or ())
        self._documents.insert("tasks", task)
        return str(task["id"])

    def edit(self, identity: Identity, task_id: str, fields: dict[str, Any], *, force: bool) -> dict[str, Any]:
        """Replace whole parts of a task; only while it is created, unless forced. Returns the changed fields."""
        self.check_references(identity, fields, of=task_id)
        if "name" in fields:
            fields = {**fields, "name": checks.name(fields["name"])}
        self._files.note_links(task_id, (fields.get("execution") or {}).get("artifacts") or ())

        def change(task: Document) -> None:
            check_editable(task, force=force)
            _write_fields(task, fields)

        self.change(identity, task_id, change)
        return fields

    def update(self, identity: Identity, task_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change what may be changed at any time; return the changed fields."""
        self.check_references(identity, fields, of=task_id)
        changed = {name: fields[name] for name in _UPDATE_FIELDS if name in fields}
        if "name" in changed:
            changed["name"] = checks.name(changed["name"])
        if "created" in changed:
            changed["created"] = checks.date(changed["created"])

        def change(task: Document) -> None:
            task.update(changed)
            if "output__error" in fields:
                task["output"]["error"] = fields["output__error"]

        self.change(identity, task_id, change)
        return {**fields, **changed}

    def set_requirements(self, identity: Identity, task_id: str, requirements: dict[str, Any]) -> dict[str, Any]:
        """Replace the Python packages that the script needs."""

        def change(task: Document) -> None:
            task["script"]["requirements"] = requirements

        self.change(identity, task_id, change)
        return {"script.requirements": requirements}

    def ping(self, identity: Identity, task_id: str) -> None:
        """A sign of life."""
        now = self._now()
        self.change(identity, task_id, lambda task: task.update(last_update=now), counts_as_change=False)

    def change(
        self,
        identity: Identity,
        task_id: str,
        change: Callable[[Document], None],
        *,
        counts_as_change: bool = True,
    ) -> Document:
        """Change a task's document and its dates in one step; one that is no longer `queued` leaves its queue.

        Raises INVALID_TASK_ID, NO_WRITE_PERMISSION.
        """
        now = self._now()
        leaves_queue = False

        def apply(task: Document) -> None:
            nonlocal leaves_queue
            _owned(identity, task)
            was_queued = task["status"] == Status.QUEUED
            change(task)
            leaves_queue = was_queued and task["status"] != Status.QUEUED
            if counts_as_change:
                task["last_change"] = now
            task["last_update"] = now

        try:
            task = self._documents.update("tasks", task_id, apply)
        except NotFound as error:
            raise ApiError(Fault.INVALID_TASK_ID, task_id) from error
        if leaves_queue:
            self._queues.forget(task_id)
        return task

    # status

    def change_status(
        self, identity: Identity, task_id: str, new: Status, *, force: bool, reason: str | None, message: str | None
    ) -> dict[str, Any]:
        """Move a task to another status with the dates that belong to it. Raises INVALID_TASK_STATUS. Returns changed fields."""
        now = self._now()
        changed: dict[str, Any] = {}

        def change(task: Document) -> None:
            changed.clear()
            changed.update(moved(task, new, now, force=force, reason=reason, message=message))
            task.update(changed)

        self.change(identity, task_id, change)
        return changed

    def stop(
        self, identity: Identity, task_id: str, *, force: bool, reason: str | None, message: str | None
    ) -> dict[str, Any]:
        """End a running task: at once when nobody runs it, else by asking its worker (status_message `stopping`)."""
        now = self._now()
        changed: dict[str, Any] = {}

        def change(task: Document) -> None:
            changed.clear()
            running = task["status"] == Status.IN_PROGRESS and DEVELOPMENT not in task["system_tags"]
            if running and not force and self._worker_is_alive(task):
                changed.update(status=task["status"], status_message="stopping", status_reason=reason or "")
            else:
                changed.update(moved(task, Status.STOPPED, now, force=force, reason=reason, message=message))
            task.update(changed)

        self.change(identity, task_id, change)
        return changed

    def publish(
        self,
        identity: Identity,
        task_id: str,
        *,
        force: bool = False,
        models: bool = True,
        reason: str | None = None,
        message: str | None = None,
    ) -> dict[str, Any]:
        """Publish the task, and its output models with it."""
        fields = self.change_status(identity, task_id, Status.PUBLISHED, force=force, reason=reason, message=message)
        if models:
            self._publish_models(identity, self.get(identity, task_id)["models"]["output"])
        return fields

    def reset(
        self,
        identity: Identity,
        task_id: str,
        *,
        force: bool,
        clear_all: bool,
        cleanup: Cleanup = Cleanup(),
        reason: str | None = None,
        message: str | None = None,
    ) -> Reset:
        """Back to created: the place in a queue, events, output artifacts, results and what `cleanup` says go.

        clear_all: the script and its requirements too.
        """
        task = self.get(identity, task_id)
        checks.writable(task)
        _check_resettable(task, force=force)
        models = self._doomed_models(task_id) if cleanup.models else []
        urls = self._leave_files(identity, task, models, cleanup)
        dequeued = self._queues.forget(task_id)
        self._delete_drafts(models)
        gone = {model["id"] for model in models}
        now = self._now()

        def change(document: Document) -> None:
            _check_resettable(document, force=force)
            _clear(document, gone)
            document.update(status=Status.CREATED.value, status_changed=now)
            document.update(status_reason=reason or "", status_message=message or "")
            if clear_all:
                document.update(script={}, hyperparams={}, configuration={})

        self._events.delete([task_id])
        self.change(identity, task_id, change)
        return Reset({"status": Status.CREATED.value, "status_changed": now}, models, dequeued, urls)

    def delete(
        self,
        identity: Identity,
        task_id: str,
        *,
        force: bool,
        cleanup: Cleanup = Cleanup(),
        to_trash: bool = False,
        reason: str | None = None,
        message: str | None = None,
    ) -> Deleted:
        """Remove a task with its events and what `cleanup` says.

        to_trash: nobody sees the task any more, but its document, events and files are kept until the trash is emptied.
        Raises TASK_CANNOT_BE_DELETED unless forced when the task, a child or one of its models is published.
        """
        task = self.get(identity, task_id)
        checks.writable(task)
        published = None if force else self._published_part(task)
        if published:
            raise ApiError(Fault.TASK_CANNOT_BE_DELETED, f"{published} is published: force is needed")
        models = self._doomed_models(task_id) if cleanup.models else []
        urls = self._leave_files(identity, task, models, cleanup, to_trash=to_trash)
        if to_trash:
            told = {"status_reason": reason or "", "status_message": message or ""}
            self._put_into_trash(identity, {**task, **told}, models, cleanup)
        self._queues.forget(task_id)
        self._delete_drafts(models, with_events=not to_trash)
        children = self._documents.update_many(
            "tasks", Eq(("parent",), task_id), lambda child: _detach(child, "parent")
        )
        kept_models = self._documents.update_many(
            "models", Eq(("task",), task_id), lambda model: _detach(model, "task")
        )
        self._documents.delete("tasks", Eq(("id",), task_id))
        if not to_trash:
            self._events.delete([task_id])
            self._files.forget_links([task_id])
        if reason or message:
            log.info("task %s deleted by %s: %r %r", task_id, identity.user, reason or "", message or "")
        return Deleted({"updated_children": children, "updated_models": kept_models}, models, urls)

    def _leave_files(
        self, identity: Identity, task: Document, models: list[Document], cleanup: Cleanup, *, to_trash: bool = False
    ) -> Urls | None:
        """Before the task and the models go: list their files, to be deleted; return where they are if asked for."""
        delete = cleanup.files and not to_trash
        if not (delete or cleanup.urls):
            return None
        urls = self._files.urls(task, models)
        owners = [str(document["id"]) for document in (task, *models)]
        if delete:
            self._files.enlist(identity, owners, urls.all())
        return self._files.unused(urls, owners) if cleanup.urls else None

    def _put_into_trash(self, identity: Identity, task: Document, models: list[Document], cleanup: Cleanup) -> None:
        self._documents.delete(TRASH, Eq(("id",), task["id"]))  # of a try that did not get further
        trash = {"id": task["id"], "user": identity.user, "company": identity.company, "trashed": self._now()}
        self._documents.insert(TRASH, {**trash, "task": task, "models": models, "files": cleanup.files})

    def _published_part(self, task: Document) -> str | None:
        published = Eq(("status",), Status.PUBLISHED.value)
        if task["status"] == Status.PUBLISHED:
            return "the task"
        if self._documents.count("tasks", And((Eq(("parent",), task["id"]), published))):
            return "a child"
        if self._documents.count("models", And((Eq(("task",), task["id"]), Eq(("ready",), True)))):
            return "an output model"
        return None

    def _publish_models(self, identity: Identity, items: list[dict[str, Any]]) -> None:
        now = self._now()
        drafts = And(
            (
                Eq(("company",), identity.company),
                In(("id",), tuple(item["model"] for item in items)),
                Eq(("ready",), False),
            )
        )
        self._documents.update_many(
            "models", drafts, lambda model: model.update(ready=True, last_update=now, last_change=now)
        )

    def _doomed_models(self, task_id: str) -> list[Document]:
        """The drafts that go with the task; one that another task takes as input stays."""
        drafts = self._documents.find("models", And((Eq(("task",), task_id), Eq(("ready",), False))))
        return [model for model in drafts if not self._is_input_elsewhere(str(model["id"]), task_id)]

    def _delete_drafts(self, models: list[Document], *, with_events: bool = True) -> None:
        if models:
            ids = tuple(str(model["id"]) for model in models)
            # Still drafts: one that was published meanwhile stays.
            self._documents.delete("models", And((In(("id",), ids), Eq(("ready",), False))))
            if with_events:
                self._events.delete(ids)

    def _is_input_elsewhere(self, model_id: str, task_id: str) -> bool:
        users = self._documents.find("tasks", Has(("models", "input"), model_id, key="model"))
        return any(user["id"] != task_id for user in users)

    def _worker_is_alive(self, task: Document) -> bool:
        report = task.get("last_worker_report")
        return (
            report is not None
            and (self._clock.now() - dates.from_text(report)).total_seconds() < self._limits.task_worker
        )

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _owned(identity: Identity, task: Document) -> None:
    if task["company"] not in (identity.company, ""):
        raise ApiError(Fault.INVALID_TASK_ID, str(task["id"]))
    checks.writable(task)


def check_editable(task: Document, *, force: bool) -> None:
    """Raises INVALID_TASK_STATUS unless the task is created, or force is given."""
    if task["status"] != Status.CREATED and not force:
        raise ApiError(Fault.INVALID_TASK_STATUS, "only a created task can be edited", current_status=task["status"])


def _write_fields(task: Document, fields: dict[str, Any]) -> None:
    if "name" in fields:
        task["name"] = checks.name(fields["name"])
    for name in _SECTIONS:
        if name in fields:
            task[name] = fields[name]
    if "output_dest" in fields:
        task["output"]["destination"] = fields["output_dest"]
    if "models" in fields:
        task["models"] = {**task["models"], **fields["models"]}
    if "execution" in fields:
        # Clients send the section without the queue, which the server put there.
        queue = {"queue": task["execution"]["queue"]} if "queue" in task["execution"] else {}
        task["execution"] = {"artifacts": task["execution"]["artifacts"], **queue, **fields["execution"]}


def moved(
    task: Document, new: Status, now: str, *, force: bool, reason: str | None, message: str | None
) -> dict[str, Any]:
    """The fields that a change of status sets. Raises INVALID_TASK_STATUS."""
    old = Status(task["status"])
    if not (force or may_change(old, new)):
        raise ApiError(Fault.INVALID_TASK_STATUS, f"from {old} to {new}", current_status=old, new_status=new)
    fields = _status_fields(task, old, new, now)
    return {**fields, "status_reason": reason or "", "status_message": message or ""}


def _status_fields(task: Document, old: Status, new: Status, now: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": new.value}
    if old is not new:
        fields["status_changed"] = now
    if new is Status.IN_PROGRESS and ("started" not in task or old is not new):
        fields["started"] = task.get("started") if old in FINISHED and "started" in task else now
    if new in FINISHED and new is not Status.PUBLISHED and old is not new:
        fields["completed"] = now
        if task.get("started"):
            ran = dates.from_text(now) - dates.from_text(task["started"])
            fields["active_duration"] = int(ran.total_seconds())
    if new is Status.PUBLISHED and old is not new:
        fields["published"] = now
    return fields


def _check_resettable(task: Document, *, force: bool) -> None:
    if task["status"] == Status.PUBLISHED and not force:
        raise ApiError(Fault.INVALID_TASK_STATUS, "the task is published", current_status=task["status"])


def _clear(task: Document, gone_models: set[str]) -> None:
    """Take off what running the task left."""
    for name in _LEFT_BY_RESET:
        task.pop(name, None)
    task["execution"].pop("queue", None)
    task["execution"]["artifacts"] = [a for a in task["execution"]["artifacts"] if a.get("mode") == "input"]
    task["models"]["output"] = [item for item in task["models"]["output"] if item["model"] not in gone_models]
    task.update(runtime={}, output=_destination(task), last_iteration=0, last_metrics={})


def _destination(task: Document) -> dict[str, Any]:
    return {name: value for name, value in task["output"].items() if name == "destination"}


def _detach(document: Document, name: str) -> None:
    document.pop(name, None)
