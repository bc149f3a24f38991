"""What the documents and other parts of replies look like, for the description of the API.

Handlers answer with plain dicts; the tests hold every reply that they see to these, both ways. A key is there when it has a
value and the caller's projection asks for it.
"""

from typing import Any, TypedDict

FreeForm = dict[str, Any]


class IdName(TypedDict, total=False):
    """A reference that was joined."""

    id: str
    name: str | None


# An id, or what a listing made of it: an object with the fields that were asked for.
Reference = str | FreeForm | None


class Failure(TypedDict, total=False):
    """Why an item of a batch failed. codes: the code and the subcode."""

    codes: list[int]
    msg: str
    data: FreeForm


class Failed(TypedDict, total=False):
    id: str
    error: Failure


class Urls(TypedDict, total=False):
    """Files that belonged to what was deleted."""

    model_urls: list[str]
    event_urls: list[str]
    artifact_urls: list[str]


class Metadata(TypedDict, total=False):
    key: str
    type: str
    value: str


class LastValue(TypedDict, total=False):
    """Running figures of one series."""

    metric: str
    variant: str
    value: float
    iter: int
    timestamp: int
    min_value: float
    min_value_iteration: int
    max_value: float
    max_value_iteration: int
    first_value: float
    first_value_iteration: int
    count: int
    mean_value: float
    x_axis_label: str


# md5 of the metric -> md5 of the variant -> figures
LastMetrics = dict[str, dict[str, LastValue]]


# tasks


class Script(TypedDict, total=False):
    binary: str
    repository: str
    tag: str
    branch: str
    version_num: str
    entry_point: str
    working_dir: str
    requirements: FreeForm
    diff: str


class ArtifactPreview(TypedDict, total=False):
    preview: str
    content_type: str
    data_hash: str


class Artifact(TypedDict, total=False):
    key: str
    type: str
    mode: str
    uri: str
    content_size: int
    hash: str
    timestamp: int
    type_data: ArtifactPreview
    display_data: list[list[str]]


class Execution(TypedDict, total=False):
    queue: Reference
    parameters: FreeForm
    model: Reference
    model_desc: FreeForm
    model_labels: dict[str, int]
    framework: str
    docker_cmd: str
    artifacts: list[Artifact]


class ModelItem(TypedDict, total=False):
    name: str
    model: Reference


class TaskModels(TypedDict, total=False):
    input: list[ModelItem]
    output: list[ModelItem]


class Output(TypedDict, total=False):
    destination: str
    model: str
    result: str
    error: str


class Param(TypedDict, total=False):
    section: str
    name: str
    value: str
    type: str
    description: str


class Configuration(TypedDict, total=False):
    name: str
    value: str
    type: str
    description: str


class Task(TypedDict, total=False):
    id: str
    name: str
    user: Reference
    company: Reference
    company_origin: str
    type: str
    status: str
    comment: str
    report: str
    report_assets: list[str]
    created: str
    started: str
    completed: str
    published: str
    active_duration: int | None
    parent: Reference
    project: Reference
    output: Output
    execution: Execution
    container: dict[str, str | None]
    models: TaskModels
    script: Script
    tags: list[str]
    system_tags: list[str]
    status_changed: str
    status_message: str
    status_reason: str
    last_worker: str
    last_worker_report: str
    last_update: str
    last_change: str
    last_changed_by: Reference
    last_iteration: int
    last_metrics: LastMetrics
    hyperparams: dict[str, dict[str, Param]]
    configuration: dict[str, Configuration]
    runtime: FreeForm


class TaskParams(TypedDict, total=False):
    task: str
    hyperparams: list[Param]


class TaskConfigurations(TypedDict, total=False):
    task: str
    configuration: list[Configuration]


class TaskConfigurationNames(TypedDict, total=False):
    task: str
    names: list[str]


# models


class ModelStats(TypedDict, total=False):
    labels_count: int


class Model(TypedDict, total=False):
    id: str
    name: str
    user: Reference
    company: Reference
    company_origin: str
    created: str
    last_update: str
    last_change: str
    last_changed_by: Reference
    task: Reference
    parent: Reference
    project: Reference
    comment: str
    tags: list[str]
    system_tags: list[str]
    framework: str
    design: Any
    labels: dict[str, int]
    uri: str
    ready: bool
    ui_cache: FreeForm
    metadata: dict[str, Metadata]
    last_iteration: int
    last_metrics: LastMetrics
    stats: ModelStats


class PublishedTask(TypedDict, total=False):
    """The task that was published along with its model."""

    id: str
    data: FreeForm


# projects


class StatusCount(TypedDict, total=False):
    created: int
    queued: int
    in_progress: int
    stopped: int
    published: int
    publishing: int
    closed: int
    failed: int
    completed: int
    unknown: int


class TaskStats(TypedDict, total=False):
    total_runtime: int
    total_tasks: int
    completed_tasks_24h: int
    status_count: StatusCount


class DatasetCount(TypedDict, total=False):
    count: int
    tags: list[str]


class ProjectStats(TypedDict, total=False):
    active: TaskStats
    archived: TaskStats
    datasets: DatasetCount


class DatasetStats(TypedDict, total=False):
    file_count: int
    total_size: int


class Project(TypedDict, total=False):
    id: str
    name: str
    basename: str
    description: str
    user: Reference
    company: Reference
    created: str
    tags: list[str]
    system_tags: list[str]
    default_output_destination: str
    last_update: str
    parent: Reference
    hidden: bool
    stats: ProjectStats
    sub_projects: list[IdName]
    own_datasets: int
    own_tasks: int
    own_models: int
    dataset_stats: DatasetStats | None


