"""Requests of the models service."""

from msgspec import UNSET

from trainshed.transport.wire.common import (
    ONE_OR_MANY,
    FreeForm,
    Int64,
    Listing,
    ManyIds,
    Maybe,
    Metadata,
    Request,
)


class GetById(Request, kw_only=True):
    model: str


class GetAll(Listing, kw_only=True):
    user: ONE_OR_MANY = None
    ready: bool | None = None
    project: ONE_OR_MANY = None
    task: ONE_OR_MANY = None
    framework: ONE_OR_MANY = None
    uri: ONE_OR_MANY = None
    parent: ONE_OR_MANY = None
    comment: str | None = None
    last_update: ONE_OR_MANY = None
    last_change: ONE_OR_MANY = None
    created: ONE_OR_MANY = None
    include_subprojects: bool | None = None


class GetAllEx(GetAll, kw_only=True):
    allow_public: bool | None = None
    include_stats: bool | None = None


class ModelFields(Request, kw_only=True):
    """The parts of a model that its owner writes."""

    comment: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    framework: Maybe[str] = UNSET
    design: Maybe[FreeForm] = UNSET
    labels: Maybe[dict[str, Int64]] = UNSET
    ready: Maybe[bool] = UNSET
    project: Maybe[str] = UNSET
    parent: Maybe[str] = UNSET
    task: Maybe[str] = UNSET
    metadata: Maybe[list[Metadata]] = UNSET


class Create(ModelFields, kw_only=True):
    uri: str
    name: str
    public: bool | None = None


class Edit(ModelFields, kw_only=True):
    model: str
    uri: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    iteration: Maybe[Int64] = UNSET


class Update(Request, kw_only=True):
    model: str
    name: Maybe[str] = UNSET
    comment: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    ready: Maybe[bool] = UNSET
    created: Maybe[str] = UNSET
    ui_cache: Maybe[FreeForm] = UNSET
    project: Maybe[str] = UNSET
    task: Maybe[str] = UNSET
    iteration: Maybe[Int64] = UNSET


class UpdateForTask(Request, kw_only=True):
    task: str
    uri: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    comment: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    override_model_id: Maybe[str] = UNSET
    iteration: Maybe[Int64] = UNSET


class GetByTaskId(Request, kw_only=True):
    task: str


class PublishMany(Request, kw_only=True):
    ids: ManyIds
    force_publish_task: bool | None = None
    publish_tasks: bool | None = None


class DeleteMany(Request, kw_only=True):
    ids: ManyIds
    force: bool | None = None


class SetReady(Request, kw_only=True):
    model: str
    force_publish_task: bool | None = None
    publish_task: bool | None = None


class Delete(Request, kw_only=True):
    model: str
    force: bool | None = None


class AddOrUpdateMetadata(Request, kw_only=True):
    model: str
    metadata: list[Metadata]
    replace_metadata: bool | None = None


class DeleteMetadata(Request, kw_only=True):
    model: str
    keys: list[str]
