"""Requests of the tasks service, and the parts a task is made of."""

from typing import Literal

from msgspec import UNSET

from trainshed.transport.wire.common import (
    ONE_OR_MANY,
    FieldNames,
    FreeForm,
    Int64,
    Listing,
    ManyIds,
    Maybe,
    Request,
)

TaskType = Literal[
    "training",
    "testing",
    "inference",
    "data_processing",
    "application",
    "monitor",
    "controller",
    "optimizer",
    "service",
    "qc",
    "custom",
]
ArtifactMode = Literal["input", "output"]
ModelType = Literal["input", "output"]


class Script(Request, kw_only=True):
    binary: Maybe[str] = UNSET
    repository: Maybe[str] = UNSET
    tag: Maybe[str] = UNSET
    branch: Maybe[str] = UNSET
    version_num: Maybe[str] = UNSET
    entry_point: Maybe[str] = UNSET
    working_dir: Maybe[str] = UNSET
    requirements: Maybe[FreeForm] = UNSET
    diff: Maybe[str] = UNSET


class ArtifactPreview(Request, kw_only=True):
    preview: Maybe[str] = UNSET
    content_type: Maybe[str] = UNSET
    data_hash: Maybe[str] = UNSET


class Artifact(Request, kw_only=True):
    key: str
    type: str
    mode: ArtifactMode = "output"
    uri: Maybe[str] = UNSET
    content_size: Maybe[Int64] = UNSET
    hash: Maybe[str] = UNSET
    timestamp: Maybe[Int64] = UNSET
    type_data: Maybe[ArtifactPreview] = UNSET
    display_data: Maybe[list[list[str]]] = UNSET


class ArtifactId(Request, kw_only=True):
    key: str
    mode: ArtifactMode = "output"


class Execution(Request, kw_only=True):
    queue: Maybe[str] = UNSET
    parameters: Maybe[FreeForm] = UNSET
    model: Maybe[str] = UNSET
    model_desc: Maybe[FreeForm] = UNSET
    model_labels: Maybe[dict[str, Int64]] = UNSET
    framework: Maybe[str] = UNSET
    docker_cmd: Maybe[str] = UNSET
    artifacts: Maybe[list[Artifact]] = UNSET


class ModelItem(Request, kw_only=True):
    name: str
    model: str


class TaskModels(Request, kw_only=True):
    input: Maybe[list[ModelItem]] = UNSET
    output: Maybe[list[ModelItem]] = UNSET


class Param(Request, kw_only=True):
    section: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    value: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    description: Maybe[str] = UNSET


class ParamKey(Request, kw_only=True):
    section: str
    name: Maybe[str] = UNSET


class Configuration(Request, kw_only=True):
    name: Maybe[str] = UNSET
    value: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    description: Maybe[str] = UNSET


class TaskFields(Request, kw_only=True):
    """The parts of a task that its owner writes."""

    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    comment: Maybe[str] = UNSET
    parent: Maybe[str] = UNSET
    project: Maybe[str] = UNSET
    output_dest: Maybe[str] = UNSET
    execution: Maybe[Execution] = UNSET
    script: Maybe[Script] = UNSET
    hyperparams: Maybe[dict[str, dict[str, Param]]] = UNSET
    configuration: Maybe[dict[str, Configuration]] = UNSET
    models: Maybe[TaskModels] = UNSET
    container: Maybe[dict[str, str | None]] = UNSET
    runtime: Maybe[FreeForm] = UNSET


class Create(TaskFields, kw_only=True):
    name: str
    type: TaskType


class Edit(TaskFields, kw_only=True):
    task: str
    force: bool | None = None
    name: Maybe[str] = UNSET
    type: Maybe[TaskType] = UNSET


class Update(Request, kw_only=True):
    task: str
    name: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    system_tags: Maybe[list[str]] = UNSET
    comment: Maybe[str] = UNSET
    project: Maybe[str] = UNSET
    output__error: Maybe[str] = UNSET
    created: Maybe[str] = UNSET


class GetById(Request, kw_only=True):
    task: str
    only_fields: str | FieldNames | None = None


class GetAll(Listing, kw_only=True):
    user: ONE_OR_MANY = None
    project: ONE_OR_MANY = None
    type: ONE_OR_MANY = None
    status: ONE_OR_MANY = None
    parent: ONE_OR_MANY = None
    comment: str | None = None
    status_changed: ONE_OR_MANY = None
    last_update: ONE_OR_MANY = None
    last_change: ONE_OR_MANY = None
    created: ONE_OR_MANY = None
    started: ONE_OR_MANY = None
    completed: ONE_OR_MANY = None
    include_subprojects: bool | None = None


class GetAllEx(GetAll, kw_only=True):
    allow_public: bool | None = None


class Ping(Request, kw_only=True):
    task: str