class TaskParent(TypedDict, total=False):
    id: str
    name: str
    project: IdName


class HyperParameter(TypedDict, total=False):
    section: str
    name: str


class MetricVariant(TypedDict, total=False):
    metric: str
    metric_hash: str
    variant: str
    variant_hash: str


# events


class Curve(TypedDict, total=False):
    """Points of a series. name: of its task or series."""

    name: str
    x: list[Any]
    y: list[float]


class MetricVariants(TypedDict, total=False):
    metric: str
    variants: list[str]


class TaskMetrics(TypedDict, total=False):
    task: str
    metrics: list[str]


class LatestValue(TypedDict, total=False):
    name: str
    last_value: float
    last_100_value: float


class LatestValues(TypedDict, total=False):
    name: str
    variants: list[LatestValue]


class IterationSamples(TypedDict, total=False):
    iter: int
    events: list[FreeForm]


class TaskSamples(TypedDict, total=False):
    task: str
    iterations: list[IterationSamples]


class SingleValue(TypedDict, total=False):
    metric: str
    variant: str
    value: float
    timestamp: float


class TaskSingleValues(TypedDict, total=False):
    task: str
    task_name: str
    values: list[SingleValue]


# queues and workers


class QueueEntry(TypedDict, total=False):
    task: Reference
    added: str


class QueueWorker(TypedDict, total=False):
    name: str
    ip: str
    key: str
    task: FreeForm | None


class Queue(TypedDict, total=False):
    id: str
    name: str
    display_name: str
    user: Reference
    company: Reference
    created: str
    tags: list[str]
    system_tags: list[str]
    entries: list[QueueEntry]
    workers: list[QueueWorker]
    metadata: dict[str, Metadata]
    last_update: str


class QueueMetrics(TypedDict, total=False):
    queue: str
    dates: list[int]
    avg_waiting_times: list[float]
    queue_lengths: list[int]


class TaskInfo(TypedDict, total=False):
    company: str
    user: str


class WorkerTask(TypedDict, total=False):
    id: str
    name: str | None
    running_time: int
    last_iteration: int


class WorkerQueue(TypedDict, total=False):
    id: str
    name: str
    display_name: str
    next_task: IdName
    num_tasks: int


class Worker(TypedDict, total=False):
    id: str
    user: IdName
    company: IdName
    ip: str
    register_time: str
    last_activity_time: str
    last_report_time: str
    task: WorkerTask
    project: IdName
    queue: WorkerQueue
    queues: list[WorkerQueue]
    tags: list[str]
    system_tags: list[str]
    key: str


class Activity(TypedDict, total=False):
    dates: list[int]
    counts: list[int]


class MetricKeys(TypedDict, total=False):
    name: str
    metric_keys: list[str]


class Aggregation(TypedDict, total=False):
    aggregation: str
    values: list[float]


class WorkerMetric(TypedDict, total=False):
    metric: str
    variant: str
    dates: list[int]
    stats: list[Aggregation]


class WorkerStats(TypedDict, total=False):
    worker: str
    metrics: list[WorkerMetric]


# serving


class ModelReference(TypedDict, total=False):
    type: str
    value: str


class Instance(TypedDict, total=False):
    id: str
    uptime_sec: int
    requests: int
    requests_min: float
    latency_ms: float
    last_update: str
    cpu_count: int
    gpu_count: int
    reference: list[ModelReference]


class ServingEndpoint(TypedDict, total=False):
    endpoint: str
    model: str
    url: str
    instances: int
    uptime_sec: int
    requests: int
    requests_min: float
    latency_ms: float
    last_update: str


class Loading(TypedDict, total=False):
    endpoint: str
    model: str
    url: str
    model_source: str
    model_version: str
    preprocess_artifact: str
    input_type: str
    input_size: str
    id: str
    uptime_sec: int
    last_update: str
    age_sec: int
    reference: list[ModelReference]


class Chart(TypedDict, total=False):
    title: str
    dates: list[int]
    values: list[float]


# storage


class AwsBucket(TypedDict, total=False):
    bucket: str
    subdir: str
    host: str
    key: str
    secret: str
    token: str
    multipart: bool
    acl: str
    secure: bool
    region: str
    verify: bool
    use_credentials_chain: bool


class Aws(TypedDict, total=False):
    key: str
    secret: str
    region: str
    token: str
    use_credentials_chain: bool
    buckets: list[AwsBucket]


class GoogleBucket(TypedDict, total=False):
    bucket: str
    project: str
    subdir: str
    credentials_json: str


class Google(TypedDict, total=False):
    project: str
    credentials_json: str
    buckets: list[GoogleBucket]


class AzureContainer(TypedDict, total=False):
    account_name: str
    account_key: str
    container_name: str


class Azure(TypedDict, total=False):
    containers: list[AzureContainer]


# users


class KeyPair(TypedDict, total=False):
    access_key: str
    secret_key: str
    label: str


class AccessKey(TypedDict, total=False):
    access_key: str
    label: str | None
    last_used: str | None
    last_used_from: str | None


class User(TypedDict, total=False):
    id: str
    name: str
    given_name: str
    family_name: str
    avatar: str
    company: Reference
    role: str
    providers: FreeForm
    created: str
    email: str


class CurrentUser(TypedDict, total=False):
    id: str
    name: str
    given_name: str
    family_name: str
    role: str
    avatar: str | None
    company: IdName
    preferences: FreeForm
    created: str


class Owner(TypedDict, total=False):
    id: str
    name: str
    avatar: str | None


class Company(TypedDict, total=False):
    id: str
    name: str
    allocated: int
    owners: list[Owner]
