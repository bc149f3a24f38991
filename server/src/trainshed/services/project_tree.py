"""Moving and merging projects: whole branches of the tree change their place."""

from typing import NamedTuple

from trainshed.domain.errors import ApiError, Duplicate, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import Eq, Has, Or
from trainshed.services import checks
from trainshed.services.projects import Projects


class Moved(NamedTuple):
    """How many tasks and models, and how many projects, are somewhere else now."""

    entities: int
    projects: int


class ProjectTree:
    """The use cases that change which project is under which."""

    def __init__(self, *, documents: Documents, projects: Projects) -> None:
        self._documents = documents
        self._projects = projects

    def move(self, identity: Identity, project_id: str, location: str) -> int:
        """Put a project with everything below it under the project named `location`, which is made when it is missing.

        An empty location is the root. Returns how many projects moved.
        """
        project = self._projects.get(identity, project_id)
        checks.writable(project)
        if _is_at_or_below(location, project["name"]):
            raise ApiError(Fault.PROJECT_CANNOT_BE_MOVED_UNDER_ITSELF, location)
        if location == project["name"].rpartition("/")[0]:
            raise ApiError(Fault.PROJECT_SOURCE_AND_DESTINATION_ARE_THE_SAME, location)
        self._projects.check_not_public("/".join([location, project["basename"]]).strip("/"))
        parent = self._projects.ensure(identity, location) if location else None
        return self._rebase(project_id, parent)

    def merge(self, identity: Identity, project_id: str, destination_id: str | None) -> Moved:
        """Move what a project holds to another one, or to the root, and remove it. Children of one name are merged too."""
        source = self._projects.get(identity, project_id)
        checks.writable(source)
        destination = self._projects.get(identity, destination_id) if destination_id else None
        if destination is not None:
            checks.writable(destination)
            if destination["id"] == source["id"]:
                raise ApiError(Fault.PROJECT_SOURCE_AND_DESTINATION_ARE_THE_SAME)
            if source["id"] in destination["path"]:
                raise ApiError(Fault.PROJECT_CANNOT_BE_MERGED_INTO_ITS_CHILD)
        return self._merge(identity, source, destination)

    def _merge(self, identity: Identity, source: Document, destination: Document | None) -> Moved:
        entities = projects = 0
        for child in self._documents.find("projects", Eq(("parent",), source["id"])):
            place = f"{destination['name']}/" if destination else ""
            twin = self._projects.by_name(identity, f"{place}{child['basename']}")
            if twin is not None and twin["id"] != source["id"]:
                inner = self._merge(identity, child, twin)
                entities, projects = entities + inner.entities, projects + inner.projects
            else:
                projects += self._rebase(str(child["id"]), destination)
        target = None if destination is None else str(destination["id"])
        entities += sum(put(self._documents, kind, str(source["id"]), target) for kind in ("tasks", "models"))
        self._documents.delete("projects", Eq(("id",), source["id"]))
        return Moved(entities, projects)

    def _rebase(self, root: str, parent: Document | None) -> int:
        """Give a project, with everything below it, another parent; return how many projects that were."""
        above = [] if parent is None else [*parent["path"], parent["id"]]
        names = [] if parent is None else parent["name"].split("/")

        def change(project: Document) -> None:
            # Of the document itself: the branch may have been moved since anybody looked.
            depth = [*project["path"], project["id"]].index(root)
            path = [*above, *project["path"][depth:]]
            parts = [*names, *project["name"].split("/")[depth:]]
            self._projects.check_depth(parts)
            project.update(name="/".join(parts), path=path)
            project.pop("parent", None)
            if path:
                project["parent"] = path[-1]

        try:
            moved = self._documents.update_many("projects", Or((Eq(("id",), root), Has(("path",), root))), change)
        except Duplicate as error:
            raise ApiError(Fault.NOT_UNIQUE, "a project of that name is there") from error
        if parent is not None and (present := self._documents.get("projects", parent["id"])) != parent:
            self._rebase(root, present)  # renamed, moved or removed since it was read
        return moved


def put(documents: Documents, collection: str, source: str, destination: str | None) -> int:
    """Move every document of a project to another one, or to none; return how many."""

    def change(document: Document) -> None:
        document.pop("project", None)
        if destination is not None:
            document["project"] = destination

    return documents.update_many(collection, Eq(("project",), source), change)


def _is_at_or_below(name: str, other: str) -> bool:
    return f"{name}/".startswith(f"{other}/")
