"""tasks.*"""

from contextlib import suppress
from typing import Any

import msgspec

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.status import Status
from trainshed.services.file_deletion import Urls
from trainshed.services.listing import project
from trainshed.services.tasks import Cleanup
from trainshed.transport.body import NOT_JSON
from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed, shown
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import tasks as wire
from trainshed.transport.wire.batches import OfProjects
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


# one task, and many


def get_by_id(call: Call, request: wire.GetById) -> Reply:
    task = shown(call.services.tasks.get(call.identity, request.task))
    return {"task": project([task], request.only_fields)[0]}


def get_all(call: Call, request: wire.GetAll) -> Reply:
    return listed("tasks", call.services.task_catalog.find(call.identity, listing(request, call.arguments)))


def get_all_ex(call: Call, request: wire.GetAllEx) -> Reply:
    return listed("tasks", call.services.task_catalog.find_joined(call.identity, listing(request, call.arguments)))


def create(call: Call, request: wire.Create) -> Reply:
    return {"id": call.services.tasks.create(call.identity, sent(request))}


def get_types(call: Call, request: OfProjects) -> Reply:
    return {"types": call.services.task_catalog.values(call.identity, "type", request.projects)}


def validate(call: Call, request: wire.Create) -> Reply:
    call.services.tasks.validate(call.identity, sent(request))
    return {}


def update_batch(call: Call, request: Empty) -> Reply:
    """tasks.update, one a line. Nothing is changed when a line does not validate; unknown tasks are passed over."""
    updates = [_update_of(line) for line in call.body.splitlines() if line.strip()]
    if not updates:
        raise ApiError(Fault.BATCH_EMPTY)
    updated = 0
    for one in updates:
        with suppress(ApiError):
            updated += update(call, one)["updated"]
    return {"updated": updated}


def _update_of(line: bytes) -> wire.Update:
    try:
        return msgspec.json.decode(line, type=wire.Update)
    except NOT_JSON as error:
        raise ApiError(Fault.VALIDATION_ERROR, str(error)) from error


def edit(call: Call, request: wire.Edit) -> Reply:
    fields = sent(request, "task", "force")
    changed = call.services.tasks.edit(call.identity, request.task, fields, force=bool(request.force))
    return {"updated": 1, "fields": changed}


def update(call: Call, request: wire.Update) -> Reply:
    changed = call.services.tasks.update(call.identity, request.task, sent(request, "task"))
    return {"updated": 1, "fields": changed}


def set_requirements(call: Call, request: wire.SetRequirements) -> Reply:
    changed = call.services.tasks.set_requirements(call.identity, request.task, request.requirements)
    return {"updated": 1, "fields": changed}


def ping(call: Call, request: wire.Ping) -> Reply:
    call.services.tasks.ping(call.identity, request.task)
    return {}


# status


def _move(call: Call, request: wire.ChangeStatus, new: Status) -> Reply:
    fields = call.services.tasks.change_status(
        call.identity,
        request.task,
        new,
        force=bool(request.force),
        reason=request.status_reason,
        message=request.status_message,
    )
    return {"updated": 1, "fields": fields}


def started(call: Call, request: wire.ChangeStatus) -> Reply:
    return {"started": 1, **_move(call, request, Status.IN_PROGRESS)}


def stopped(call: Call, request: wire.ChangeStatus) -> Reply:
    return _move(call, request, Status.STOPPED)


def failed(call: Call, request: wire.ChangeStatus) -> Reply:
    return _move(call, request, Status.FAILED)


def close(call: Call, request: wire.ChangeStatus) -> Reply:
    return _move(call, request, Status.CLOSED)


def completed(call: Call, request: wire.Completed) -> Reply:
    reply = {**_move(call, request, Status.COMPLETED), "published": 0}
    if request.publish:
        published = call.services.tasks.publish(call.identity, request.task, force=bool(request.force))
        reply["fields"] = {**reply["fields"], **published}
        reply["published"] = 1
    return reply


def stop(call: Call, request: wire.Stop) -> Reply:
    steps = _steps(call, request.task, request.include_pipeline_steps)
    reply = _stop(call, request)
    for step in steps:
        with suppress(ApiError):  # it may be over already
            _stop(call, msgspec.structs.replace(request, task=step))
    return reply


def _steps(call: Call, task: str, asked_for: bool | None) -> list[str]:
    return call.services.tasks.steps(call.identity, task) if asked_for else []


def _stop(call: Call, request: wire.Stop) -> Reply:
    fields = call.services.tasks.stop(
        call.identity,
        request.task,
        force=bool(request.force),
        reason=request.status_reason,
        message=request.status_message,
    )
    return {"updated": 1, "fields": fields}


def publish(call: Call, request: wire.Publish) -> Reply:
    fields = call.services.tasks.publish(
        call.identity,
        request.task,
        force=bool(request.force),
        models=request.publish_model is not False,
        reason=request.status_reason,
        message=request.status_message,
    )
    return {"updated": 1, "fields": fields}


def reset(call: Call, request: wire.Reset) -> Reply:
    done = call.services.tasks.reset(
        call.identity,
        request.task,
        force=bool(request.force),
        clear_all=bool(request.clear_all),
        cleanup=_cleanup(request),
        reason=request.status_reason,
        message=request.status_message,
    )
    return {
        "updated": 1,
        "fields": done.fields,
        "dequeued": {"removed": done.dequeued},
        "events": {},
        "deleted_models": len(done.models),
        **_urls(done.urls),
    }


def delete(call: Call, request: wire.Delete) -> Reply:
    steps = _steps(call, request.task, request.include_pipeline_steps)
    reply = _delete(call, request)
    for step in steps:
        with suppress(ApiError):  # one that may not be deleted stays
            _delete(call, msgspec.structs.replace(request, task=step))
    return reply


