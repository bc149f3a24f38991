"""Reports: tasks that are documents. They live in an automatic, hidden `.reports` below the project that they are of."""

from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.status import Status
from trainshed.ports.cache import Cache
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, Has, In, Or
from trainshed.services import checks, joins, listing
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.projects import Projects
from trainshed.services.tasks import Tasks

BASENAME = ".reports"
TYPE = "report"
_SYSTEM_TAGS = ("hidden", "reports")
_ARCHIVED = "archived"
_TEXT = ("report", "report_assets")
_FIELDS = ("name", "tags", "comment", *_TEXT)

_LISTED = listing.Entity(
    collection="tasks",
    patterns=("name", "comment", "report"),
    lists=("id", "user", "status", "tags", "system_tags"),
    dates=("status_changed", "last_update", "created"),
    search=("id", "name", "comment", "report"),
)


class Reports:
    """The use cases of reports."""

    def __init__(
        self, *, documents: Documents, cache: Cache, projects: Projects, tasks: Tasks, limits: Limits = LIMITS
    ) -> None:
        self._documents = documents
        self._limits = limits
        self._cache = cache
        self._projects = projects
        self._tasks = tasks

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Reports as asked for, references as objects. A project stands for its reports, null for those of no project."""
        kind = And((Eq(("type",), TYPE), self._inside(arguments)))
        asked = {name: value for name, value in arguments.items() if name != "project"}
        return joins.find(
            self._documents,
            joins.TASKS,
            identity,
            asked,
            lambda who, fields: listing.fetch(
                self._documents, self._cache, _LISTED, who, fields, extra=kind, limits=self._limits
            ),
        )

    def create(self, identity: Identity, fields: dict[str, Any]) -> tuple[str, str]:
        """Add a report; return its id and that of the project that holds it."""
        place = self._place(identity, fields.get("project"))
        kept: dict[str, Any] = {name: fields[name] for name in ("name", "tags", "comment") if name in fields}
        task_id = self._tasks.create(
            identity, {**kept, "type": TYPE, "project": place, "system_tags": list(_SYSTEM_TAGS)}
        )
        text = {"report": "", "report_assets": [], **{name: fields[name] for name in _TEXT if name in fields}}
        self._tasks.change(identity, task_id, lambda task: task.update(text))
        return task_id, place

    def update(self, identity: Identity, task_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change fields, return those. The text of a published report stays. Raises INVALID_TASK_STATUS."""
        changed = {name: fields[name] for name in _FIELDS if name in fields}
        if "name" in changed:
            changed["name"] = checks.name(changed["name"])
        described = {name: value for name, value in changed.items() if name not in _TEXT}

        def change(task: Document) -> None:
            _check_report(task)
            if task["status"] == Status.PUBLISHED and len(described) < len(changed):
                raise ApiError(Fault.INVALID_TASK_STATUS, "the report is published", current_status=task["status"])
            task.update(changed)

        self._tasks.change(identity, task_id, change)
        return changed

    def move(self, identity: Identity, task_id: str, project_id: str | None, project_name: str | None) -> str:
        """Put a report under another project (made when it is missing), or under none; return what holds it now."""
        before = self._get(identity, task_id).get("project")
        if project_name:
            project_id = str(self._projects.ensure(identity, project_name)["id"])
        place = self._place(identity, project_id)
        self._tasks.change(identity, task_id, lambda task: task.update(project=place))
        self._drop_if_empty(before)
        return place

    def publish(self, identity: Identity, task_id: str, *, message: str | None) -> dict[str, Any]:
        """From now on the text stays as it is. Raises INVALID_TASK_STATUS when it is published."""
        if self._get(identity, task_id)["status"] == Status.PUBLISHED:
            raise ApiError(Fault.INVALID_TASK_STATUS, "the report is published", current_status=Status.PUBLISHED)
        return self._tasks.change_status(identity, task_id, Status.PUBLISHED, force=True, reason=None, message=message)

    def archive(self, identity: Identity, task_id: str, *, archived: bool, message: str | None) -> int:
        """Put a report away, or back; return 1 when it was not there before."""
        changed: list[str] = []

        def change(task: Document) -> None:
            _check_report(task)
            changed[:] = [task["id"]] if (_ARCHIVED in task["system_tags"]) != archived else []
            others = [tag for tag in task["system_tags"] if tag != _ARCHIVED]
            task["system_tags"] = [*others, _ARCHIVED] if archived else others
            task["status_message"] = message or ""

        self._tasks.change(identity, task_id, change)
        return len(changed)

    def delete(self, identity: Identity, task_id: str, *, force: bool) -> None:
        """Raises TASK_CANNOT_BE_DELETED for a published one, unless forced."""
        project = self._get(identity, task_id).get("project")
        self._tasks.delete(identity, task_id, force=force)
        self._drop_if_empty(project)

    def _get(self, identity: Identity, task_id: str) -> Document:
        task = self._tasks.get(identity, task_id)
        _check_report(task)
        return task

    def _place(self, identity: Identity, project_id: str | None) -> str:
        """The project that holds the reports of a project; made when it is missing."""
        project = self._projects.get(identity, project_id) if project_id else None
        if project and project["basename"] == BASENAME:
            return str(project["id"])
        name = f"{project['name']}/{BASENAME}" if project else BASENAME
        return str(self._projects.ensure(identity, name, system_tags=_SYSTEM_TAGS)["id"])

    def _drop_if_empty(self, project_id: str | None) -> None:
        project = self._documents.get("projects", project_id) if project_id else None
        if project and project["basename"] == BASENAME and not self._documents.count("tasks", _of_project(project)):
            self._documents.delete("projects", Eq(("id",), project_id))

    def _inside(self, arguments: listing.Arguments) -> Filter:
        project = arguments.get("project")
        if not project:
            return EVERYTHING
        wanted = project if isinstance(project, list) else [project]
        above = [Has(("path",), p) if arguments.get("include_subprojects") else Eq(("parent",), p) for p in wanted]
        places = And((Eq(("basename",), BASENAME), Or((In(("id",), tuple(wanted)), *above))))
        return In(("project",), tuple(str(place["id"]) for place in self._documents.find("projects", places)))


def _check_report(task: Document) -> None:
    if task.get("type") != TYPE:
        raise ApiError(Fault.OPERATION_SUPPORTED_ON_REPORTS_ONLY, str(task["id"]))


def _of_project(project: Document) -> Filter:
    return Eq(("project",), project["id"])
