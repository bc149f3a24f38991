"""projects.get_*_tags and the like: what the filters of a listing offer."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, to_builtins

from trainshed.transport.call import Call
from trainshed.transport.wire import projects as wire

Reply = dict[str, Any]


def get_task_tags(call: Call, request: wire.GetTags) -> Reply:
    return _tags(call, request, "tasks")


def get_model_tags(call: Call, request: wire.GetTags) -> Reply:
    return _tags(call, request, "models")


def get_project_tags(call: Call, request: wire.GetTags) -> Reply:
    return _tags(call, request, "projects")


def _tags(call: Call, request: wire.GetTags, collection: str) -> Reply:
    return call.services.facets.tags(
        call.identity,
        [collection],
        projects=request.projects,
        where=to_builtins(request.filter),
        system=bool(request.include_system),
    )


def get_hyper_parameters(call: Call, request: wire.GetNames) -> Reply:
    found = call.services.facets.hyperparameters(
        call.identity, request.project, subprojects=request.include_subprojects is not False
    )
    return _page(call, "parameters", found, request)


def get_hyperparam_values(call: Call, request: wire.GetHyperparamValues) -> Reply:
    found = call.services.facets.hyperparameter_values(
        call.identity,
        request.section,
        request.name,
        projects=request.projects,
        subprojects=request.include_subprojects is not False,
        public=request.allow_public is not False,
        pattern=request.pattern,
    )
    return {"total": len(found), "values": _cut(call, found, request)}


def get_model_metadata_keys(call: Call, request: wire.GetNames) -> Reply:
    found = call.services.facets.metadata_keys(
        call.identity, request.project, subprojects=request.include_subprojects is not False
    )
    return _page(call, "keys", found, request)


def get_model_metadata_values(call: Call, request: wire.GetModelMetadataValues) -> Reply:
    found = call.services.facets.metadata_values(
        call.identity,
        request.key,
        projects=request.projects,
        subprojects=request.include_subprojects is not False,
        public=request.allow_public is not False,
    )
    return {"total": len(found), "values": _cut(call, found, request)}


def get_unique_metric_variants(call: Call, request: wire.GetUniqueMetricVariants) -> Reply:
    found = call.services.facets.metric_variants(
        call.identity,
        project=request.project,
        subprojects=request.include_subprojects is not False,
        models=bool(request.model_metrics),
        ids=request.ids,
    )
    return {"metrics": found}


def get_user_names(call: Call, request: wire.GetUserNames) -> Reply:
    found = call.services.facets.users(
        call.identity,
        "models" if request.entity == "model" else "tasks",
        projects=request.projects,
        subprojects=request.include_subprojects is not False,
    )
    return {"users": found}


def get_task_parents(call: Call, request: wire.GetTaskParents) -> Reply:
    state = "active" if request.tasks_state is UNSET else request.tasks_state  # null means tasks in either state
    found = call.services.facets.parents(
        call.identity,
        projects=request.projects,
        subprojects=request.include_subprojects is not False,
        archived=None if state is None else state == "archived",
        name=request.task_name,
    )
    return {"parents": found}


def _page(call: Call, name: str, found: Sequence[Any], request: wire.Paged) -> Reply:
    page = _cut(call, found, request)
    read = (request.page or 0) * _size(call, request) + len(page)
    return {name: page, "total": len(found), "remaining": max(0, len(found) - read)}


def _cut(call: Call, found: Sequence[Any], request: wire.Paged) -> Sequence[Any]:
    size = _size(call, request)
    start = (request.page or 0) * size
    return found[start : start + size]


def _size(call: Call, request: wire.Paged) -> int:
    return request.page_size or call.services.limits.page_rows
