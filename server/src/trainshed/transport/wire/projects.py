"""Requests of the projects service."""

from typing import Literal

from msgspec import UNSET

from trainshed.transport.wire.common import ONE_OR_MANY, Count, FieldFilter, Listing, ManyIds, Maybe, Number, Request
from trainshed.transport.wire.tasks import GetAll as TaskFilter


class GetAll(Listing, kw_only=True):
    basename: str | None = None
    description: str | None = None
    parent: ONE_OR_MANY = None
    last_update: ONE_OR_MANY = None
    created: ONE_OR_MANY = None
    shallow_search: bool | None = None


class GetAllEx(GetAll, kw_only=True):
    include_stats: bool | None = None
    include_stats_filter: TaskFilter | None = None
    stats_for_state: Literal["active", "archived"] | None = None
    stats_with_children: bool | None = None
    non_public: bool | None = None
    allow_public: bool | None = None
    active_users: list[str] | None = None
    check_own_contents: bool | None = None
    include_dataset_stats: bool | None = None
    children_type: Literal["pipeline", "report", "dataset"] | None = None
    children_tags: list[str] | None = None
    children_tags_filter: FieldFilter | None = None


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


class Move(Request, kw_only=True):
    project: str
    new_location: str | None = None


class Merge(Request, kw_only=True):
    project: str
    destination_project: str | None = None


class Delete(Request, kw_only=True):
    project: str
    force: bool | None = None
    delete_contents: bool | None = None
    delete_external_artifacts: bool | None = None


class TagFilter(Request, kw_only=True):
    """Which entities' tags are meant, by the tags themselves."""

    tags: list[str] | None = None
    system_tags: list[str] | None = None


class GetTags(Request, kw_only=True):
    include_system: bool | None = None
    projects: ManyIds | None = None
    filter: TagFilter | None = None


class Paged(Request, kw_only=True):
    """A page of names or values."""

    page: Number | None = None
    page_size: Count | None = None


class GetNames(Paged, kw_only=True):
    project: str
    include_subprojects: bool | None = None


class GetHyperparamValues(Paged, kw_only=True):
    section: str
    name: str
    projects: ManyIds | None = None
    allow_public: bool | None = None
    include_subprojects: bool | None = None
    pattern: str | None = None


class GetModelMetadataValues(Paged, kw_only=True):
    key: str
    projects: ManyIds | None = None
    allow_public: bool | None = None
    include_subprojects: bool | None = None


class GetTaskParents(Request, kw_only=True):
    projects: ManyIds | None = None
    tasks_state: Maybe[Literal["active", "archived"]] = UNSET
    include_subprojects: bool | None = None
    task_name: str | None = None


class GetUniqueMetricVariants(Request, kw_only=True):
    project: str | None = None
    include_subprojects: bool | None = None
    model_metrics: bool | None = None
    ids: list[str] | None = None


class GetUserNames(Request, kw_only=True):
    projects: ManyIds | None = None
    include_subprojects: bool | None = None
    entity: Literal["task", "model"] | None = None
