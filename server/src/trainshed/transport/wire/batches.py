"""Requests for many objects at once, of several services."""

from msgspec import UNSET

from trainshed.transport.wire.common import ManyIds, Maybe, Request


class Ids(Request, kw_only=True):
    ids: ManyIds


class SomeIds(Request, kw_only=True):
    ids: ManyIds | None = None


class Move(Ids, kw_only=True):
    project: Maybe[str] = UNSET
    project_name: Maybe[str] = UNSET


class UpdateTags(SomeIds, kw_only=True):
    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None


class OfProjects(Request, kw_only=True):
    projects: ManyIds | None = None
