"""Models: what tasks produce and take."""

from collections.abc import Callable
from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault, NotFound
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.domain.status import Status
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Events
from trainshed.ports.query import Eq
from trainshed.services import checks, metadata
from trainshed.services.projects import Projects
from trainshed.services.tasks import Tasks

_FIELDS = (
    "name",
    "uri",
    "comment",
    "tags",
    "system_tags",
    "framework",
    "design",
    "labels",
    "ready",
    "project",
    "parent",
    "task",
    "created",
    "ui_cache",
)


class Models:
    """The use cases of models."""

    def __init__(self, *, documents: Documents, events: Events, clock: Clock, projects: Projects, tasks: Tasks) -> None:
        self._documents = documents
        self._events = events
        self._clock = clock
        self._projects = projects
        self._tasks = tasks

    def get(self, identity: Identity, model_id: str) -> Document:
        """Raises INVALID_MODEL_ID."""
        return checks.existing(self._documents, "models", identity, model_id, Fault.INVALID_MODEL_ID)

    def of_task(self, identity: Identity, task_id: str) -> Document:
        """The latest output model of a task. Raises INVALID_MODEL_ID when it has none."""
        outputs = self._tasks.get(identity, task_id)["models"]["output"]
        if not outputs:
            raise ApiError(Fault.INVALID_MODEL_ID, "the task has no output model")
        return self.get(identity, outputs[-1]["model"])

    def create(self, identity: Identity, fields: dict[str, Any]) -> str:
        """Add a model, `public` for every company; return its id. Raises for a project, task or parent that is not there."""
        self._check_references(identity, fields)
        now = self._now()
        model: Document = {
            "id": new_id(),
            "user": identity.user,
            "company": identity.company,
            "created": now,
            "last_update": now,
            "last_change": now,
            "comment": "",
            "tags": [],
            "system_tags": [],
            "labels": {},
            "ready": False,
            "metadata": {},
            "last_metrics": {},
            **_written(fields),
        }
        if fields.get("public"):
            model.update(company="", company_origin=identity.company)
        self._documents.insert("models", model)
        return str(model["id"])

    def edit(self, identity: Identity, model_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change fields; return those. `iteration` raises the last_iteration of the model's task."""
        self._check_references(identity, fields, of=model_id)
        changed = _written(fields)
        model = self.change(identity, model_id, lambda document: document.update(changed))
        if fields.get("iteration") is not None and model.get("task"):
            self._raise_iteration(identity, model["task"], fields["iteration"])
        return changed

    def update_for_task(
        self, identity: Identity, task_id: str, fields: dict[str, Any], *, model_id: str | None
    ) -> tuple[str, dict[str, Any] | None]:
        """Change the task's output model, or give it one: that of model_id, or else a new one.

        A new one takes what is not given from the task. Returns the model's id and changed fields, None when it was made.
        """
        task = self._tasks.get(identity, task_id)
        checks.writable(task)
        latest = next((str(item["model"]) for item in reversed(task["models"]["output"])), None)
        present = model_id or (latest if latest and self._documents.get("models", latest) else None)
        if present:
            changed = self.edit(identity, present, {**fields, "task": task_id})
        else:
            if "uri" not in fields:
                raise ApiError(Fault.VALIDATION_ERROR, "a new model needs a uri")
            inherited = {"name": task["name"], "project": task.get("project"), "task": task_id}
            inherited["framework"] = task["execution"].get("framework")
            given = {name: value for name, value in inherited.items() if value}
            present, changed = self.create(identity, {**given, **fields}), None
        self._tasks.change(identity, task_id, lambda document: _put_on(document, present, fields.get("iteration")))
        return present, changed

    def set_ready(
        self, identity: Identity, model_id: str, *, publish_task: bool, force_publish_task: bool
    ) -> tuple[str, dict[str, Any]] | None:
        """Publish the model, and the task that made it. Returns that task's id and changed fields, if it was published now."""
        model = self.get(identity, model_id)
        checks.writable(model, Fault.INVALID_MODEL_ID)
        _check_draft(model)
        published = None
        task_id = model.get("task") if publish_task else None
        task = self._documents.get("tasks", task_id) if task_id else None
        if task is not None and task["status"] != Status.PUBLISHED:
            task_id = str(task["id"])
            published = task_id, self._tasks.publish(identity, task_id, force=force_publish_task, models=False)

        def change(document: Document) -> None:
            _check_draft(document)
            document["ready"] = True

        self.change(identity, model_id, change)
        return published

    def delete(self, identity: Identity, model_id: str, *, force: bool) -> str:
        """Remove a model and take it off its task; return its uri. A published task needs force, and keeps a mark."""
        model = self.get(identity, model_id)
        checks.writable(model, Fault.INVALID_MODEL_ID)
        task_id = model.get("task")
        task = self._documents.get("tasks", task_id) if task_id else None
        published = task is not None and task["status"] == Status.PUBLISHED
        if published and not force:
            raise ApiError(Fault.MODEL_CREATING_TASK_EXISTS, "force is needed")
        if task_id and task is not None:
            self._tasks.change(identity, task_id, lambda document: _take_off(document, model_id, mark=published))
        self._documents.delete("models", Eq(("id",), model_id))
        self._events.delete([model_id])
        return str(model.get("uri") or "")

    def add_or_update_metadata(
        self, identity: Identity, model_id: str, items: list[dict[str, Any]], *, replace: bool
    ) -> None:
        """Put metadata entries by key; replace: these and no others."""
        self.change(identity, model_id, lambda model: metadata.put(model, items, replace=replace))

    def delete_metadata(self, identity: Identity, model_id: str, keys: list[str]) -> None:
        """Remove metadata entries by key."""
        self.change(identity, model_id, lambda model: metadata.remove(model, keys))

    def change(self, identity: Identity, model_id: str, change: Callable[[Document], None]) -> Document:
        """Change a model's document and its dates in one step. Raises INVALID_MODEL_ID; public models cannot be changed."""
        now = self._now()

        def apply(model: Document) -> None:
            if model["company"] != identity.company:
                raise ApiError(Fault.INVALID_MODEL_ID, model_id)
            change(model)
            model.update(last_update=now, last_change=now)

        try:
            return self._documents.update("models", model_id, apply)
        except NotFound as error:
            raise ApiError(Fault.INVALID_MODEL_ID, model_id) from error

    def _raise_iteration(self, identity: Identity, task_id: str, iteration: int) -> None:
        def change(task: Document) -> None:
            task["last_iteration"] = max(task["last_iteration"], iteration)

        self._tasks.change(identity, task_id, change)

    def _check_references(self, identity: Identity, fields: dict[str, Any], *, of: str | None = None) -> None:
        if fields.get("project"):
            self._projects.get(identity, fields["project"])
        if fields.get("task"):
            self._tasks.get(identity, fields["task"])
        if fields.get("parent"):
            checks.parent(self._documents, "models", identity, fields["parent"], Fault.INVALID_MODEL_ID, of=of)

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _written(fields: dict[str, Any]) -> dict[str, Any]:
    """Of the fields those that an owner writes, as a model holds them."""
    written = {name: fields[name] for name in _FIELDS if name in fields}
    if "name" in written:
        checks.name_length(written["name"], at_least=0)
    if "created" in written:
        written["created"] = checks.date(written["created"])
    if "metadata" in fields:
        written["metadata"] = metadata.by_key(fields["metadata"])
    return written


def _check_draft(model: Document) -> None:
    if model["ready"]:
        raise ApiError(Fault.MODEL_IS_READY, str(model["id"]))


def _put_on(task: Document, model_id: str, iteration: int | None) -> None:
    if all(item["model"] != model_id for item in task["models"]["output"]):
        task["models"]["output"].append({"name": "Output Model", "model": model_id})
    task["last_iteration"] = max(task["last_iteration"], iteration or 0)


def _take_off(task: Document, model_id: str, *, mark: bool) -> None:
    for item in task["models"]["output"]:
        if item["model"] == model_id and mark:
            item["model"] = f"__DELETED__{model_id}"
    task["models"]["output"] = [item for item in task["models"]["output"] if item["model"] != model_id]
