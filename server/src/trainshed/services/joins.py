"""References as objects: how `get_all_ex` shows a project, user, parent or queue, with the fields of it that were asked for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from trainshed.domain import fieldpath, values
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, In
from trainshed.services import listing

# Field that holds an id, as clients write it -> the collection it is an id of; None where nothing can be joined.
References = Mapping[str, str | None]

TASKS: References = {
    "company": None,
    "user": "users",
    "project": "projects",
    "parent": "tasks",
    "execution.queue": "queues",
}
MODELS: References = {
    "company": None,
    "user": "users",
    "project": "projects",
    "parent": "models",
    "task": "tasks",
}
PROJECTS: References = {"company": None, "user": "users", "parent": "projects"}

Find = Callable[[Identity, listing.Arguments], listing.Listed]


def find(
    documents: Documents, references: References, identity: Identity, arguments: listing.Arguments, find: Find
) -> listing.Listed:
    """What `find` finds, with each reference as `{"id": ...}` and the fields of it that only_fields names beside the id."""
    names = arguments.get("only_fields") or arguments.get("projection") or []
    own, joined = _split(references, [names] if isinstance(names, str) else names)
    found = find(identity, {**arguments, "only_fields": own, "projection": None})
    shown = found.documents
    for reference, collection in references.items():
        path = fieldpath.parse(reference)
        fields = joined.get(reference)
        known = _known(documents, identity, collection, path, shown, fields) if collection and fields else {}
        for document in shown:
            _expand(document, path, known)
    return replace(found, documents=shown)


def _split(references: References, names: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The names with joined ones cut down to their reference, and what is to be joined: reference -> fields of its object."""
    own: list[str] = []
    joined: dict[str, list[str]] = {}
    for name in names:
        reference = next((r for r in references if name.startswith(f"{r}.")), None)
        own.append(reference or name)
        if reference:
            joined.setdefault(reference, []).append(name[len(reference) + 1 :])
    return own, joined


def _known(
    documents: Documents,
    identity: Identity,
    collection: str,
    path: tuple[str, ...],
    shown: list[Document],
    fields: list[str],
) -> dict[str, Any]:
    """The objects that the documents refer to, by id, each with those fields."""
    ids = {found for document in shown if isinstance(found := values.walk(document, path), str)}
    where = And((listing.visible(identity), In(("id",), tuple(sorted(ids)))))
    return {str(other["id"]): other for other in listing.project(documents.find(collection, where), fields)}


def _expand(document: Document, path: tuple[str, ...], known: Mapping[str, Any]) -> None:
    holder = values.walk(document, path[:-1])
    if isinstance(holder, dict) and isinstance(reference := holder.get(path[-1]), str):
        holder[path[-1]] = known.get(reference, {"id": reference})