def _delete(call: Call, request: wire.Delete) -> Reply:
    done = call.services.tasks.delete(
        call.identity,
        request.task,
        force=bool(request.force),
        cleanup=_cleanup(request),
        to_trash=bool(request.move_to_trash),
        reason=request.status_reason,
        message=request.status_message,
    )
    return {"deleted": True, "deleted_models": len(done.models), "events": {}, **done.counts, **_urls(done.urls)}


def _cleanup(request: wire.Reset | wire.Delete) -> Cleanup:
    return Cleanup(
        models=request.delete_output_models is not False,
        files=request.delete_external_artifacts is not False,
        urls=bool(request.return_file_urls),
    )


def _urls(urls: Urls | None) -> Reply:
    if urls is None:
        return {}
    # Files of events are the server's own to delete: no caller is told of them.
    return {"urls": {"model_urls": urls.models, "artifact_urls": urls.artifacts, "event_urls": []}}


def archive_one(call: Call, request: wire.Archive | wire.ArchiveMany, task: str) -> Reply:
    for each in [task, *_steps(call, task, request.include_pipeline_steps)]:
        call.services.archive.put_task(
            call.identity, each, reason=request.status_reason, message=request.status_message
        )
    return {"archived": True}


def unarchive_one(call: Call, request: wire.ArchiveMany, task: str) -> Reply:
    for each in [task, *_steps(call, task, request.include_pipeline_steps)]:
        call.services.archive.take_task(
            call.identity, each, reason=request.status_reason, message=request.status_message
        )
    return {"unarchived": True}


def archive(call: Call, request: wire.Archive) -> Reply:
    """All of them or, when one is not there, none."""
    for task in request.tasks:
        call.services.tasks.get(call.identity, task)
    return {"archived": sum(archive_one(call, request, task)["archived"] for task in request.tasks)}


# clones


def clone(call: Call, request: wire.Clone) -> Reply:
    """A new task like this one. A project's name makes the project when it is missing."""
    given = sent(request, "task", "validate_references", "new_project_name")
    task, project = call.services.cloning.clone(
        call.identity,
        request.task,
        {_CLONED.get(name, name): value for name, value in given.items()},
        validate_references=bool(request.validate_references),
        project_name=request.new_project_name or None,
    )
    return {"id": task} if project is None else {"id": task, "new_project": {n: project[n] for n in ("id", "name")}}


_CLONED = {"execution_overrides": "execution"} | {
    f"new_task_{name}": name
    for name in (
        "name",
        "comment",
        "tags",
        "system_tags",
        "parent",
        "project",
        "hyperparams",
        "configuration",
        "input_models",
        "container",
    )
}


# hyperparameters and configurations


def get_hyper_params(call: Call, request: wire.GetHyperParams) -> Reply:
    return {"params": call.services.task_parts.hyper_params(call.identity, request.tasks)}


def edit_hyper_params(call: Call, request: wire.EditHyperParams) -> Reply:
    call.services.task_parts.edit_hyper_params(
        call.identity,
        request.task,
        [sent(item) for item in request.hyperparams],
        replace=request.replace_hyperparams or "none",
        force=bool(request.force),
    )
    return {"updated": 1}


def delete_hyper_params(call: Call, request: wire.DeleteHyperParams) -> Reply:
    keys = [sent(key) for key in request.hyperparams]
    call.services.task_parts.delete_hyper_params(call.identity, request.task, keys, force=bool(request.force))
    return {"deleted": 1}


def get_configurations(call: Call, request: wire.GetConfigurations) -> Reply:
    found = call.services.task_parts.configurations(call.identity, request.tasks, request.names)
    return {"configurations": found}


def get_configuration_names(call: Call, request: wire.GetConfigurationNames) -> Reply:
    skip_empty = request.skip_empty is not False
    found = call.services.task_parts.configuration_names(call.identity, request.tasks, skip_empty=skip_empty)
    return {"configurations": found}


def edit_configuration(call: Call, request: wire.EditConfiguration) -> Reply:
    call.services.task_parts.edit_configuration(
        call.identity,
        request.task,
        [sent(item) for item in request.configuration],
        replace=bool(request.replace_configuration),
        force=bool(request.force),
    )
    return {"updated": 1}


def delete_configuration(call: Call, request: wire.DeleteConfiguration) -> Reply:
    call.services.task_parts.delete_configuration(
        call.identity, request.task, request.configuration, force=bool(request.force)
    )
    return {"deleted": 1}


# artifacts and models


def add_or_update_artifacts(call: Call, request: wire.AddOrUpdateArtifacts) -> Reply:
    items = [sent(artifact) for artifact in request.artifacts]
    call.services.task_parts.add_or_update_artifacts(call.identity, request.task, items)
    return {"updated": 1}


def delete_artifacts(call: Call, request: wire.DeleteArtifacts) -> Reply:
    items = [sent(artifact) for artifact in request.artifacts]
    call.services.task_parts.delete_artifacts(call.identity, request.task, items)
    return {"deleted": 1}


def add_or_update_model(call: Call, request: wire.AddOrUpdateModel) -> Reply:
    call.services.task_parts.add_or_update_model(
        call.identity,
        request.task,
        kind=request.type,
        name=request.name,
        model=request.model,
        iteration=request.iteration,
    )
    return {"updated": 1}


def delete_models(call: Call, request: wire.DeleteModels) -> Reply:
    call.services.task_parts.delete_models(call.identity, request.task, [sent(item) for item in request.models])
    return {"updated": 1}
