"""The endpoint table: `service.action` -> what answers it. Read top to bottom; nothing else registers an endpoint."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from trainshed.domain.identity import Role
from trainshed.transport.endpoints import (
    about,
    accounts,
    auth,
    event_samples,
    events,
    facets,
    files,
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
from trainshed.transport.wire import accounts as accounts_wire
from trainshed.transport.wire import auth as auth_wire
from trainshed.transport.wire import batches as batches_wire
from trainshed.transport.wire import events as events_wire
from trainshed.transport.wire import files as files_wire
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
_OURS = (2, 31)  # what the contract does not have: of its newest version


class Effect(Enum):
    """What a call does to what is stored: the less, the more may make it. A new endpoint changes something until it says so."""

    READS = "nothing: also a viewer may call it, and a browser's cookie alone proves who calls"
    OWN = "it changes the caller's own account: also a viewer may call it"
    CHANGES = "it changes what others see"


class Entry(NamedTuple):
    """handler(call, request) -> data. request: the struct the arguments are decoded into.

    since: the first version that it answers. before: what answers older ones, whose form is quite another.
    login: whether the caller must be known; None: may be. batch: the body is lines of JSON that the handler decodes itself.
    reports: it adds events; every other call is answered by documents that know of those before it.
    roles: who may call it, where a login is needed; of those, only allows() tells.
    """

    handler: Callable[[Any, Any], Any]
    request: type
    since: tuple[int, int] = _FIRST
    login: bool | None = True
    batch: bool = False
    reports: bool = False
    roles: frozenset[Role] = frozenset(Role)
    before: "Entry | None" = None
    effect: Effect = Effect.CHANGES

    def allows(self, role: Role) -> bool:
        """Whether somebody with this role may call it."""
        return role in self.roles and not (role.only_reads and self.effect is Effect.CHANGES)


_ROOT = frozenset({Role.SYSTEM, Role.ROOT})
_ADMINS = _ROOT | {Role.ADMIN}
_READS, _OWN = Effect.READS, Effect.OWN


ENDPOINTS: dict[str, Entry] = {
    "accounts.change_password": Entry(accounts.change_password, accounts_wire.ChangePassword, _OURS, effect=_OWN),
    "accounts.create": Entry(accounts.create, accounts_wire.Create, _OURS, roles=_ADMINS),
    "accounts.delete": Entry(accounts.delete, accounts_wire.OfUser, _OURS, roles=_ADMINS),
    "accounts.disable": Entry(accounts.disable, accounts_wire.OfUser, _OURS, roles=_ADMINS),
    "accounts.enable": Entry(accounts.enable, accounts_wire.OfUser, _OURS, roles=_ADMINS),
    "accounts.get_all": Entry(accounts.get_all, Empty, _OURS, roles=_ADMINS, effect=_READS),
    "accounts.get_credentials": Entry(
        accounts.get_credentials, accounts_wire.OfUser, _OURS, roles=_ADMINS, effect=_READS
    ),
    "accounts.get_modes": Entry(accounts.get_modes, Empty, _OURS, login=None, effect=_READS),
    "accounts.invite": Entry(accounts.invite, accounts_wire.Invite, _OURS, roles=_ADMINS),
    "accounts.login": Entry(accounts.login, accounts_wire.Login, _OURS, login=False),
    "accounts.login_by_name": Entry(accounts.login_by_name, accounts_wire.LoginByName, _OURS, login=False),
    "accounts.redeem": Entry(accounts.redeem, accounts_wire.Redeem, _OURS, login=False),
    "accounts.reset_password": Entry(accounts.reset_password, accounts_wire.OfUser, _OURS, roles=_ADMINS),
    "accounts.revoke_credentials": Entry(accounts.revoke_credentials, accounts_wire.RevokeKey, _OURS, roles=_ADMINS),
    "accounts.set_role": Entry(accounts.set_role, accounts_wire.SetRole, _OURS, roles=_ADMINS),
    "auth.create_credentials": Entry(auth.create_credentials, auth_wire.CreateCredentials, effect=_OWN),
    "auth.create_user": Entry(auth.create_user, auth_wire.CreateUser, roles=_ROOT),
    "auth.edit_credentials": Entry(auth.edit_credentials, auth_wire.EditCredentials, effect=_OWN),
    "auth.edit_user": Entry(auth.edit_user, auth_wire.EditUser, roles=_ADMINS),
    "auth.fixed_users_mode": Entry(auth.fixed_users_mode, Empty, login=False, effect=_READS),
    "auth.get_credentials": Entry(auth.get_credentials, Empty, effect=_READS),
    "auth.get_token_for_user": Entry(auth.get_token_for_user, auth_wire.GetTokenForUser, roles=_ROOT),
    "auth.login": Entry(auth.login, auth_wire.Login, effect=_READS),
    "auth.logout": Entry(auth.logout, Empty, (2, 2), effect=_OWN),
    "auth.revoke_credentials": Entry(auth.revoke_credentials, auth_wire.RevokeCredentials, effect=_OWN),
    "auth.validate_token": Entry(auth.validate_token, auth_wire.ValidateToken, roles=_ROOT, effect=_READS),
    "debug.ping": Entry(about.ping, Empty, login=False, effect=_READS),
    "events.add": Entry(events.add, events_wire.Add, reports=True),
    "events.add_batch": Entry(events.add_batch, Empty, batch=True, reports=True),
    "events.clear_scroll": Entry(events.clear_scroll, events_wire.ClearScroll, (2, 18), effect=_READS),
    "events.clear_task_log": Entry(events.clear_task_log, events_wire.ClearTaskLog),
    "events.debug_images": Entry(
        event_samples.debug_images,
        events_wire.SamplesByIteration,
        (2, 7),
        before=Entry(event_samples.debug_images_of_task, events_wire.ImagesOfTask, effect=_READS),
        effect=_READS,
    ),
    "events.delete_for_model": Entry(events.delete_for_model, events_wire.DeleteForModel),
    "events.delete_for_task": Entry(events.delete_for_task, events_wire.DeleteForTask),
    "events.download_task_log": Entry(events.download_task_log, events_wire.DownloadTaskLog, effect=_READS),
    "events.get_debug_image_sample": Entry(
        event_samples.get_debug_image_sample, events_wire.GetDebugImageSample, (2, 12), effect=_READS
    ),
    "events.get_multi_task_metrics": Entry(events.get_multi_task_metrics, events_wire.GetTaskMetrics, effect=_READS),
    # Of the forms that these plots had before 1.8 nothing is written anywhere: whoever asks for them gets the present ones.
    "events.get_multi_task_plots": Entry(
        event_samples.get_multi_task_plots, events_wire.GetMultiTaskPlots, effect=_READS
    ),
    "events.get_plot_sample": Entry(event_samples.get_plot_sample, events_wire.GetPlotSample, effect=_READS),
    "events.get_scalar_metric_data": Entry(
        events.get_scalar_metric_data, events_wire.GetScalarMetricData, effect=_READS
    ),
    "events.get_scalar_metrics_and_variants": Entry(
        events.get_scalar_metrics_and_variants, events_wire.OfTask, effect=_READS
    ),
    "events.get_task_events": Entry(events.get_task_events, events_wire.GetTaskEvents, effect=_READS),
    "events.get_task_latest_scalar_values": Entry(
        events.get_task_latest_scalar_values, events_wire.OfTask, effect=_READS
    ),
    "events.get_task_log": Entry(
        events.get_task_log,
        events_wire.GetTaskLog,
        (2, 9),
        before=Entry(events.scroll_task_log, events_wire.ScrollTaskLog, effect=_READS),
        effect=_READS,
    ),
    "events.get_task_metrics": Entry(events.get_task_metrics, events_wire.GetTaskMetrics, effect=_READS),
    "events.get_task_plots": Entry(event_samples.get_task_plots, events_wire.GetTaskPlots, effect=_READS),
    "events.get_task_single_value_metrics": Entry(
        events.get_task_single_value_metrics, events_wire.GetTaskSingleValueMetrics, (1, 0), effect=_READS
    ),
    "events.get_vector_metrics_and_variants": Entry(
        events.get_vector_metrics_and_variants, events_wire.OfTask, effect=_READS
    ),
    "events.multi_task_scalar_metrics_iter_histogram": Entry(
        events.multi_task_scalar_metrics_iter_histogram, events_wire.MultiTaskScalarHistogram, (1, 0), effect=_READS
    ),
    "events.next_debug_image_sample": Entry(
        event_samples.next_debug_image_sample, events_wire.NextSample, (2, 12), effect=_READS
    ),
    "events.next_plot_sample": Entry(event_samples.next_plot_sample, events_wire.NextSample, effect=_READS),
    "events.plots": Entry(event_samples.plots, events_wire.SamplesByIteration, effect=_READS),
    "events.scalar_metrics_iter_histogram": Entry(
        events.scalar_metrics_iter_histogram, events_wire.ScalarHistogram, (1, 0), effect=_READS
    ),
    "events.scalar_metrics_iter_raw": Entry(
        events.scalar_metrics_iter_raw, events_wire.ScalarRaw, (2, 16), effect=_READS
    ),
    "events.vector_metrics_iter_histogram": Entry(
        events.vector_metrics_iter_histogram, events_wire.VectorHistogram, (1, 0), effect=_READS
    ),
    "files.get_links": Entry(files.get_links, files_wire.GetLinks, _OURS, effect=_READS),
    "login.logout": Entry(auth.logout, Empty, (2, 13), login=None, effect=_OWN),
    "login.supported_modes": Entry(about.supported_modes, Empty, login=None, effect=_READS),
    "models.add_or_update_metadata": Entry(models.add_or_update_metadata, models_wire.AddOrUpdateMetadata, (2, 13)),
    "models.archive_many": Entry(many.archive_models, batches_wire.Ids),
    "models.create": Entry(models.create, models_wire.Create),
    "models.delete": Entry(models.delete, models_wire.Delete),
    "models.delete_many": Entry(many.delete_models, models_wire.DeleteMany),
    "models.delete_metadata": Entry(models.delete_metadata, models_wire.DeleteMetadata, (2, 13)),
    "models.edit": Entry(models.edit, models_wire.Edit),
    "models.get_all": Entry(models.get_all, models_wire.GetAll, effect=_READS),
    "models.get_all_ex": Entry(models.get_all_ex, models_wire.GetAllEx, effect=_READS),
    "models.get_by_id": Entry(models.get_by_id, models_wire.GetById, effect=_READS),
    "models.get_by_id_ex": Entry(models.get_all_ex, models_wire.GetAllEx, effect=_READS),
    "models.get_by_task_id": Entry(models.get_by_task_id, models_wire.GetByTaskId, effect=_READS),
    "models.get_frameworks": Entry(models.get_frameworks, batches_wire.OfProjects, effect=_READS),
    "models.make_private": Entry(filing.make_private(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.make_public": Entry(filing.make_public(filing.of_models), batches_wire.SomeIds, (2, 9)),
    "models.move": Entry(filing.move(filing.of_models), batches_wire.Move),
    "models.publish_many": Entry(many.publish_models, models_wire.PublishMany),
    "models.set_ready": Entry(models.set_ready, models_wire.SetReady),
    "models.unarchive_many": Entry(many.unarchive_models, batches_wire.Ids),
    "models.update": Entry(models.edit, models_wire.Update),
    "models.update_for_task": Entry(models.update_for_task, models_wire.UpdateForTask),
    "models.update_tags": Entry(filing.update_tags(filing.of_models), batches_wire.UpdateTags),
    "organization.download_for_get_all": Entry(
        organization.download_for_get_all, organization_wire.Download, effect=_READS
    ),
    "organization.get_entities_count": Entry(
        organization.get_entities_count, organization_wire.GetEntitiesCount, (1, 0), effect=_READS
    ),
    "organization.get_tags": Entry(organization.get_tags, organization_wire.GetTags, effect=_READS),
    "organization.get_user_companies": Entry(organization.get_user_companies, Empty, effect=_READS),
    "organization.prepare_download_for_get_all": Entry(
        organization.prepare_download_for_get_all, organization_wire.PrepareDownload, (1, 0), effect=_READS
    ),
    "pipelines.delete_runs": Entry(pipelines.delete_runs, pipelines_wire.DeleteRuns),
    "pipelines.start_pipeline": Entry(pipelines.start_pipeline, pipelines_wire.StartPipeline),
    "projects.create": Entry(projects.create, projects_wire.Create),
    "projects.delete": Entry(projects.delete, projects_wire.Delete),
    "projects.get_all": Entry(projects.get_all, projects_wire.GetAll, effect=_READS),
    "projects.get_all_ex": Entry(projects.get_all_ex, projects_wire.GetAllEx, effect=_READS),
    "projects.get_by_id": Entry(projects.get_by_id, projects_wire.GetById, effect=_READS),
    "projects.get_hyper_parameters": Entry(facets.get_hyper_parameters, projects_wire.GetNames, (2, 9), effect=_READS),
    "projects.get_hyperparam_values": Entry(
        facets.get_hyperparam_values, projects_wire.GetHyperparamValues, (2, 13), effect=_READS
    ),
    "projects.get_model_metadata_keys": Entry(facets.get_model_metadata_keys, projects_wire.GetNames, effect=_READS),
    "projects.get_model_metadata_values": Entry(
        facets.get_model_metadata_values, projects_wire.GetModelMetadataValues, (1, 0), effect=_READS
    ),
    "projects.get_model_tags": Entry(facets.get_model_tags, projects_wire.GetTags, (2, 8), effect=_READS),
    "projects.get_project_tags": Entry(facets.get_project_tags, projects_wire.GetTags, effect=_READS),
    "projects.get_task_parents": Entry(facets.get_task_parents, projects_wire.GetTaskParents, (2, 12), effect=_READS),
    "projects.get_task_tags": Entry(facets.get_task_tags, projects_wire.GetTags, (2, 8), effect=_READS),
    "projects.get_unique_metric_variants": Entry(
        facets.get_unique_metric_variants, projects_wire.GetUniqueMetricVariants, (1, 0), effect=_READS
    ),
    "projects.get_user_names": Entry(facets.get_user_names, projects_wire.GetUserNames, effect=_READS),
    "projects.make_private": Entry(projects.make_private, batches_wire.SomeIds, (2, 9)),
    "projects.make_public": Entry(projects.make_public, batches_wire.SomeIds, (2, 9)),
    "projects.merge": Entry(projects.merge, projects_wire.Merge),
    "projects.move": Entry(projects.move, projects_wire.Move),
    "projects.update": Entry(projects.update, projects_wire.Update),
    "projects.validate_delete": Entry(projects.validate_delete, projects_wire.GetById, effect=_READS),
    "queues.add_or_update_metadata": Entry(queues.add_or_update_metadata, queues_wire.AddOrUpdateMetadata, (2, 13)),
    "queues.add_task": Entry(queues.add_task, queues_wire.AddTask, (2, 4)),
    "queues.clear_queue": Entry(queues.clear_queue, queues_wire.QueueId),
    "queues.create": Entry(queues.create, queues_wire.Create, (2, 4)),
    "queues.delete": Entry(queues.delete, queues_wire.Delete, (2, 4)),
    "queues.delete_metadata": Entry(queues.delete_metadata, queues_wire.DeleteMetadata, (2, 13)),
    "queues.get_all": Entry(queues.get_all, queues_wire.GetAll, (2, 4), effect=_READS),
    "queues.get_all_ex": Entry(queues.get_all_ex, queues_wire.GetAll, (2, 4), effect=_READS),
    "queues.get_by_id": Entry(queues.get_by_id, queues_wire.GetById, (2, 4), effect=_READS),
    "queues.get_default": Entry(queues.get_default, Empty, (2, 4), effect=_READS),
    "queues.get_next_task": Entry(queues.get_next_task, queues_wire.GetNextTask),
    "queues.get_num_entries": Entry(queues.get_num_entries, queues_wire.QueueId, (2, 15), effect=_READS),
    "queues.get_queue_metrics": Entry(queues.get_queue_metrics, queues_wire.GetQueueMetrics, (2, 4), effect=_READS),
    "queues.move_task_backward": Entry(queues.move_task_backward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_forward": Entry(queues.move_task_forward, queues_wire.MoveBy, (2, 4)),
    "queues.move_task_to_back": Entry(queues.move_task_to_back, queues_wire.Move, (2, 4)),
    "queues.move_task_to_front": Entry(queues.move_task_to_front, queues_wire.Move, (2, 4)),
    "queues.peek_task": Entry(queues.peek_task, queues_wire.QueueId, (2, 15), effect=_READS),
    "queues.remove_task": Entry(queues.remove_task, queues_wire.RemoveTask, (2, 4)),
    "queues.update": Entry(queues.update, queues_wire.Update, (2, 4)),
    "reports.archive": Entry(reports.archive, reports_wire.Commented),
    "reports.create": Entry(reports.create, reports_wire.Create),
    "reports.delete": Entry(reports.delete, reports_wire.Delete),
    "reports.get_all_ex": Entry(reports.get_all_ex, reports_wire.GetAllEx, effect=_READS),
    "reports.get_tags": Entry(reports.get_tags, Empty, effect=_READS),
    "reports.get_task_data": Entry(reports.get_task_data, reports_wire.GetTaskData, effect=_READS),
    "reports.move": Entry(reports.move, reports_wire.Move),
    "reports.publish": Entry(reports.publish, reports_wire.Commented),
    "reports.unarchive": Entry(reports.unarchive, reports_wire.Commented),
    "reports.update": Entry(reports.update, reports_wire.Update),
    "server.config": Entry(about.config, server_wire.Config, roles=_ROOT, effect=_READS),
    "server.endpoints": Entry(lambda call, request: _described(), Empty, roles=_ROOT, effect=_READS),
    "server.get_stats": Entry(about.get_stats, server_wire.GetStats, roles=_ROOT, effect=_READS),
    "server.info": Entry(about.info, Empty, login=False, effect=_READS),
    "server.report_stats_option": Entry(about.report_stats_option, server_wire.ReportStatsOption, effect=_READS),
    "serving.container_status_report": Entry(
        serving.container_status_report, serving_wire.ContainerStatusReport, (1, 0)
    ),
    "serving.get_endpoint_details": Entry(serving.get_endpoint_details, serving_wire.GetEndpointDetails, effect=_READS),
    "serving.get_endpoint_metrics_history": Entry(
        serving.get_endpoint_metrics_history, serving_wire.GetEndpointMetricsHistory, (1, 0), effect=_READS
    ),
    "serving.get_endpoints": Entry(serving.get_endpoints, Empty, effect=_READS),
    "serving.get_loading_instances": Entry(serving.get_loading_instances, Empty, effect=_READS),
    "serving.register_container": Entry(serving.register_container, serving_wire.RegisterContainer),
    "serving.unregister_container": Entry(serving.unregister_container, serving_wire.UnregisterContainer),
    # Who has the keys of a cloud store can write there: this is more than reading.
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
    "tasks.get_all": Entry(tasks.get_all, tasks_wire.GetAll, effect=_READS),
    "tasks.get_all_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx, effect=_READS),
    "tasks.get_by_id": Entry(tasks.get_by_id, tasks_wire.GetById, effect=_READS),
    "tasks.get_by_id_ex": Entry(tasks.get_all_ex, tasks_wire.GetAllEx, effect=_READS),
    "tasks.get_configuration_names": Entry(
        tasks.get_configuration_names, tasks_wire.GetConfigurationNames, effect=_READS
    ),
    "tasks.get_configurations": Entry(tasks.get_configurations, tasks_wire.GetConfigurations, effect=_READS),
    "tasks.get_hyper_params": Entry(tasks.get_hyper_params, tasks_wire.GetHyperParams, effect=_READS),
    "tasks.get_types": Entry(tasks.get_types, batches_wire.OfProjects, effect=_READS),
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
    "tasks.validate": Entry(tasks.validate, tasks_wire.Create, effect=_READS),
    "users.create": Entry(users.create, users_wire.Create, roles=_ROOT),
    "users.delete": Entry(users.delete, users_wire.Delete, roles=_ROOT),
    "users.get_all": Entry(users.get_all, users_wire.GetAll, effect=_READS),
    "users.get_all_ex": Entry(users.get_all, users_wire.GetAllEx, effect=_READS),
    "users.get_by_id": Entry(users.get_by_id, users_wire.GetById, effect=_READS),
    "users.get_current_user": Entry(users.get_current_user, Empty, effect=_READS),
    "users.get_preferences": Entry(users.get_preferences, Empty, effect=_READS),
    "users.set_preferences": Entry(users.set_preferences, users_wire.SetPreferences, effect=_OWN),
    "users.update": Entry(users.update, users_wire.Update, effect=_OWN),
    "workers.get_activity_report": Entry(
        workers.get_activity_report, workers_wire.GetActivityReport, (2, 4), effect=_READS
    ),
    "workers.get_all": Entry(workers.get_all, workers_wire.GetAll, (2, 4), effect=_READS),
    "workers.get_count": Entry(workers.get_count, workers_wire.GetCount, effect=_READS),
    "workers.get_metric_keys": Entry(workers.get_metric_keys, workers_wire.GetMetricKeys, (2, 4), effect=_READS),
    "workers.get_stats": Entry(workers.get_stats, workers_wire.GetStats, (2, 4), effect=_READS),
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
                "roles": [role.value for role in Role if entry.allows(role)],
            }
            for name, entry in ENDPOINTS.items()
        }
    }
