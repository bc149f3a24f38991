"""The parts of a task that clients edit one by one: hyperparameters, configurations, artifacts, models."""

from collections.abc import Iterator
from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document
from trainshed.services.file_deletion import FileDeletion
from trainshed.services.tasks import Tasks, check_editable

Item = dict[str, Any]

# Hyperparameters of this section may be edited whatever the status.
_PROPERTIES = "properties"


class TaskParts:
    """The use cases of a task's parts."""

    def __init__(self, *, tasks: Tasks, files: FileDeletion) -> None:
        self._tasks = tasks
        self._files = files

    # hyperparameters

    def hyper_params(self, identity: Identity, task_ids: list[str]) -> list[Item]:
        """For each task its hyperparameters, by section then name."""
        return [
            {"task": task_id, "hyperparams": list(_params(self._tasks.get(identity, task_id)))} for task_id in task_ids
        ]

    def edit_hyper_params(
        self, identity: Identity, task_id: str, items: list[Item], *, replace: str, force: bool
    ) -> None:
        """Add or change hyperparameters. replace: `none`, or the items' whole `section`s, or `all`."""
        for item in items:
            if not item.get("section") or not item.get("name"):
                raise ApiError(Fault.VALIDATION_ERROR, "a hyperparameter needs a section and a name")

        def change(task: Document) -> None:
            check_editable(task, force=force or (replace != "all" and _only_properties(items)))
            params = {} if replace == "all" else task["hyperparams"]
            if replace == "section":
                for section in {item["section"] for item in items}:
                    params.pop(section, None)
            for item in items:
                params.setdefault(item["section"], {})[item["name"]] = item
            task["hyperparams"] = params

        self._tasks.change(identity, task_id, change)

    def delete_hyper_params(self, identity: Identity, task_id: str, keys: list[Item], *, force: bool) -> None:
        """Remove hyperparameters; a key without a name removes its section."""

        def change(task: Document) -> None:
            check_editable(task, force=force or _only_properties(keys))
            for key in keys:
                if key.get("name") is None:
                    task["hyperparams"].pop(key["section"], None)
                else:
                    task["hyperparams"].get(key["section"], {}).pop(key["name"], None)

        self._tasks.change(identity, task_id, change)

    # configurations

    def configurations(self, identity: Identity, task_ids: list[str], names: list[str] | None) -> list[Item]:
        """For each task its configuration objects by name; only the named ones, when names are given."""
        found = []
        for task_id in task_ids:
            present = self._tasks.get(identity, task_id)["configuration"]
            wanted = [present[name] for name in sorted(present) if names is None or name in names]
            found.append({"task": task_id, "configuration": wanted})
        return found

    def configuration_names(self, identity: Identity, task_ids: list[str], *, skip_empty: bool) -> list[Item]:
        """For each task the names of its configuration objects, those without a value only when not skip_empty."""
        found = []
        for task_id in task_ids:
            present = self._tasks.get(identity, task_id)["configuration"]
            names = sorted(name for name, item in present.items() if item.get("value") or not skip_empty)
            found.append({"task": task_id, "names": names})
        return found

    def edit_configuration(
        self, identity: Identity, task_id: str, items: list[Item], *, replace: bool, force: bool
    ) -> None:
        """Add or change configuration objects; replace: these and no others."""
        for item in items:
            if not item.get("name"):
                raise ApiError(Fault.VALIDATION_ERROR, "a configuration object needs a name")

        def change(task: Document) -> None:
            check_editable(task, force=force)
            kept = {} if replace else task["configuration"]
            task["configuration"] = {**kept, **{item["name"]: item for item in items}}

        self._tasks.change(identity, task_id, change)

    def delete_configuration(self, identity: Identity, task_id: str, names: list[str], *, force: bool) -> None:
        """Remove configuration objects by name."""

        def change(task: Document) -> None:
            check_editable(task, force=force)
            for name in names:
                task["configuration"].pop(name, None)

        self._tasks.change(identity, task_id, change)

    # artifacts

    def add_or_update_artifacts(self, identity: Identity, task_id: str, items: list[Item]) -> None:
        """Put artifacts by (key, mode); running tasks too. They are kept sorted by key, then type."""
        self._files.note_links(str(self._tasks.get(identity, task_id)["id"]), items)

        def change(task: Document) -> None:
            kept = {(a["key"], a.get("mode", "output")): a for a in task["execution"]["artifacts"]}
            kept.update({(item["key"], item.get("mode", "output")): item for item in items})
            task["execution"]["artifacts"] = sorted(kept.values(), key=lambda a: (a["key"], a["type"]))

        self._tasks.change(identity, task_id, change)

    def delete_artifacts(self, identity: Identity, task_id: str, ids: list[Item]) -> None:
        """Remove artifacts by (key, mode)."""
        gone = {(item["key"], item.get("mode", "output")) for item in ids}

        def change(task: Document) -> None:
            artifacts = task["execution"]["artifacts"]
            task["execution"]["artifacts"] = [a for a in artifacts if (a["key"], a.get("mode", "output")) not in gone]

        self._tasks.change(identity, task_id, change)

    # models

    def add_or_update_model(
        self, identity: Identity, task_id: str, *, kind: str, name: str, model: str, iteration: int | None
    ) -> None:
        """Name an input or output model of the task; a name that is there is replaced in its place."""

        def change(task: Document) -> None:
            items = task["models"].setdefault(kind, [])
            for item in items:
                if item["name"] == name:
                    item["model"] = model
                    break
            else:
                items.append({"name": name, "model": model})
            if iteration is not None:
                task["last_iteration"] = max(task["last_iteration"], iteration)

        self._tasks.change(identity, task_id, change)

    def delete_models(self, identity: Identity, task_id: str, names: list[Item]) -> None:
        """Take models off the task by name and kind; names that are not there do not matter."""
        gone = {(item["type"], item["name"]) for item in names}

        def change(task: Document) -> None:
            for kind, items in task["models"].items():
                task["models"][kind] = [item for item in items if (kind, item["name"]) not in gone]

        self._tasks.change(identity, task_id, change)


def _only_properties(items: list[Item]) -> bool:
    return all(item["section"] == _PROPERTIES for item in items)


def _params(task: Document) -> Iterator[Item]:
    for section in sorted(task["hyperparams"]):
        for name in sorted(task["hyperparams"][section]):
            yield task["hyperparams"][section][name]
