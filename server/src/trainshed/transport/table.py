"""The endpoint table: `service.action` -> what answers it. Read top to bottom; nothing else registers an endpoint."""

from collections.abc import Callable
from typing import Any, NamedTuple

from trainshed.domain.identity import Role
from trainshed.transport.endpoints import (
    about,
    auth,
    event_samples,
    events,
    facets,
    filing,
    many,
    models,
    organization,
    pipelines,
    projects,
    queues,
    reports,
    serving,
    storage,
    task_queueing,
    tasks,
    users,
    workers,
)
from trainshed.transport.version import text
from trainshed.transport.wire import auth as auth_wire
from trainshed.transport.wire import batches as batches_wire
from trainshed.transport.wire import events as events_wire
from trainshed.transport.wire import models as models_wire
from trainshed.transport.wire import organization as organization_wire
from trainshed.transport.wire import pipelines as pipelines_wire
from trainshed.transport.wire import projects as projects_wire
from trainshed.transport.wire import queues as queues_wire
from trainshed.transport.wire import reports as reports_wire
from trainshed.transport.wire import server as server_wire
from trainshed.transport.wire import serving as serving_wire
from trainshed.transport.wire import storage as storage_wire
from trainshed.transport.wire import task_queueing as task_queueing_wire
from trainshed.transport.wire import tasks as tasks_wire
from trainshed.transport.wire import users as users_wire
from trainshed.transport.wire import workers as workers_wire
from trainshed.transport.wire.common import Empty

_FIRST = (1, 0)


class Entry(NamedTuple):
    """handler(call, request) -> data. request: the struct the arguments are decoded into.

    since: the first version that it answers. before: what answers older ones, whose form is quite another.
    login: whether the caller must be known; None: may be. batch: the body is lines of JSON that the handler decodes itself.
    reports: it adds events; every other call is answered by documents that know of those before it.
    roles: who may call it, where a login is needed.
    """

    handler: Callable[[Any, Any], Any]
    request: type
    since: tuple[int, int] = _FIRST
    login: bool | None = True
    batch: bool = False
    reports: bool = False
    roles: frozenset[Role] = frozenset(Role)
    before: "Entry | None" = None


_ROOT = frozenset({Role.SYSTEM, Role.ROOT})
_ADMINS = _ROOT | {Role.ADMIN}


