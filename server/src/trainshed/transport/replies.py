"""What each endpoint answers in `data`, for the description of the API; the tests hold every reply that they see to it.

A shape is a dict (an object with these fields, of which each is there when it has a value), a list of one shape, a type, or
a File.
"""

from typing import Any, NamedTuple

from trainshed.transport.wire import accounts as a
from trainshed.transport.wire import documents as d
from trainshed.transport.wire.documents import FreeForm


class File(NamedTuple):
    """A reply that is no JSON: a file in one of these content types."""

    types: tuple[str, ...]


Shape = Any  # dict[str, Shape] | list[Shape] | type | File, which mypy cannot follow

_NOTHING: Shape = {}
_UPDATED: Shape = {"updated": int}
_CHANGED: Shape = {"updated": int, "fields": FreeForm}
_DELETED: Shape = {"deleted": bool}
_FILED: Shape = {"project_id": str | None}
_POSITION: Shape = {"position": int}
_TASK_DELETED: Shape = {
    "deleted": bool,
    "updated_children": int,
    "updated_models": int,
    "deleted_models": int,
    "events": FreeForm,
    "urls": d.Urls,
}
_TASK_RESET: Shape = {**_CHANGED, "deleted_models": int, "events": FreeForm, "urls": d.Urls}
_TAGS: Shape = {"tags": list[str], "system_tags": list[str]}
_VALUES: Shape = {"total": int, "values": list[str]}
_EVENTS: Shape = {"events": list[FreeForm], "returned": int, "total": int, "scroll_id": str | None}
_PLOTS: Shape = {"plots": list[FreeForm], "returned": int, "total": int, "scroll_id": str | None}
_SAMPLES: Shape = {"metrics": list[d.TaskSamples], "scroll_id": str | None}
_SPAN: Shape = {"scroll_id": str | None, "min_iteration": int | None, "max_iteration": int | None}
_IMAGE: Shape = {**_SPAN, "event": FreeForm | None}
_PLOT: Shape = {**_SPAN, "events": list[FreeForm]}
_CURVES = dict[str, dict[str, d.Curve]]  # metric -> variant -> curve
_TASK_CURVES = dict[str, dict[str, dict[str, d.Curve]]]  # metric -> variant -> task -> curve
_TASKS: Shape = {"tasks": list[d.Task], "scroll_id": str}
_MODELS: Shape = {"models": list[d.Model], "scroll_id": str}
_PROJECTS: Shape = {"projects": list[d.Project], "scroll_id": str}
_QUEUES: Shape = {"queues": list[d.Queue], "scroll_id": str}
_USERS: Shape = {"users": list[d.User], "scroll_id": str}


def _many(**of_each: Shape) -> Shape:
    """A batch over ids: what the single call says of each that succeeded."""
    return {"succeeded": [{"id": str, **of_each}], "failed": list[d.Failed]}


_LOGGED_IN: Shape = {"user": {"id": str, "name": str, "role": str}}

