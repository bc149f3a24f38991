"""Clones: a new task that is to be run as another one was."""

from collections.abc import Mapping
from typing import Any

from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document
from trainshed.services import checks
from trainshed.services.archive import ARCHIVED
from trainshed.services.projects import Projects
from trainshed.services.tasks import DEVELOPMENT, Tasks

Fields = Mapping[str, Any]

_KEPT = ("name", "type", "comment", "tags", "parent", "project", "script", "container", "hyperparams", "configuration")
# Tags that say where the other task is, not what it is.
_LEFT = {DEVELOPMENT, ARCHIVED}


class Cloning:
    """The use case of clones."""

    def __init__(self, *, tasks: Tasks, projects: Projects) -> None:
        self._tasks = tasks
        self._projects = projects

    def clone(
        self,
        identity: Identity,
        task_id: str,
        changes: Fields,
        *,
        validate_references: bool = False,
        project_name: str | None = None,
    ) -> tuple[str, Document | None]:
        """A created task with what the other was given, and none of what it made; return its id, and the project named.

        changes: parts of a task that replace the other's; those of `execution` replace one by one. What they refer to must
        be there; what the other refers to only with validate_references. project_name: of its project, made when missing.
        """
        source = self._tasks.get(identity, task_id)
        fields = {**_given(source), **changes, "execution": _execution(source, changes.get("execution") or {})}
        if "input_models" in changes:
            fields["models"] = {"input": fields.pop("input_models")}
        checked = fields if validate_references else _overridden(fields, changes)
        self._tasks.check_references(identity, checked, models=True)
        checks.name(fields["name"])
        project = self._projects.ensure(identity, project_name) if project_name else None
        if project is not None:
            fields["project"] = project["id"]
        return self._tasks.add(identity, fields), project


def _given(source: Document) -> dict[str, Any]:
    fields = {name: source[name] for name in _KEPT if name in source}
    fields["system_tags"] = [tag for tag in source["system_tags"] if tag not in _LEFT]
    fields["models"] = {"input": source["models"].get("input", [])}
    if "destination" in source["output"]:
        fields["output_dest"] = source["output"]["destination"]
    return fields


def _execution(source: Document, overrides: Fields) -> dict[str, Any]:
    kept = {name: value for name, value in source["execution"].items() if name != "queue"}
    kept["artifacts"] = [artifact for artifact in kept["artifacts"] if artifact.get("mode") == "input"]
    return {**kept, **overrides}


def _overridden(fields: Fields, changes: Fields) -> dict[str, Any]:
    """Of the fields of a clone those that the caller gave."""
    given = {name: fields[name] for name in ("project", "parent") if name in changes}
    if "input_models" in changes:
        given["models"] = fields["models"]
    return {**given, "execution": changes.get("execution")}