class ChangeStatus(Request, kw_only=True):
    task: str
    force: bool | None = None
    status_reason: str | None = None
    status_message: str | None = None


class Stop(ChangeStatus, kw_only=True):
    include_pipeline_steps: bool | None = None


class StopMany(Request, kw_only=True):
    ids: ManyIds
    force: bool | None = None
    status_reason: str | None = None
    status_message: str | None = None
    include_pipeline_steps: bool | None = None


class _Archiving(Request, kw_only=True):
    status_reason: str | None = None
    status_message: str | None = None
    include_pipeline_steps: bool | None = None


class Archive(_Archiving, kw_only=True):
    tasks: list[str]


class ArchiveMany(_Archiving, kw_only=True):
    ids: ManyIds


class Completed(ChangeStatus, kw_only=True):
    publish: bool | None = None


class Publish(ChangeStatus, kw_only=True):
    publish_model: bool | None = None


class PublishMany(Request, kw_only=True):
    ids: ManyIds
    force: bool | None = None
    status_reason: str | None = None
    status_message: str | None = None
    publish_model: bool | None = None


class Reset(ChangeStatus, kw_only=True):
    clear_all: bool | None = None
    return_file_urls: bool | None = None
    delete_output_models: bool | None = None
    delete_external_artifacts: bool | None = None


class ResetMany(Request, kw_only=True):
    ids: ManyIds
    force: bool | None = None
    clear_all: bool | None = None
    return_file_urls: bool | None = None
    delete_output_models: bool | None = None
    delete_external_artifacts: bool | None = None


class Delete(Request, kw_only=True):
    task: str
    move_to_trash: bool | None = None
    force: bool | None = None
    status_reason: str | None = None
    status_message: str | None = None
    return_file_urls: bool | None = None
    delete_output_models: bool | None = None
    delete_external_artifacts: bool | None = None
    include_pipeline_steps: bool | None = None


class DeleteMany(Request, kw_only=True):
    ids: ManyIds
    move_to_trash: bool | None = None
    force: bool | None = None
    return_file_urls: bool | None = None
    delete_output_models: bool | None = None
    delete_external_artifacts: bool | None = None
    include_pipeline_steps: bool | None = None


class Clone(Request, kw_only=True):
    task: str
    new_task_name: Maybe[str] = UNSET
    new_task_comment: Maybe[str] = UNSET
    new_task_tags: Maybe[list[str]] = UNSET
    new_task_system_tags: Maybe[list[str]] = UNSET
    new_task_parent: Maybe[str] = UNSET
    new_task_project: Maybe[str] = UNSET
    new_task_hyperparams: Maybe[dict[str, dict[str, Param]]] = UNSET
    new_task_configuration: Maybe[dict[str, Configuration]] = UNSET
    new_task_input_models: Maybe[list[ModelItem]] = UNSET
    new_task_container: Maybe[dict[str, str | None]] = UNSET
    execution_overrides: Maybe[Execution] = UNSET
    new_project_name: Maybe[str] = UNSET
    validate_references: bool | None = None


class SetRequirements(Request, kw_only=True):
    task: str
    requirements: FreeForm


class AddOrUpdateArtifacts(Request, kw_only=True):
    """force: nothing that it would allow is refused without it; artifacts of a running task may be edited anyway."""

    task: str
    artifacts: list[Artifact]
    force: bool | None = None


class DeleteArtifacts(Request, kw_only=True):
    """force: as of AddOrUpdateArtifacts."""

    task: str
    artifacts: list[ArtifactId]
    force: bool | None = None


class AddOrUpdateModel(Request, kw_only=True):
    task: str
    name: str
    model: str
    type: ModelType
    iteration: Int64 | None = None


class GetHyperParams(Request, kw_only=True):
    tasks: list[str]


class EditHyperParams(Request, kw_only=True):
    task: str
    hyperparams: list[Param]
    replace_hyperparams: Literal["none", "section", "all"] | None = None
    force: bool | None = None


class DeleteHyperParams(Request, kw_only=True):
    task: str
    hyperparams: list[ParamKey]
    force: bool | None = None


class GetConfigurations(Request, kw_only=True):
    tasks: list[str]
    names: list[str] | None = None


class GetConfigurationNames(Request, kw_only=True):
    tasks: list[str]
    skip_empty: bool | None = None


class EditConfiguration(Request, kw_only=True):
    task: str
    configuration: list[Configuration]
    replace_configuration: bool | None = None
    force: bool | None = None


class DeleteConfiguration(Request, kw_only=True):
    task: str
    configuration: list[str]
    force: bool | None = None


class ModelName(Request, kw_only=True):
    name: str
    type: ModelType


class DeleteModels(Request, kw_only=True):
    task: str
    models: list[ModelName]