REPLIES: dict[str, Shape] = {
    "accounts.change_password": _NOTHING,
    "accounts.create": {"id": str},
    "accounts.delete": {"deleted": int},
    "accounts.disable": _UPDATED,
    "accounts.enable": _UPDATED,
    "accounts.get_all": {"accounts": list[a.Account]},
    "accounts.get_credentials": {"credentials": list[d.AccessKey]},
    "accounts.get_modes": {
        "password": bool,
        "name": bool,
        "unclaimed": bool,
        "elsewhere": list[a.Elsewhere],
        "authenticated": bool,
    },
    "accounts.invite": a.Ticket,
    "accounts.login": _LOGGED_IN,
    "accounts.login_by_name": _LOGGED_IN,
    "accounts.redeem": _LOGGED_IN,
    "accounts.reset_password": a.Ticket,
    "accounts.revoke_credentials": {"revoked": int},
    "accounts.set_role": _UPDATED,
    "auth.create_credentials": {"credentials": d.KeyPair},
    "auth.create_user": {"id": str},
    "auth.edit_credentials": _UPDATED,
    "auth.edit_user": _CHANGED,
    "auth.fixed_users_mode": {"enabled": bool, "server_errors": FreeForm},
    "auth.get_credentials": {"credentials": list[d.AccessKey]},
    "auth.get_token_for_user": {"token": str},
    "auth.login": {"token": str},
    "auth.logout": _NOTHING,
    "auth.revoke_credentials": {"revoked": int},
    "auth.validate_token": {"valid": bool, "user": str, "company": str},
    "debug.ping": {"msg": str},
    "events.add": _NOTHING,
    "events.add_batch": {"added": int, "errors": int, "errors_info": dict[str, int]},
    "events.clear_scroll": _NOTHING,
    "events.clear_task_log": {"deleted": int},
    "events.debug_images": _SAMPLES,
    "events.delete_for_model": _DELETED,
    "events.delete_for_task": _DELETED,
    "events.download_task_log": File(("text/plain", "application/x-ndjson")),
    "events.get_debug_image_sample": _IMAGE,
    "events.get_multi_task_metrics": {"metrics": list[d.MetricVariants]},
    "events.get_multi_task_plots": {**_PLOTS, "plots": FreeForm},
    "events.get_plot_sample": _PLOT,
    "events.get_scalar_metric_data": _EVENTS,
    "events.get_scalar_metrics_and_variants": {"metrics": dict[str, list[str]]},
    "events.get_task_events": _EVENTS,
    "events.get_task_latest_scalar_values": {"metrics": list[d.LatestValues]},
    "events.get_task_log": {"events": list[FreeForm], "returned": int, "total": int},
    "events.get_task_metrics": {"metrics": list[d.TaskMetrics]},
    "events.get_task_plots": _PLOTS,
    "events.get_task_single_value_metrics": {"tasks": list[d.TaskSingleValues]},
    "events.get_vector_metrics_and_variants": {"metrics": list[d.MetricVariants]},
    "events.multi_task_scalar_metrics_iter_histogram": {"metrics": _TASK_CURVES},
    "events.next_debug_image_sample": _IMAGE,
    "events.next_plot_sample": _PLOT,
    "events.plots": _SAMPLES,
    "events.scalar_metrics_iter_histogram": _CURVES,
    "events.scalar_metrics_iter_raw": {"variants": FreeForm, "total": int, "returned": int, "scroll_id": str | None},
    "events.vector_metrics_iter_histogram": {
        "metric": str,
        "variant": str,
        "iterations": list[int],
        "vectors": list[list[float]],
    },
    "login.logout": _NOTHING,
    "login.supported_modes": {
        "basic": {"enabled": bool, "guest": {"enabled": bool}},
        "sso": dict[str, str],
        "sso_providers": list[FreeForm],
        "server_errors": {"missed_es_upgrade": bool, "es_connection_error": bool},
        "authenticated": bool,
    },
    "models.add_or_update_metadata": _UPDATED,
    "models.archive_many": _many(archived=bool),
    "models.create": {"id": str, "created": bool},
    "models.delete": {"deleted": bool, "url": str | None},
    "models.delete_many": _many(deleted=bool, url=str | None),
    "models.delete_metadata": _UPDATED,
    "models.edit": _CHANGED,
    "models.get_all": _MODELS,
    "models.get_all_ex": _MODELS,
    "models.get_by_id": {"model": d.Model},
    "models.get_by_id_ex": _MODELS,
    "models.get_by_task_id": {"model": d.Model},
    "models.get_frameworks": {"frameworks": list[str]},
    "models.make_private": _UPDATED,
    "models.make_public": _UPDATED,
    "models.move": _FILED,
    "models.publish_many": _many(updated=bool, published_task=d.PublishedTask),
    "models.set_ready": {"updated": int, "published_task": d.PublishedTask},
    "models.unarchive_many": _many(unarchived=bool),
    "models.update": _CHANGED,
    "models.update_for_task": {"id": str, "created": bool, "updated": int, "fields": FreeForm},
    "models.update_tags": _UPDATED,
    "organization.download_for_get_all": File(("text/csv",)),
    "organization.get_entities_count": dict.fromkeys(
        ("projects", "tasks", "models", "pipelines", "datasets", "reports"), int
    ),
    "organization.get_tags": _TAGS,
    "organization.get_user_companies": {"companies": list[d.Company]},
    "organization.prepare_download_for_get_all": {"prepare_id": str},
    "pipelines.delete_runs": _many(**_TASK_DELETED),
    "pipelines.start_pipeline": {"pipeline": str, "enqueued": bool, "queue_watched": bool},
    "projects.create": {"id": str},
    "projects.delete": {
        "deleted": int,
        "disassociated_tasks": int,
        "deleted_models": int,
        "deleted_tasks": int,
        "urls": d.Urls,
    },
    "projects.get_all": _PROJECTS,
    "projects.get_all_ex": _PROJECTS,
    "projects.get_by_id": {"project": d.Project},
    "projects.get_hyper_parameters": {"parameters": list[d.HyperParameter], "total": int, "remaining": int},
    "projects.get_hyperparam_values": _VALUES,
    "projects.get_model_metadata_keys": {"keys": list[str], "total": int, "remaining": int},
    "projects.get_model_metadata_values": _VALUES,
    "projects.get_model_tags": _TAGS,
    "projects.get_project_tags": _TAGS,
    "projects.get_task_parents": {"parents": list[d.TaskParent]},
    "projects.get_task_tags": _TAGS,
    "projects.get_unique_metric_variants": {"metrics": list[d.MetricVariant]},
    "projects.get_user_names": {"users": list[d.IdName]},
    "projects.make_private": _UPDATED,
    "projects.make_public": _UPDATED,
    "projects.merge": {"moved_entities": int, "moved_projects": int},
    "projects.move": {"moved": int},
    "projects.update": _CHANGED,
    "projects.validate_delete": {
        "tasks": int,
        "non_archived_tasks": int,
        "models": int,
        "non_archived_models": int,
        "reports": int,
        "non_archived_reports": int,
        "pipelines": int,
        "datasets": int,
    },
    "queues.add_or_update_metadata": _UPDATED,
    "queues.add_task": {"added": int},
    "queues.clear_queue": {"removed_tasks": list[str]},
    "queues.create": {"id": str},
    "queues.delete": {"deleted": int},
    "queues.delete_metadata": _UPDATED,
    "queues.get_all": _QUEUES,
    "queues.get_all_ex": _QUEUES,
    "queues.get_by_id": {"queue": d.Queue},
    "queues.get_default": {"id": str, "name": str},
    "queues.get_next_task": {"entry": d.QueueEntry | None, "task_info": d.TaskInfo},
    "queues.get_num_entries": {"num": int},
    "queues.get_queue_metrics": {"queues": list[d.QueueMetrics]},
    "queues.move_task_backward": _POSITION,
    "queues.move_task_forward": _POSITION,
    "queues.move_task_to_back": _POSITION,
    "queues.move_task_to_front": _POSITION,
    "queues.peek_task": {"task": str | None},
    "queues.remove_task": {"removed": int},
    "queues.update": _CHANGED,
    "reports.archive": {"archived": int},
    "reports.create": {"id": str, "project_id": str},
    "reports.delete": {"deleted": int},
    "reports.get_all_ex": _TASKS,
    "reports.get_tags": {"tags": list[str]},
    "reports.get_task_data": {
        "tasks": list[d.Task],
        "plots": FreeForm,
        "debug_images": list[d.TaskSamples],
        "scalar_metrics_iter_histogram": _TASK_CURVES,
        "single_value_metrics": list[d.TaskSingleValues],
    },
    "reports.move": _FILED,
    "reports.publish": _CHANGED,
    "reports.unarchive": {"unarchived": int},
    "reports.update": _CHANGED,
    "server.config": Any,
    "server.endpoints": {"endpoints": dict[str, FreeForm]},
    "server.get_stats": FreeForm,
    "server.info": {"version": str, "build": str, "commit": str, "uid": str, "api_version": str},
    "server.report_stats_option": {"supported": bool, "enabled": bool, "current_version": str},
    "serving.container_status_report": _NOTHING,
    "serving.get_endpoint_details": {
        "endpoint": str,
        "model": str,
        "url": str,
        "model_source": str,
        "model_version": str,
        "preprocess_artifact": str,
        "input_type": str,
        "input_size": str,
        "uptime_sec": int,
        "last_update": str,
        "instances": list[d.Instance],
    },
    "serving.get_endpoint_metrics_history": {
        "computed_interval": int,
        "total": d.Chart,
        "instances": dict[str, d.Chart],
    },
    "serving.get_endpoints": {"endpoints": list[d.ServingEndpoint]},
    "serving.get_loading_instances": {"instances": list[d.Loading]},
    "serving.register_container": _NOTHING,
    "serving.unregister_container": _NOTHING,
    "storage.get_settings": {"last_update": str, "aws": d.Aws, "google": d.Google, "azure": d.Azure},
    "storage.reset_settings": _UPDATED,
    "storage.set_settings": _UPDATED,
    "tasks.add_or_update_artifacts": _UPDATED,
    "tasks.add_or_update_model": _UPDATED,
    "tasks.archive": {"archived": int},
    "tasks.archive_many": _many(archived=bool),
    "tasks.clone": {"id": str, "new_project": d.IdName},
    "tasks.close": _CHANGED,
    "tasks.completed": {**_CHANGED, "published": int},
    "tasks.create": {"id": str},
    "tasks.delete": _TASK_DELETED,
    "tasks.delete_artifacts": {"deleted": int},
    "tasks.delete_configuration": {"deleted": int},
    "tasks.delete_hyper_params": {"deleted": int},
    "tasks.delete_many": _many(**_TASK_DELETED),
    "tasks.delete_models": _UPDATED,
    "tasks.dequeue": {**_CHANGED, "dequeued": int},
    "tasks.dequeue_many": _many(**_CHANGED, dequeued=bool),
    "tasks.edit": _CHANGED,
    "tasks.edit_configuration": _UPDATED,
    "tasks.edit_hyper_params": _UPDATED,
    "tasks.enqueue": {**_CHANGED, "queued": int, "queue_watched": bool},
    "tasks.enqueue_many": {**_many(**_CHANGED, queued=bool), "queue_watched": bool},
    "tasks.failed": _CHANGED,
    "tasks.get_all": _TASKS,
    "tasks.get_all_ex": _TASKS,
    "tasks.get_by_id": {"task": d.Task},
    "tasks.get_by_id_ex": _TASKS,
    "tasks.get_configuration_names": {"configurations": list[d.TaskConfigurationNames]},
    "tasks.get_configurations": {"configurations": list[d.TaskConfigurations]},
    "tasks.get_hyper_params": {"params": list[d.TaskParams]},
    "tasks.get_types": {"types": list[str]},
    "tasks.make_private": _UPDATED,
    "tasks.make_public": _UPDATED,
    "tasks.move": _FILED,
    "tasks.ping": _NOTHING,
    "tasks.publish": _CHANGED,
    "tasks.publish_many": _many(**_CHANGED),
    "tasks.reset": {**_TASK_RESET, "dequeued": {"removed": int}},
    "tasks.reset_many": _many(**_TASK_RESET, dequeued=bool),
    "tasks.set_requirements": _CHANGED,
    "tasks.started": {**_CHANGED, "started": int},
    "tasks.stop": _CHANGED,
    "tasks.stop_many": _many(**_CHANGED),
    "tasks.stopped": _CHANGED,
    "tasks.unarchive_many": _many(unarchived=bool),
    "tasks.update": _CHANGED,
    "tasks.update_batch": _UPDATED,
    "tasks.update_tags": _UPDATED,
    "tasks.validate": _NOTHING,
    "users.create": _NOTHING,
    "users.delete": _NOTHING,
    "users.get_all": _USERS,
    "users.get_all_ex": _USERS,
    "users.get_by_id": {"user": d.User},
    "users.get_current_user": {
        "user": d.CurrentUser,
        "getting_started": FreeForm,
        "settings": {"max_download_items": str},
    },
    "users.get_preferences": {"preferences": FreeForm},
    "users.set_preferences": _CHANGED,
    "users.update": _CHANGED,
    "workers.get_activity_report": {"total": d.Activity, "active": d.Activity},
    "workers.get_all": {"workers": list[d.Worker]},
    "workers.get_count": {"count": int},
    "workers.get_metric_keys": {"categories": list[d.MetricKeys]},
    "workers.get_stats": {"workers": list[d.WorkerStats]},
    "workers.register": _NOTHING,
    "workers.status_report": _NOTHING,
    "workers.unregister": _NOTHING,
}
