"""What tasks and models may be filtered by: the tags, parameters, metrics, users and parents that occur among them."""

from collections.abc import Sequence
from typing import Any

from trainshed.domain.identity import Identity
from trainshed.ports.documents import Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, Has, In, Not, Regex
from trainshed.services import listing
from trainshed.services.projects import Projects

Row = dict[str, Any]
ARCHIVED = Has(("system_tags",), "archived")


class Facets:
    """The different values in use. Projects are asked with everything below them, unless they are to be taken alone."""

    def __init__(self, *, documents: Documents, projects: Projects) -> None:
        self._documents = documents
        self._projects = projects

    def tags(
        self,
        identity: Identity,
        collections: Sequence[str],
        *,
        projects: list[str] | None = None,
        where: dict[str, Any] | None = None,
        system: bool = False,
    ) -> dict[str, list[str]]:
        """The tags of the collections' documents, sorted; system: the system tags too. where: list filters by field."""
        matching = [listing.match_list((name,), values) for name, values in (where or {}).items() if values]
        found: dict[str, list[str]] = {}
        for field in ("tags", "system_tags") if system else ("tags",):
            values: set[str] = set()
            for collection in collections:
                place = self._within(collection, projects)
                asked = And((listing.visible(identity), place, *matching))
                values.update(filter(_is_text, self._documents.distinct(collection, (field,), asked)))
            found[field] = sorted(values)
        return found

    def hyperparameters(self, identity: Identity, project: str, *, subprojects: bool) -> list[Row]:
        """The section and name of every hyperparameter of the project's tasks."""
        self._projects.get(identity, project)
        where = self._where(identity, "tasks", [project], subprojects=subprojects)
        rows = sorted(self._documents.entries("tasks", ("hyperparams",), where, depth=2), key=str)
        return [{"section": section, "name": name} for section, name in rows]

    def hyperparameter_values(
        self,
        identity: Identity,
        section: str,
        name: str,
        *,
        projects: list[str] | None,
        subprojects: bool,
        public: bool,
        pattern: str | None,
    ) -> list[str]:
        """The different values of a hyperparameter; pattern: those in which it is found."""
        path = ("hyperparams", section, name, "value")
        where = self._where(identity, "tasks", projects, subprojects=subprojects, public=public)
        matching = Regex(path, pattern) if pattern else EVERYTHING
        return [str(value) for value in self._documents.distinct("tasks", path, And((where, matching)))]

    def metadata_keys(self, identity: Identity, project: str, *, subprojects: bool) -> list[str]:
        """The keys of the metadata of the project's models."""
        self._projects.get(identity, project)
        where = self._where(identity, "models", [project], subprojects=subprojects)
        return sorted(str(key) for (key,) in self._documents.entries("models", ("metadata",), where))

    def metadata_values(
        self, identity: Identity, key: str, *, projects: list[str] | None, subprojects: bool, public: bool
    ) -> list[str]:
        """The different values of a key of models' metadata."""
        where = self._where(identity, "models", projects, subprojects=subprojects, public=public)
        return [str(value) for value in self._documents.distinct("models", ("metadata", key, "value"), where)]

    def metric_variants(
        self, identity: Identity, *, project: str | None, subprojects: bool, models: bool, ids: list[str] | None
    ) -> list[Row]:
        """The metrics and variants that tasks (or models) have last values of, sorted by name."""
        if project:
            self._projects.get(identity, project)
        collection = "models" if models else "tasks"
        place = self._where(identity, collection, [project] if project else None, subprojects=subprojects)
        where = And((place, In(("id",), tuple(ids)) if ids else EVERYTHING))
        found = self._documents.entries(collection, ("last_metrics",), where, depth=2, fields=("metric", "variant"))
        names = ("metric_hash", "variant_hash", "metric", "variant")
        return [dict(zip(names, row, strict=True)) for row in sorted(found, key=lambda r: (str(r[2]), str(r[3])))]

    def users(self, identity: Identity, collection: str, *, projects: list[str] | None, subprojects: bool) -> list[Row]:
        """Who made the tasks or models."""
        where = self._where(identity, collection, projects, subprojects=subprojects)
        made = self._documents.distinct(collection, ("user",), where)
        found = self._documents.find("users", In(("id",), tuple(made)))
        return sorted(({"id": user["id"], "name": user["name"]} for user in found), key=_by_name)

    def parents(
        self,
        identity: Identity,
        *,
        projects: list[str] | None,
        subprojects: bool,
        archived: bool | None,
        name: str | None,
    ) -> list[Row]:
        """The tasks that are parents of tasks, with their projects. archived: what the children are, None for either."""
        state: Filter = EVERYTHING if archived is None else ARCHIVED if archived else Not(ARCHIVED)
        where = And((self._where(identity, "tasks", projects, subprojects=subprojects), state))
        ids = tuple(self._documents.distinct("tasks", ("parent",), where))
        named = Regex(("name",), name) if name else EVERYTHING
        found = self._documents.find("tasks", And((listing.visible(identity), In(("id",), ids), named)))
        wanted = tuple(task["project"] for task in found if task.get("project"))
        names = {p["id"]: p["name"] for p in self._documents.find("projects", In(("id",), wanted))}
        rows: list[Row] = [{"id": task["id"], "name": task["name"]} for task in found]
        for row, task in zip(rows, found, strict=True):
            if task.get("project") in names:
                row["project"] = {"id": task["project"], "name": names[task["project"]]}
        return sorted(rows, key=_by_name)

    def _where(
        self,
        identity: Identity,
        collection: str,
        projects: list[str] | None,
        *,
        subprojects: bool,
        public: bool = True,
    ) -> Filter:
        seen = listing.visible(identity) if public else Eq(("company",), identity.company)
        return And((seen, self._within(collection, projects, subprojects=subprojects)))

    def _within(self, collection: str, projects: list[str] | None, *, subprojects: bool = True) -> Filter:
        if not projects:
            return EVERYTHING
        ids = self._projects.descendants(projects) if subprojects else projects
        return In(("id",) if collection == "projects" else ("project",), tuple(ids))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _by_name(row: Row) -> tuple[str, str]:
    return row["name"], row["id"]
