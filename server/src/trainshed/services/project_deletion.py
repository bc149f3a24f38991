"""Deleting projects: what is in the way, and what goes with them."""

from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Events
from trainshed.ports.query import And, Eq, Filter, Has, In, Not
from trainshed.services import checks
from trainshed.services.facets import ARCHIVED
from trainshed.services.file_deletion import FileDeletion, Urls
from trainshed.services.projects import Projects
from trainshed.services.queues import Queues

_REPORT = Eq(("type",), "report")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a project and the projects below it hold.

    tasks: other than reports, and outside of pipelines and datasets. pipelines: that have runs. datasets: that have versions.
    """

    tasks: int
    non_archived_tasks: int
    models: int
    non_archived_models: int
    reports: int
    non_archived_reports: int
    pipelines: int
    datasets: int


_IN_THE_WAY = {
    "non_archived_tasks": Fault.PROJECT_HAS_TASKS,
    "non_archived_reports": Fault.PROJECT_HAS_TASKS,
    "non_archived_models": Fault.PROJECT_HAS_MODELS,
    "datasets": Fault.PROJECT_HAS_DATASETS,
    "pipelines": Fault.PROJECT_HAS_PIPELINES,
}


class ProjectDeletion:
    """The use cases that remove projects."""

    def __init__(
        self, *, documents: Documents, events: Events, projects: Projects, queues: Queues, files: FileDeletion
    ) -> None:
        self._documents = documents
        self._events = events
        self._projects = projects
        self._queues = queues
        self._files = files

    def contents(self, identity: Identity, project_id: str) -> dict[str, int]:
        """What would be in the way, and what is archived, by kind."""
        self._projects.get(identity, project_id)
        return asdict(self._contents(self._projects.descendants([project_id])))

    def delete(
        self, identity: Identity, project_id: str, *, force: bool, with_contents: bool, with_files: bool = True
    ) -> dict[str, Any]:
        """Remove a project and those below it; their tasks and models too, or else they are in no project afterwards.

        with_files: also what these have stored on the file server. Without force nothing that is not archived may be in
        it. Returns counts, and the urls of what was deleted.
        """
        project = self._projects.get(identity, project_id)
        checks.writable(project)
        ids = self._projects.descendants([project_id])
        if not force:
            self._check_clear(self._contents(ids))
        inside = In(("project",), tuple(ids))
        delete = partial(self._delete_contents, identity, with_files=with_files)
        reply = delete(inside) if with_contents else self._detach_contents(inside)
        self._documents.delete("projects", In(("id",), tuple(ids)))
        return {"deleted": 1, **reply}

    def _contents(self, ids: list[str]) -> Contents:
        kinds = {kind: self._tagged(ids, kind) for kind in ("pipeline", "dataset")}
        special = tuple(project for tagged in kinds.values() for project in tagged)
        inside = In(("project",), tuple(ids))
        plain = And((inside, Not(In(("project",), special)), Not(_REPORT)))
        reports = And((inside, _REPORT))
        active = Not(ARCHIVED)
        return Contents(
            tasks=self._documents.count("tasks", plain),
            non_archived_tasks=self._documents.count("tasks", And((plain, active))),
            models=self._documents.count("models", inside),
            non_archived_models=self._documents.count("models", And((inside, active))),
            reports=self._documents.count("tasks", reports),
            non_archived_reports=self._documents.count("tasks", And((reports, active))),
            pipelines=self._in_use(kinds["pipeline"], active),
            datasets=self._in_use(kinds["dataset"], And()),
        )

    def _tagged(self, ids: list[str], tag: str) -> list[str]:
        where = And((In(("id",), tuple(ids)), Has(("system_tags",), tag)))
        return [str(project["id"]) for project in self._documents.find("projects", where)]

    def _in_use(self, projects: list[str], state: Filter) -> int:
        where = And((In(("project",), tuple(projects)), state))
        return len(self._documents.distinct("tasks", ("project",), where))

    def _check_clear(self, contents: Contents) -> None:
        for field in fields(contents):
            if field.name in _IN_THE_WAY and getattr(contents, field.name):
                raise ApiError(_IN_THE_WAY[field.name], "force is needed", **asdict(contents))

    def _detach_contents(self, inside: Filter) -> dict[str, Any]:
        tasks = self._documents.update_many("tasks", inside, lambda task: _leave(task, "project"))
        self._documents.update_many("models", inside, lambda model: _leave(model, "project"))
        return {"disassociated_tasks": tasks, "deleted_tasks": 0, "deleted_models": 0}

    def _delete_contents(self, identity: Identity, inside: Filter, *, with_files: bool) -> dict[str, Any]:
        tasks, models = (self._documents.find(kind, inside) for kind in ("tasks", "models"))
        task_ids, model_ids = (tuple(str(found["id"]) for found in kind) for kind in (tasks, models))
        urls = self._leave_files(identity, tasks, models, with_files=with_files)
        self._queues.forget_all(task_ids)
        self._documents.delete("tasks", In(("id",), task_ids))
        self._documents.delete("models", In(("id",), model_ids))
        # What refers to them from other projects.
        self._documents.update_many("tasks", In(("parent",), task_ids), lambda task: _leave(task, "parent"))
        self._documents.update_many("models", In(("task",), task_ids), lambda model: _leave(model, "task"))
        self._events.delete([*task_ids, *model_ids])
        self._files.forget_links(task_ids)
        counts = {"disassociated_tasks": 0, "deleted_tasks": len(tasks), "deleted_models": len(models)}
        return {
            **counts,
            "urls": {"model_urls": urls.models, "artifact_urls": urls.artifacts, "event_urls": []},
        }

    def _leave_files(
        self, identity: Identity, tasks: list[Document], models: list[Document], *, with_files: bool
    ) -> Urls:
        """Before they go: list the files of the tasks and models, to be deleted; return where they are."""
        by_task: dict[str | None, list[Document]] = defaultdict(list)
        for model in models:
            by_task[model.get("task")].append(model)
        groups: list[tuple[Document | None, list[Document]]]
        groups = [(task, by_task.pop(task["id"], [])) for task in tasks]
        groups += [(None, [model]) for others in by_task.values() for model in others]
        found = []
        for task, its_models in groups:
            urls = self._files.urls(task, its_models)
            owners = [str(document["id"]) for document in (task, *its_models) if document is not None]
            owners += [model["task"] for model in its_models if task is None and model.get("task")]
            if with_files:
                self._files.enlist(identity, owners, urls.all())
            found.append(urls)
        gone = {document["id"] for document in (*tasks, *models)}
        return self._files.unused(Urls.of(found), gone)


def _leave(document: Document, field: str) -> None:
    document.pop(field, None)
