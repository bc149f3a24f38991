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


class Entry(NamedTuple):
    """handler(call, request) -> data. request: the struct the arguments are decoded into. since: first version that has it.

    login: whether the caller must be known; None: may be. batch: the body is lines of JSON that the handler decodes itself.
    roles: who may call it, where a login is needed.
    """

    handler: Callable[[Any, Any], Any]
    request: type
    since: tuple[int, int]
    login: bool | None = True
    batch: bool = False
    roles: frozenset[Role] = frozenset(Role)


_ROOT = frozenset({Role.SYSTEM, Role.ROOT})
_ADMINS = _ROOT | {Role.ADMIN}


ENDPOINTS: dict[str, Entry] = {
    "auth.create_credentials": Entry(auth.create_credentials, auth_wire.CreateCredentials, (2, 1)),
    "auth.create_user": Entry(auth.create_user, auth_wire.CreateUser, (2, 1), roles=_ROOT),
    "auth.edit_credentials": Entry(auth.edit_credentials, auth_wire.EditCredentials, (2, 19)),
    "auth.edit_user": Entry(auth.edit_user, auth_wire.EditUser, (2, 1), roles=_ADMINS),
    "auth.fixed_users_mode": Entry(auth.fixed_users_mode, Empty, (2, 1), login=False),
    "auth.get_credentials": Entry(auth.get_credentials, Empty, (2, 1)),
    "auth.get_token_for_user": Entry(auth.get_token_for_user, auth_wire.GetTokenForUser, (2, 1), roles=_ROOT),
    "auth.login": Entry(auth.login, auth_wire.Login, (2, 1)),
    "auth.logout": Entry(auth.logout, Empty, (2, 2)),
    "auth.revoke_credentials": Entry(auth.revoke_credentials, auth_wire.RevokeCredentials, (2, 1)),
    "auth.validate_token": Entry(auth.validate_token, auth_wire.ValidateToken, (2, 1), roles=_ROOT),
    "debug.ping": Entry(about.ping, Empty, (1, 0), login=False),
    "events.add": Entry(events.add, Empty, (2, 1)),
    "events.add_batch": Entry(events.add_batch, Empty, (2, 1), batch=True),
    "events.clear_scroll": Entry(events.clear_scroll, events_wire.ClearScroll, (2, 18)),
    "events.clear_task_log": Entry(events.clear_task_log, events_wire.ClearTaskLog, (2, 19)),
    "events.debug_images": Entry(event_samples.debug_images, events_wire.SamplesByIteration, (2, 7)),
    "events.delete_for_model": Entry(events.delete_for_model, events_wire.OfModel, (2, 22)),
    "events.delete_for_task": Entry(events.delete_for_task, events_wire.OfTask, (2, 1)),
    "events.download_task_log": Entry(events.download_task_log, events_wire.DownloadTaskLog, (2, 1)),
    "events.get_debug_image_sample": Entry(
        event_samples.get_debug_image_sample, events_wire.GetDebugImageSample, (2, 12)
    ),
    "events.get_multi_task_metrics": Entry(events.get_multi_task_metrics, events_wire.GetTaskMetrics, (2, 28)),
    "events.get_multi_task_plots": Entry(event_samples.get_multi_task_plots, events_wire.GetMultiTaskPlots, (2, 1)),
    "events.get_plot_sample": Entry(event_samples.get_plot_sample, events_wire.GetPlotSample, (2, 20)),
    "events.get_scalar_metric_data": Entry(events.get_scalar_metric_data, events_wire.GetScalarMetricData, (2, 1)),
    "events.get_scalar_metrics_and_variants": Entry(events.get_scalar_metrics_and_variants, events_wire.OfTask, (2, 1)),
    "events.get_task_events": Entry(events.get_task_events, events_wire.GetTaskEvents, (2, 1)),
    "events.get_task_latest_scalar_values": Entry(events.get_task_latest_scalar_values, events_wire.OfTask, (2, 1)),
    "events.get_task_log": Entry(events.get_task_log, events_wire.GetTaskLog, (2, 9)),
    "events.get_task_metrics": Entry(events.get_task_metrics, events_wire.GetTaskMetrics, (2, 7)),
    "events.get_task_plots": Entry(event_samples.get_task_plots, events_wire.GetTaskPlots, (1, 8)),
    "events.get_task_single_value_metrics": Entry(
        events.get_task_single_value_metrics, events_wire.GetTaskSingleValueMetrics, (2, 20)
    ),
    "events.get_vector_metrics_and_variants": Entry(events.get_vector_metrics_and_variants, events_wire.OfTask, (2, 1)),
    "events.multi_task_scalar_metrics_iter_histogram": Entry(
        events.multi_task_scalar_metrics_iter_histogram, events_wire.MultiTaskScalarHistogram, (2, 1)
    ),
    "events.next_debug_image_sample": Entry(event_samples.next_debug_image_sample, events_wire.NextSample, (2, 12)),
    "events.next_plot_sample": Entry(event_samples.next_plot_sample, events_wire.NextSample, (2, 20)),
    "events.plots": Entry(event_samples.plots, events_wire.SamplesByIteration, (2, 20)),
    "events.scalar_metrics_iter_histogram": Entry(
        events.scalar_metrics_iter_histogram, events_wire.ScalarHistogram, (2, 1)
    ),
    "events.scalar_metrics_iter_raw": Entry(events.scalar_metrics_iter_raw, events_wire.ScalarRaw, (2, 16)),
    "events.vector_metrics_iter_histogram": Entry(
        events.vector_metrics_iter_histogram, events_wire.VectorHistogram, (2, 1)
    ),
    "login.logout": Entry(auth.logout, Empty, (2, 13), login=None),
    "login.supported_modes": Entry(about.supported_modes, Empty, (2, 9), login=None),
    "models.add_or_update_metadata": Entry(models.add_or_update_metadata, models_wire.AddOrUpdateMetadata, (2, 13)),
    "models.archive_many": Entry(many.archive_models, batches_wire.Ids, (2, 13)),
    "models.create": Entry(models.create, models_wire.Create, (2, 1)),
    "models.delete": Entry(models.delete, models_wire.Delete, (2, 1)),
    "models.delete_many": Entry(many.delete_models, models_wire.DeleteMany, (2, 13)),
    "models.delete_metadata": Entry(models.delete_metadata, models_wire.DeleteMetadata, (2, 13)),
    "models.edit": Entry(models.edit, models_wire.Edit, (2, 1)),
    "models.get_all": Entry(models.get_all, models_wire.GetAll, (2, 1)),
    "models.get_all_ex": Entry(models.get_all_ex, models_wire.GetAllEx, (2, 1)),
    "models.get_by_id": Entry(models.get_by_id, models_wire.GetById, (2, 1)),
    "models.get_by_id_ex": Entry(models.get_all_ex, models_wire.GetAllEx, (2, 11)),
    "models.get_by_task_id": Entry(models.get_by_task_id, models_wire.GetByTaskId, (2, 1)),
    "models.get_frameworks": Entry(models.get_frameworks, batches_wire.OfProjects, (2, 8)),
    "models.make_private": Entry(filing.make_private(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.make_public": Entry(filing.make_public(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.move": Entry(filing.move(filing.of_models), batches_wire.Move, (2, 12)),
    "models.publish_many": Entry(many.publish_models, models_wire.PublishMany, (2, 13)),
    "models.set_ready": Entry(models.set_ready, models_wire.SetReady, (2, 1)),
    "models.unarchive_many": Entry(many.unarchive_models, batches_wire.Ids, (2, 13)),
    "models.update": Entry(models.edit, models_wire.Update, (2, 1)),
    "models.update_for_task": Entry(models.update_for_task, models_wire.UpdateForTask, (2, 1)),
    "models.update_tags": Entry(filing.update_tags(filing.of_models), batches_wire.UpdateTags, (2, 27)),
    "organization.download_for_get_all": Entry(organization.download_for_get_all, organization_wire.Download, (2, 26)),
    "organization.get_entities_count": Entry(
        organization.get_entities_count, organization_wire.GetEntitiesCount, (2, 20)
    ),
    "organization.get_tags": Entry(organization.get_tags, organization_wire.GetTags, (2, 8)),
    "organization.get_user_companies": Entry(organization.get_user_companies, Empty, (2, 12)),
    "organization.prepare_download_for_get_all": Entry(
        organization.prepare_download_for_get_all, organization_wire.PrepareDownload, (2, 26)
    ),
    "pipelines.delete_runs": Entry(pipelines.delete_runs, pipelines_wire.DeleteRuns, (2, 26)),
    "pipelines.start_pipeline": Entry(pipelines.start_pipeline, pipelines_wire.StartPipeline, (2, 17)),
    "projects.create": Entry(projects.create, projects_wire.Create, (2, 1)),
    "projects.delete": Entry(projects.delete, projects_wire.Delete, (2, 1)),
    "projects.get_all": Entry(projects.get_all, projects_wire.GetAll, (2, 1)),
    "projects.get_all_ex": Entry(projects.get_all_ex, projects_wire.GetAllEx, (2, 1)),
    "projects.get_by_id": Entry(projects.get_by_id, projects_wire.GetById, (2, 1)),
    "projects.get_hyper_parameters": Entry(facets.get_hyper_parameters, projects_wire.GetNames, (2, 9)),
    "projects.get_hyperparam_values": Entry(facets.get_hyperparam_values, projects_wire.GetHyperparamValues, (2, 13)),
    "projects.get_model_metadata_keys": Entry(facets.get_model_metadata_keys, projects_wire.GetNames, (2, 17)),
    "projects.get_model_metadata_values": Entry(
        facets.get_model_metadata_values, projects_wire.GetModelMetadataValues, (2, 17)
    ),
    "projects.get_model_tags": Entry(facets.get_model_tags, projects_wire.GetTags, (2, 8)),
    "projects.get_project_tags": Entry(facets.get_project_tags, projects_wire.GetTags, (2, 17)),
    "projects.get_task_parents": Entry(facets.get_task_parents, projects_wire.GetTaskParents, (2, 12)),
    "projects.get_task_tags": Entry(facets.get_task_tags, projects_wire.GetTags, (2, 8)),
    "projects.get_unique_metric_variants": Entry(
        facets.get_unique_metric_variants, projects_wire.GetUniqueMetricVariants, (2, 1)
    ),
    "projects.get_user_names": Entry(facets.get_user_names, projects_wire.GetUserNames, (2, 26)),
    "projects.make_private": Entry(projects.make_private, projects_wire.Ids, (2, 9)),
    "projects.make_public": Entry(projects.make_public, projects_wire.Ids, (2, 9)),
    "projects.merge": Entry(projects.merge, projects_wire.Merge, (2, 13)),
    "projects.move": Entry(projects.move, projects_wire.Move, (2, 13)),
    "projects.update": Entry(projects.update, projects_wire.Update, (2, 1)),
    "projects.validate_delete": Entry(projects.validate_delete, projects_wire.GetById, (2, 14)),
    "queues.add_or_update_metadata": Entry(queues.add_or_update_metadata, queues_wire.AddOrUpdateMetadata, (2, 13)),
    "queues.add_task": Entry(queues.add_task, queues_wire.AddTask, (2, 4)),
    "queues.clear_queue": Entry(queues.clear_queue, queues_wire.QueueId, (1, 0)),
    "queues.create": Entry(queues.create, queues_wire.Create, (2, 4)),
    "queues.delete": Entry(queues.delete, queues_wire.Delete, (2, 4)),
    "queues.delete_metadata": Entry(queues.delete_metadata, queues_wire.DeleteMetadata, (2, 13)),
    "queues.get_all": Entry(queues.get_all, queues_wire.GetAll, (2, 4)),
    "queues.get_all_ex": Entry(queues.get_all_ex, queues_wire.GetAll, (2, 4)),
    "queues.get_by_id": Entry(queues.get_by_id, queues_wire.GetById, (2, 4)),
    "queues.get_default": Entry(queues.get_default, Empty, (2, 4)),
    "queues.get_next_task": Entry(queues.get_next_task, queues_wire.GetNextTask, (1, 0)),
    "queues.get_num_entries": Entry(queues.get_num_entries, queues_wire.QueueId, (2, 15)),
    "queues.get_queue_metrics": Entry(queues.get_queue_metrics, queues_wire.GetQueueMetrics, (2, 4)),
    "queues.move_task_backward": Entry(queues.move_task_backward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_forward": Entry(queues.move_task_forward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_to_back": Entry(queues.move_task_to_back, queues_wire.Move, (2, 4)),
    "queues.move_task_to_front": Entry(queues.move_task_to_front, queues_wire.Move, (2, 4)),
    "queues.peek_task": Entry(queues.peek_task, queues_wire.QueueId, (2, 15)),
    "queues.remove_task": Entry(queues.remove_task, queues_wire.RemoveTask, (2, 4)),
    "queues.update": Entry(queues.update, queues_wire.Update, (2, 4)),
    "reports.archive": Entry(reports.archive, reports_wire.Commented, (2, 23)),
    "reports.create": Entry(reports.create, reports_wire.Create, (2, 23)),
    "reports.delete": Entry(reports.delete, reports_wire.Delete, (2, 23)),
    "reports.get_all_ex": Entry(reports.get_all_ex, reports_wire.GetAllEx, (2, 23)),
    "reports.get_tags": Entry(reports.get_tags, Empty, (2, 23)),
    "reports.get_task_data": Entry(reports.get_task_data, reports_wire.GetTaskData, (2, 23)),
    "reports.move": Entry(reports.move, reports_wire.Move, (2, 23)),
    "reports.publish": Entry(reports.publish, reports_wire.Commented, (2, 23)),
    "reports.unarchive": Entry(reports.unarchive, reports_wire.Commented, (2, 23)),
    "reports.update": Entry(reports.update, reports_wire.Update, (2, 23)),
    "server.config": Entry(about.config, server_wire.Config, (2, 1), roles=_ROOT),
    "server.endpoints": Entry(lambda call, request: _described(), Empty, (2, 1), roles=_ROOT),
    "server.get_stats": Entry(about.get_stats, server_wire.GetStats, (2, 1), roles=_ROOT),
    "server.info": Entry(about.info, Empty, (2, 1), login=False),
    "server.report_stats_option": Entry(about.report_stats_option, server_wire.ReportStatsOption, (2, 4)),
    "serving.container_status_report": Entry(
        serving.container_status_report, serving_wire.ContainerStatusReport, (2, 31)
    ),
    "serving.get_endpoint_details": Entry(serving.get_endpoint_details, serving_wire.GetEndpointDetails, (2, 31)),
    "serving.get_endpoint_metrics_history": Entry(
        serving.get_endpoint_metrics_history, serving_wire.GetEndpointMetricsHistory, (2, 31)
    ),
    "serving.get_endpoints": Entry(serving.get_endpoints, Empty, (2, 31)),
    "serving.get_loading_instances": Entry(serving.get_loading_instances, Empty, (2, 31)),
    "serving.register_container": Entry(serving.register_container, serving_wire.RegisterContainer, (2, 31)),
    "serving.unregister_container": Entry(serving.unregister_container, serving_wire.UnregisterContainer, (2, 31)),
    "storage.get_settings": Entry(storage.get_settings, Empty, (2, 22)),
    "storage.reset_settings": Entry(storage.reset_settings, storage_wire.ResetSettings, (2, 31)),
    "storage.set_settings": Entry(storage.set_settings, storage_wire.SetSettings, (2, 31)),
    "tasks.add_or_update_artifacts": Entry(tasks.add_or_update_artifacts, tasks_wire.AddOrUpdateArtifacts, (2, 10)),
    "tasks.add_or_update_model": Entry(tasks.add_or_update_model, tasks_wire.AddOrUpdateModel, (2, 13)),
    "tasks.archive": Entry(tasks.archive, tasks_wire.Archive, (2, 12)),
    "tasks.archive_many": Entry(many.archive_tasks, tasks_wire.ArchiveMany, (2, 13)),
    "tasks.clone": Entry(tasks.clone, tasks_wire.Clone, (2, 5)),
    "tasks.close": Entry(tasks.close, tasks_wire.ChangeStatus, (2, 1)),
    "tasks.completed": Entry(tasks.completed, tasks_wire.Completed, (2, 2)),
    "tasks.create": Entry(tasks.create, tasks_wire.Create, (2, 1)),
    "tasks.delete": Entry(tasks.delete, tasks_wire.Delete, (2, 1)),
    "tasks.delete_artifacts": Entry(tasks.delete_artifacts, tasks_wire.DeleteArtifacts, (2, 10)),
    "tasks.delete_configuration": Entry(tasks.delete_configuration, tasks_wire.DeleteConfiguration, (2, 9)),
    "tasks.delete_hyper_params": Entry(tasks.delete_hyper_params, tasks_wire.DeleteHyperParams, (2, 9)),
    "tasks.delete_many": Entry(many.delete_tasks, tasks_wire.DeleteMany, (2, 13)),
    "tasks.delete_models": Entry(tasks.delete_models, tasks_wire.DeleteModels, (2, 13)),
    "tasks.dequeue": Entry(task_queueing.dequeue, task_queueing_wire.Dequeue, (1, 5)),
    "tasks.dequeue_many": Entry(task_queueing.dequeue_many, task_queueing_wire.DequeueMany, (2, 13)),
    "tasks.edit": Entry(tasks.edit, tasks_wire.Edit, (2, 1)),
    "tasks.edit_configuration": Entry(tasks.edit_configuration, tasks_wire.EditConfiguration, (2, 9)),
    "tasks.edit_hyper_params": Entry(tasks.edit_hyper_params, tasks_wire.EditHyperParams, (2, 9)),
    "tasks.enqueue": Entry(task_queueing.enqueue, task_queueing_wire.Enqueue, (1, 5)),
    "tasks.enqueue_many": Entry(task_queueing.enqueue_many, task_queueing_wire.EnqueueMany, (2, 13)),
    "tasks.failed": Entry(tasks.failed, tasks_wire.ChangeStatus, (2, 1)),
    "tasks.get_all": Entry(tasks.get_all, tasks_wire.GetAll, (2, 1)),
    "tasks.get_all_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx, (2, 1)),
    "tasks.get_by_id": Entry(tasks.get_by_id, tasks_wire.GetById, (2, 1)),
    "tasks.get_by_id_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx, (2, 11)),
    "tasks.get_configuration_names": Entry(tasks.get_configuration_names, tasks_wire.GetConfigurationNames, (2, 9)),
    "tasks.get_configurations": Entry(tasks.get_configurations, tasks_wire.GetConfigurations, (2, 9)),
    "tasks.get_hyper_params": Entry(tasks.get_hyper_params, tasks_wire.GetHyperParams, (2, 9)),
    "tasks.get_types": Entry(tasks.get_types, batches_wire.OfProjects, (2, 8)),
    "tasks.make_private": Entry(filing.make_private(filing.of_tasks), batches_wire.SomeIds, (2, 9)),
    "tasks.make_public": Entry(filing.make_public(filing.of_tasks), batches_wire.SomeIds, (2, 9)),
    "tasks.move": Entry(filing.move(filing.of_tasks), batches_wire.Move, (2, 12)),
    "tasks.ping": Entry(tasks.ping, tasks_wire.Ping, (2, 1)),
    "tasks.publish": Entry(tasks.publish, tasks_wire.Publish, (2, 1)),
    "tasks.publish_many": Entry(many.publish_tasks, tasks_wire.PublishMany, (2, 13)),
    "tasks.reset": Entry(tasks.reset, tasks_wire.Reset, (2, 1)),
    "tasks.reset_many": Entry(many.reset_tasks, tasks_wire.ResetMany, (2, 13)),
    "tasks.set_requirements": Entry(tasks.set_requirements, tasks_wire.SetRequirements, (2, 1)),
    "tasks.started": Entry(tasks.started, tasks_wire.ChangeStatus, (2, 1)),
    "tasks.stop": Entry(tasks.stop, tasks_wire.Stop, (2, 1)),
    "tasks.stop_many": Entry(many.stop_tasks, tasks_wire.StopMany, (2, 13)),
    "tasks.stopped": Entry(tasks.stopped, tasks_wire.ChangeStatus, (2, 1)),
    "tasks.unarchive_many": Entry(many.unarchive_tasks, tasks_wire.ArchiveMany, (2, 13)),
    "tasks.update": Entry(tasks.update, tasks_wire.Update, (2, 1)),
    "tasks.update_batch": Entry(tasks.update_batch, Empty, (2, 1), batch=True),
    "tasks.update_tags": Entry(filing.update_tags(filing.of_tasks), batches_wire.UpdateTags, (2, 27)),
    "tasks.validate": Entry(tasks.validate, tasks_wire.Create, (2, 1)),
    "users.create": Entry(users.create, users_wire.Create, (2, 1), roles=_ROOT),
    "users.delete": Entry(users.delete, users_wire.Delete, (2, 1), roles=_ROOT),
    "users.get_all": Entry(users.get_all, users_wire.GetAll, (2, 1)),
    "users.get_all_ex": Entry(users.get_all, users_wire.GetAllEx, (2, 1)),
    "users.get_by_id": Entry(users.get_by_id, users_wire.GetById, (2, 1)),
    "users.get_current_user": Entry(users.get_current_user, Empty, (2, 1)),
    "users.get_preferences": Entry(users.get_preferences, Empty, (2, 1)),
    "users.set_preferences": Entry(users.set_preferences, users_wire.SetPreferences, (2, 1)),
    "users.update": Entry(users.update, users_wire.Update, (2, 1)),
    "workers.get_activity_report": Entry(workers.get_activity_report, workers_wire.GetActivityReport, (2, 4)),
    "workers.get_all": Entry(workers.get_all, workers_wire.GetAll, (2, 4)),
    "workers.get_count": Entry(workers.get_count, workers_wire.GetCount, (1, 0)),
    "workers.get_metric_keys": Entry(workers.get_metric_keys, workers_wire.GetMetricKeys, (2, 4)),
    "workers.get_stats": Entry(workers.get_stats, workers_wire.GetStats, (2, 4)),
    "workers.register": Entry(workers.register, workers_wire.Register, (2, 4)),
    "workers.status_report": Entry(workers.status_report, workers_wire.StatusReport, (2, 4)),
    "workers.unregister": Entry(workers.unregister, workers_wire.Unregister, (2, 4)),
}


def _described() -> dict[str, Any]:
    """The table as data."""
    return {
        "endpoints": {
            name: {
                "since": f"{entry.since[0]}.{entry.since[1]}",
                "login": entry.login is True,
                "roles": [role.value for role in Role if role in entry.roles],
            }
            for name, entry in ENDPOINTS.items()
        }
    }
