"""Requests of the projects service."""

from msgspec import UNSET

from trainshed.transport.wire.common import ONE_OR_MANY, Listing, Maybe, Request


class GetAll(Listing, kw_only=True):
    basename: str | None = None
    description: str | None = None
    parent: ONE_OR_MANY = None
    last_update: ONE_OR_MANY = None
    created: ONE_OR_MANY = None
    shallow_search: bool | None = None


class GetById(Request, kw_only=True):
    project: str


class Create(Request, kw_only=True):
    name: str
    description: str | None = None
    tags: list[str] | None = None
    system_tags: list[str] | None = None
    default_output_destination: str | None = None


class Update(Request, kw_only=True):
    project: str
    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    default_output_destination: Maybe[str] = UNSET
