"""Requests of the organization service."""

from typing import Any, Literal

from trainshed.transport.wire import models as models_wire
from trainshed.transport.wire import projects as projects_wire
from trainshed.transport.wire import reports as reports_wire
from trainshed.transport.wire import tasks as tasks_wire
from trainshed.transport.wire.common import FieldNames, Request
from trainshed.transport.wire.projects import TagFilter


class GetTags(Request, kw_only=True):
    include_system: bool | None = None
    filter: TagFilter | None = None


class GetEntitiesCount(Request, kw_only=True):
    """For each kind that is to be counted the arguments of its listing."""

    projects: projects_wire.GetAllEx | None = None
    tasks: tasks_wire.GetAllEx | None = None
    models: models_wire.GetAllEx | None = None
    pipelines: projects_wire.GetAllEx | None = None
    datasets: projects_wire.GetAllEx | None = None
    reports: reports_wire.GetAllEx | None = None
    search_hidden: bool | None = None
    allow_public: bool | None = None
    active_users: list[str] | None = None


class ValueMapping(Request, kw_only=True):
    """What stands in a table for a stored value."""

    key: Any
    value: Any


class FieldMapping(Request, kw_only=True):
    field: str
    name: str | None = None
    values: list[ValueMapping] | None = None


class PrepareDownload(Request, kw_only=True):
    """A table of what a listing holds; its arguments come beside these."""

    entity_type: Literal["task", "model"]
    only_fields: FieldNames
    field_mappings: list[FieldMapping]
    allow_public: bool | None = None
    search_hidden: bool | None = None


class Download(Request, kw_only=True):
    prepare_id: str
