"""Requests of the organization service."""

from trainshed.transport.wire.common import Request
from trainshed.transport.wire.projects import TagFilter


class GetTags(Request, kw_only=True):
    include_system: bool | None = None
    filter: TagFilter | None = None
