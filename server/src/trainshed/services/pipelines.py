"""Pipelines: controllers that are run again by cloning one of their runs."""

from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Documents
from trainshed.ports.query import And, Eq, Has, Or
from trainshed.services.cloning import Cloning
from trainshed.services.projects import Projects
from trainshed.services.task_queueing import TaskQueueing
from trainshed.services.tasks import Tasks

_RUN = Or((Eq(("type",), "controller"), Has(("system_tags",), "pipeline")))
_SECTION = "Args"


class Pipelines:
    """The use cases of pipelines."""

    def __init__(
        self, *, documents: Documents, projects: Projects, tasks: Tasks, cloning: Cloning, queueing: TaskQueueing
    ) -> None:
        self._documents = documents
        self._projects = projects
        self._tasks = tasks
        self._cloning = cloning
        self._queueing = queueing

    def start(
        self, identity: Identity, task_id: str, *, queue: str | None, arguments: dict[str, str | None]
    ) -> tuple[str, str]:
        """Clone a run with these hyperparameters of the section Args and put it in a queue; return its id and the queue's."""
        source = self._tasks.get(identity, task_id)
        queue_id = self._queueing.queue_for(identity, queue, None)
        args = {**source["hyperparams"].get(_SECTION, {})}
        args.update({name: _parameter(name, value) for name, value in arguments.items()})
        hyperparams = {**source["hyperparams"], _SECTION: args}
        changes: dict[str, Any] = {"hyperparams": hyperparams} if arguments else {}
        run, _ = self._cloning.clone(identity, task_id, changes)
        self._queueing.enqueue(identity, run, queue_id)
        return run, queue_id

    def check_some_run_stays(self, identity: Identity, project: str, ids: list[str]) -> None:
        """Raises CANNOT_REMOVE_ALL_RUNS: without any run a pipeline could not be started again."""
        self._projects.get(identity, project)
        runs = self._documents.find("tasks", And((Eq(("project",), project), _RUN)))
        if {str(run["id"]) for run in runs} <= set(ids):
            raise ApiError(Fault.CANNOT_REMOVE_ALL_RUNS)

    def delete_run(self, identity: Identity, project: str, run: str) -> dict[str, Any]:
        """Remove a run of the pipeline, whatever its status; return counts. Raises INVALID_TASK_ID."""
        if self._tasks.get(identity, run).get("project") != project:
            raise ApiError(Fault.INVALID_TASK_ID, f"{run} is no run of this pipeline")
        deleted = self._tasks.delete(identity, run, force=True)
        return {"deleted": True, **deleted.counts, "deleted_models": len(deleted.models)}


def _parameter(name: str, value: str | None) -> dict[str, str]:
    return {"section": _SECTION, "name": name, **({} if value is None else {"value": value})}