ENDPOINTS: dict[str, Entry] = {
    "auth.create_credentials": Entry(auth.create_credentials, auth_wire.CreateCredentials),
    "auth.create_user": Entry(auth.create_user, auth_wire.CreateUser, roles=_ROOT),
    "auth.edit_credentials": Entry(auth.edit_credentials, auth_wire.EditCredentials),
    "auth.edit_user": Entry(auth.edit_user, auth_wire.EditUser, roles=_ADMINS),
    "auth.fixed_users_mode": Entry(auth.fixed_users_mode, Empty, login=False),
    "auth.get_credentials": Entry(auth.get_credentials, Empty),
    "auth.get_token_for_user": Entry(auth.get_token_for_user, auth_wire.GetTokenForUser, roles=_ROOT),
    "auth.login": Entry(auth.login, auth_wire.Login),
    "auth.logout": Entry(auth.logout, Empty, (2, 2)),
    "auth.revoke_credentials": Entry(auth.revoke_credentials, auth_wire.RevokeCredentials),
    "auth.validate_token": Entry(auth.validate_token, auth_wire.ValidateToken, roles=_ROOT),
    "debug.ping": Entry(about.ping, Empty, login=False),
    "events.add": Entry(events.add, events_wire.Add, reports=True),
    "events.add_batch": Entry(events.add_batch, Empty, batch=True, reports=True),
    "events.clear_scroll": Entry(events.clear_scroll, events_wire.ClearScroll, (2, 18)),
    "events.clear_task_log": Entry(events.clear_task_log, events_wire.ClearTaskLog),
    "events.debug_images": Entry(
        event_samples.debug_images,
        events_wire.SamplesByIteration,
        (2, 7),
        before=Entry(event_samples.debug_images_of_task, events_wire.ImagesOfTask),
    ),
    "events.delete_for_model": Entry(events.delete_for_model, events_wire.DeleteForModel),
    "events.delete_for_task": Entry(events.delete_for_task, events_wire.DeleteForTask),
    "events.download_task_log": Entry(events.download_task_log, events_wire.DownloadTaskLog),
    "events.get_debug_image_sample": Entry(
        event_samples.get_debug_image_sample, events_wire.GetDebugImageSample, (2, 12)
    ),
    "events.get_multi_task_metrics": Entry(events.get_multi_task_metrics, events_wire.GetTaskMetrics),
    # Of the forms that these plots had before 1.8 nothing is written anywhere: whoever asks for them gets the present ones.
    "events.get_multi_task_plots": Entry(event_samples.get_multi_task_plots, events_wire.GetMultiTaskPlots),
    "events.get_plot_sample": Entry(event_samples.get_plot_sample, events_wire.GetPlotSample),
    "events.get_scalar_metric_data": Entry(events.get_scalar_metric_data, events_wire.GetScalarMetricData),
    "events.get_scalar_metrics_and_variants": Entry(events.get_scalar_metrics_and_variants, events_wire.OfTask),
    "events.get_task_events": Entry(events.get_task_events, events_wire.GetTaskEvents),
    "events.get_task_latest_scalar_values": Entry(events.get_task_latest_scalar_values, events_wire.OfTask),
    "events.get_task_log": Entry(
        events.get_task_log,
        events_wire.GetTaskLog,
        (2, 9),
        before=Entry(events.scroll_task_log, events_wire.ScrollTaskLog),
    ),
    "events.get_task_metrics": Entry(events.get_task_metrics, events_wire.GetTaskMetrics),
    "events.get_task_plots": Entry(event_samples.get_task_plots, events_wire.GetTaskPlots),
    "events.get_task_single_value_metrics": Entry(
        events.get_task_single_value_metrics, events_wire.GetTaskSingleValueMetrics, (1, 0)
    ),
    "events.get_vector_metrics_and_variants": Entry(events.get_vector_metrics_and_variants, events_wire.OfTask),
    "events.multi_task_scalar_metrics_iter_histogram": Entry(
        events.multi_task_scalar_metrics_iter_histogram, events_wire.MultiTaskScalarHistogram, (1, 0)
    ),
    "events.next_debug_image_sample": Entry(event_samples.next_debug_image_sample, events_wire.NextSample, (2, 12)),
    "events.next_plot_sample": Entry(event_samples.next_plot_sample, events_wire.NextSample),
    "events.plots": Entry(event_samples.plots, events_wire.SamplesByIteration),
    "events.scalar_metrics_iter_histogram": Entry(
        events.scalar_metrics_iter_histogram, events_wire.ScalarHistogram, (1, 0)
    ),
    "events.scalar_metrics_iter_raw": Entry(events.scalar_metrics_iter_raw, events_wire.ScalarRaw, (2, 16)),
    "events.vector_metrics_iter_histogram": Entry(
        events.vector_metrics_iter_histogram, events_wire.VectorHistogram, (1, 0)
    ),
    "login.logout": Entry(auth.logout, Empty, (2, 13), login=None),
    "login.supported_modes": Entry(about.supported_modes, Empty, login=None),
    "models.add_or_update_metadata": Entry(models.add_or_update_metadata, models_wire.AddOrUpdateMetadata, (2, 13)),
    "models.archive_many": Entry(many.archive_models, batches_wire.Ids),
    "models.create": Entry(models.create, models_wire.Create),
    "models.delete": Entry(models.delete, models_wire.Delete),
    "models.delete_many": Entry(many.delete_models, models_wire.DeleteMany),
    "models.delete_metadata": Entry(models.delete_metadata, models_wire.DeleteMetadata, (2, 13)),
    "models.edit": Entry(models.edit, models_wire.Edit),
    "models.get_all": Entry(models.get_all, models_wire.GetAll),
    "models.get_all_ex": Entry(models.get_all_ex, models_wire.GetAllEx),
    "models.get_by_id": Entry(models.get_by_id, models_wire.GetById),
    "models.get_by_id_ex": Entry(models.get_all_ex, models_wire.GetAllEx),
    "models.get_by_task_id": Entry(models.get_by_task_id, models_wire.GetByTaskId),
    "models.get_frameworks": Entry(models.get_frameworks, batches_wire.OfProjects),
    "models.make_private": Entry(filing.make_private(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.make_public": Entry(filing.make_public(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.move": Entry(filing.move(filing.of_models), batches_wire.Move),
    "models.publish_many": Entry(many.publish_models, models_wire.PublishMany),
    "models.set_ready": Entry(models.set_ready, models_wire.SetReady),
    "models.unarchive_many": Entry(many.unarchive_models, batches_wire.Ids),
    "models.update": Entry(models.edit, models_wire.Update),
    "models.update_for_task": Entry(models.update_for_task, models_wire.UpdateForTask),
    "models.update_tags": Entry(filing.update_tags(filing.of_models), batches_wire.UpdateTags),
    "organization.download_for_get_all": Entry(organization.download_for_get_all, organization_wire.Download),
    "organization.get_entities_count": Entry(
        organization.get_entities_count, organization_wire.GetEntitiesCount, (1, 0)
    ),
    "organization.get_tags": Entry(organization.get_tags, organization_wire.GetTags),
    "organization.get_user_companies": Entry(organization.get_user_companies, Empty),
    "organization.prepare_download_for_get_all": Entry(
        organization.prepare_download_for_get_all, organization_wire.PrepareDownload, (1, 0)
    ),
    "pipelines.delete_runs": Entry(pipelines.delete_runs, pipelines_wire.DeleteRuns),
    "pipelines.start_pipeline": Entry(pipelines.start_pipeline, pipelines_wire.StartPipeline),
    "projects.create": Entry(projects.create, projects_wire.Create),
    "projects.delete": Entry(projects.delete, projects_wire.Delete),
    "projects.get_all": Entry(projects.get_all, projects_wire.GetAll),
    "projects.get_all_ex": Entry(projects.get_all_ex, projects_wire.GetAllEx),
    "projects.get_by_id": Entry(projects.get_by_id, projects_wire.GetById),
    "projects.get_hyper_parameters": Entry(facets.get_hyper_parameters, projects_wire.GetNames, (2, 9)),
    "projects.get_hyperparam_values": Entry(facets.get_hyperparam_values, projects_wire.GetHyperparamValues, (2, 13)),
    "projects.get_model_metadata_keys": Entry(facets.get_model_metadata_keys, projects_wire.GetNames),
    "projects.get_model_metadata_values": Entry(
        facets.get_model_metadata_values, projects_wire.GetModelMetadataValues, (1, 0)
    ),
    "projects.get_model_tags": Entry(facets.get_model_tags, projects_wire.GetTags, (2, 8)),
    "projects.get_project_tags": Entry(facets.get_project_tags, projects_wire.GetTags),
    "projects.get_task_parents": Entry(facets.get_task_parents, projects_wire.GetTaskParents, (2, 12)),
    "projects.get_task_tags": Entry(facets.get_task_tags, projects_wire.GetTags, (2, 8)),
    "projects.get_unique_metric_variants": Entry(
        facets.get_unique_metric_variants, projects_wire.GetUniqueMetricVariants, (1, 0)
    ),
    "projects.get_user_names": Entry(facets.get_user_names, projects_wire.GetUserNames),
    "projects.make_private": Entry(projects.make_private, batches_wire.SomeIds, (2, 9)),
    "projects.make_public": Entry(projects.make_public, batches_wire.SomeIds, (2, 9)),
    "projects.merge": Entry(projects.merge, projects_wire.Merge),
    "projects.move": Entry(projects.move, projects_wire.Move),
    "projects.update": Entry(projects.update, projects_wire.Update),
    "projects.validate_delete": Entry(projects.validate_delete, projects_wire.GetById),
    "queues.add_or_update_metadata": Entry(queues.add_or_update_metadata, queues_wire.AddOrUpdateMetadata, (2, 13)),
    "queues.add_task": Entry(queues.add_task, queues_wire.AddTask, (2, 4)),
    "queues.clear_queue": Entry(queues.clear_queue, queues_wire.QueueId),
    "queues.create": Entry(queues.create, queues_wire.Create, (2, 4)),
    "queues.delete": Entry(queues.delete, queues_wire.Delete, (2, 4)),
    "queues.delete_metadata": Entry(queues.delete_metadata, queues_wire.DeleteMetadata, (2, 13)),
    "queues.get_all": Entry(queues.get_all, queues_wire.GetAll, (2, 4)),
    "queues.get_all_ex": Entry(queues.get_all_ex, queues_wire.GetAll, (2, 4)),
    "queues.get_by_id": Entry(queues.get_by_id, queues_wire.GetById, (2, 4)),
    "queues.get_default": Entry(queues.get_default, Empty, (2, 4)),
    "queues.get_next_task": Entry(queues.get_next_task, queues_wire.GetNextTask),
    "queues.get_num_entries": Entry(queues.get_num_entries, queues_wire.QueueId, (2, 15)),
    "queues.get_queue_metrics": Entry(queues.get_queue_metrics, queues_wire.GetQueueMetrics, (2, 4)),
    "queues.move_task_backward": Entry(queues.move_task_backward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_forward": Entry(queues.move_task_forward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_to_back": Entry(queues.move_task_to_back, queues_wire.Move, (2, 4)),
    "queues.move_task_to_front": Entry(queues.move_task_to_front, queues_wire.Move, (2, 4)),
    "queues.peek_task": Entry(queues.peek_task, queues_wire.QueueId, (2, 15)),
    "queues.remove_task": Entry(queues.remove_task, queues_wire.RemoveTask, (2, 4)),
    "queues.update": Entry(queues.update, queues_wire.Update, (2, 4)),
    "reports.archive": Entry(reports.archive, reports_wire.Commented),
    "reports.create": Entry(reports.create, reports_wire.Create),
    "reports.delete": Entry(reports.delete, reports_wire.Delete),
    "reports.get_all_ex": Entry(reports.get_all_ex, reports_wire.GetAllEx),
    "reports.get_tags": Entry(reports.get_tags, Empty),
    "reports.get_task_data": Entry(reports.get_task_data, reports_wire.GetTaskData),
    "reports.move": Entry(reports.move, reports_wire.Move),
    "reports.publish": Entry(reports.publish, reports_wire.Commented),
    "reports.unarchive": Entry(reports.unarchive, reports_wire.Commented),
    "reports.update": Entry(reports.update, reports_wire.Update),
    "server.config": Entry(about.config, server_wire.Config, roles=_ROOT),
    "server.endpoints": Entry(lambda call, request: _described(), Empty, roles=_ROOT),
    "server.get_stats": Entry(about.get_stats, server_wire.GetStats, roles=_ROOT),
    "server.info": Entry(about.info, Empty, login=False),
    "server.report_stats_option": Entry(about.report_stats_option, server_wire.ReportStatsOption),
    "serving.container_status_report": Entry(
        serving.container_status_report, serving_wire.ContainerStatusReport, (1, 0)
    ),
    "serving.get_endpoint_details": Entry(serving.get_endpoint_details, serving_wire.GetEndpointDetails),
    "serving.get_endpoint_metrics_history": Entry(
        serving.get_endpoint_metrics_history, serving_wire.GetEndpointMetricsHistory, (1, 0)
    ),
    "serving.get_endpoints": Entry(serving.get_endpoints, Empty),
    "serving.get_loading_instances": Entry(serving.get_loading_instances, Empty),
    "serving.register_container": Entry(serving.register_container, serving_wire.RegisterContainer),
    "serving.unregister_container": Entry(serving.unregister_container, serving_wire.UnregisterContainer),
    "storage.get_settings": Entry(storage.get_settings, Empty),
    "storage.reset_settings": Entry(storage.reset_settings, storage_wire.ResetSettings),
    "storage.set_settings": Entry(storage.set_settings, storage_wire.SetSettings),
    "tasks.add_or_update_artifacts": Entry(tasks.add_or_update_artifacts, tasks_wire.AddOrUpdateArtifacts, (2, 10)),
    "tasks.add_or_update_model": Entry(tasks.add_or_update_model, tasks_wire.AddOrUpdateModel, (2, 13)),
    "tasks.archive": Entry(tasks.archive, tasks_wire.Archive),
    "tasks.archive_many": Entry(many.archive_tasks, tasks_wire.ArchiveMany),
    "tasks.clone": Entry(tasks.clone, tasks_wire.Clone),
    "tasks.close": Entry(tasks.close, tasks_wire.ChangeStatus),
    "tasks.completed": Entry(tasks.completed, tasks_wire.Completed, (2, 2)),
    "tasks.create": Entry(tasks.create, tasks_wire.Create),
    "tasks.delete": Entry(tasks.delete, tasks_wire.Delete),
    "tasks.delete_artifacts": Entry(tasks.delete_artifacts, tasks_wire.DeleteArtifacts, (2, 10)),
    "tasks.delete_configuration": Entry(tasks.delete_configuration, tasks_wire.DeleteConfiguration),
    "tasks.delete_hyper_params": Entry(tasks.delete_hyper_params, tasks_wire.DeleteHyperParams),
    "tasks.delete_many": Entry(many.delete_tasks, tasks_wire.DeleteMany),
    "tasks.delete_models": Entry(tasks.delete_models, tasks_wire.DeleteModels, (2, 13)),
    "tasks.dequeue": Entry(task_queueing.dequeue, task_queueing_wire.Dequeue),
    "tasks.dequeue_many": Entry(task_queueing.dequeue_many, task_queueing_wire.DequeueMany),
    "tasks.edit": Entry(tasks.edit, tasks_wire.Edit),
    "tasks.edit_configuration": Entry(tasks.edit_configuration, tasks_wire.EditConfiguration),
    "tasks.edit_hyper_params": Entry(tasks.edit_hyper_params, tasks_wire.EditHyperParams),
    "tasks.enqueue": Entry(task_queueing.enqueue, task_queueing_wire.Enqueue),
    "tasks.enqueue_many": Entry(task_queueing.enqueue_many, task_queueing_wire.EnqueueMany),
    "tasks.failed": Entry(tasks.failed, tasks_wire.ChangeStatus),
    "tasks.get_all": Entry(tasks.get_all, tasks_wire.GetAll),
    "tasks.get_all_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx),
    "tasks.get_by_id": Entry(tasks.get_by_id, tasks_wire.GetById),
    "tasks.get_by_id_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx),
    "tasks.get_configuration_names": Entry(tasks.get_configuration_names, tasks_wire.GetConfigurationNames),
    "tasks.get_configurations": Entry(tasks.get_configurations, tasks_wire.GetConfigurations),
    "tasks.get_hyper_params": Entry(tasks.get_hyper_params, tasks_wire.GetHyperParams),
    "tasks.get_types": Entry(tasks.get_types, batches_wire.OfProjects),
    "tasks.make_private": Entry(filing.make_private(filing.of_tasks), batches_wire.SomeIds, (2, 9)),
    "tasks.make_public": Entry(filing.make_public(filing.of_tasks), batches_wire.SomeIds, (2, 9)),
    "tasks.move": Entry(filing.move(filing.of_tasks), batches_wire.Move),
    "tasks.ping": Entry(tasks.ping, tasks_wire.Ping),
    "tasks.publish": Entry(tasks.publish, tasks_wire.Publish),
    "tasks.publish_many": Entry(many.publish_tasks, tasks_wire.PublishMany),
    "tasks.reset": Entry(tasks.reset, tasks_wire.Reset),
    "tasks.reset_many": Entry(many.reset_tasks, tasks_wire.ResetMany),
    "tasks.set_requirements": Entry(tasks.set_requirements, tasks_wire.SetRequirements),
    "tasks.started": Entry(tasks.started, tasks_wire.ChangeStatus),
    "tasks.stop": Entry(tasks.stop, tasks_wire.Stop),
    "tasks.stop_many": Entry(many.stop_tasks, tasks_wire.StopMany),
    "tasks.stopped": Entry(tasks.stopped, tasks_wire.ChangeStatus),
    "tasks.unarchive_many": Entry(many.unarchive_tasks, tasks_wire.ArchiveMany),
    "tasks.update": Entry(tasks.update, tasks_wire.Update),
    "tasks.update_batch": Entry(tasks.update_batch, Empty, batch=True),
    "tasks.update_tags": Entry(filing.update_tags(filing.of_tasks), batches_wire.UpdateTags),
    "tasks.validate": Entry(tasks.validate, tasks_wire.Create),
    "users.create": Entry(users.create, users_wire.Create, roles=_ROOT),
    "users.delete": Entry(users.delete, users_wire.Delete, roles=_ROOT),
    "users.get_all": Entry(users.get_all, users_wire.GetAll),
    "users.get_all_ex": Entry(users.get_all, users_wire.GetAllEx),
    "users.get_by_id": Entry(users.get_by_id, users_wire.GetById),
    "users.get_current_user": Entry(users.get_current_user, Empty),
    "users.get_preferences": Entry(users.get_preferences, Empty),
    "users.set_preferences": Entry(users.set_preferences, users_wire.SetPreferences),
    "users.update": Entry(users.update, users_wire.Update),
    "workers.get_activity_report": Entry(workers.get_activity_report, workers_wire.GetActivityReport, (2, 4)),
    "workers.get_all": Entry(workers.get_all, workers_wire.GetAll, (2, 4)),
    "workers.get_count": Entry(workers.get_count, workers_wire.GetCount),
    "workers.get_metric_keys": Entry(workers.get_metric_keys, workers_wire.GetMetricKeys, (2, 4)),
    "workers.get_stats": Entry(workers.get_stats, workers_wire.GetStats, (2, 4)),
    "workers.register": Entry(workers.register, workers_wire.Register, (2, 4)),
    "workers.status_report": Entry(workers.status_report, workers_wire.StatusReport, (2, 4)),
    "workers.unregister": Entry(workers.unregister, workers_wire.Unregister, (2, 4)),
}


def served(name: str, asked: tuple[int, int]) -> Entry | None:
    """What answers a call of that version; None when nothing does. Raises KeyError for a name that is in no version."""
    entry: Entry | None = ENDPOINTS[name]
    while entry is not None and asked < entry.since:
        entry = entry.before
    return entry


def first_version(entry: Entry) -> tuple[int, int]:
    """The oldest version that anything answers."""
    return first_version(entry.before) if entry.before else entry.since


def _described() -> dict[str, Any]:
    """The table as data."""
    return {
        "endpoints": {
            name: {
                "since": text(first_version(entry)),
                "login": entry.login is True,
                "roles": [role.value for role in Role if role in entry.roles],
            }
            for name, entry in ENDPOINTS.items()
        }
    }
