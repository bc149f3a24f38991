"""A call of every endpoint that succeeds, with something to show in each reply: for tests that walk the whole table."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from trainshed.testing.api import VERSION, ApiClient, Json

URL = "http://serving/endpoint"
MOMENT = 1_767_225_600_000  # of the tests' clock, in milliseconds since the epoch
_SPAN = {"from_date": MOMENT / 1000 - 300, "to_date": MOMENT / 1000 + 300, "interval": 60}
PASSWORD = "correct horse"
_PARAM = {"section": "Args", "name": "lr", "value": "0.1", "type": "float", "description": "rate"}
_CONFIGURATION = {"name": "net", "value": "layers", "type": "text", "description": "of the net"}
_ARTIFACT = {
    "key": "data",
    "type": "numpy",
    "mode": "output",
    "uri": "http://files/data",
    "content_size": 3,
    "hash": "abc",
    "timestamp": 1,
    "type_data": {"preview": "1 2 3", "content_type": "text", "data_hash": "abc"},
    "display_data": [["rows", "3"]],
}
_METADATA = {"key": "k", "type": "str", "value": "v"}
_AWS = {"key": "k", "secret": "s", "region": "r", "buckets": [{"bucket": "b", "key": "k", "secret": "s"}]}
_SETTINGS: Json = {
    "aws": _AWS,
    "google": {"project": "p", "credentials_json": "{}", "buckets": [{"bucket": "b", "project": "p"}]},
    "azure": {"containers": [{"account_name": "a", "account_key": "k", "container_name": "c"}]},
}


class Calls:
    """One world with something of everything, and what a call uses up made for it.

    api: one who may call every endpoint.
    """

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.user = api.user
        self.project = self.new_project()
        self.task = self.new_task()
        self.model = self.new_model(task=self.task)
        self.queue = self.new_queue()
        self.report = self.new_report()
        self._fill()

    def make(self, name: str, *, version: str = VERSION) -> Any:
        """Call it; return the reply's data. Raises CallFailed."""
        if name == "events.add_batch":
            return self._api.add_events(self.events(self.task))
        if name == "tasks.update_batch":
            line = msgspec.json.encode({"task": self.task, "comment": "c"})
            return self._api.send(f"/v{version}/{name}", line).data
        return self._caller(name).call(name, version=version, **self.arguments(name))

    def _caller(self, name: str) -> ApiClient:
        # A logout ends the token of its call.
        return self._api.authorized(f"Bearer {self.make('auth.login')['token']}") if "logout" in name else self._api

    def arguments(self, name: str) -> Json:
        """Of a call that succeeds."""
        arguments = _ARGUMENTS.get(name)
        return arguments(self) if arguments else {}

    # things

    def new_project(self, **fields: Any) -> str:
        """A project in a project."""
        name = f"above {uuid4().hex}/{uuid4().hex}"
        more = {"description": "d", "tags": ["t"], "system_tags": ["s"], "default_output_destination": "http://x"}
        return self._id("projects.create", **{"name": name, **more, **fields})

    def new_task(self, **fields: Any) -> str:
        """A task with all its parts."""
        parts: Json = {
            "name": "a task",
            "type": "training",
            "project": self.project,
            "tags": ["t"],
            "system_tags": ["development"],
            "comment": "c",
            "output_dest": "http://out",
            "script": {"repository": "r", "requirements": {"pip": "x"}, "diff": "d"},
            "hyperparams": {"Args": {"lr": _PARAM}},
            "configuration": {"net": _CONFIGURATION},
            "execution": {"artifacts": [_ARTIFACT], "framework": "f", "model_labels": {"a": 1}},
            "container": {"image": "i", "arguments": "a", "setup_shell_script": "s"},
            "runtime": {"progress": "1"},
        }
        return self._id("tasks.create", **{**parts, **fields})

    def new_model(self, **fields: Any) -> str:
        """A model with all its parts."""
        parts = {"name": "a model", "uri": "http://m", "project": self.project, "framework": "f", "labels": {"a": 1}}
        model = self._id("models.create", **{**parts, "tags": ["t"], "design": {"d": 1}, **fields})
        self._api.call("models.add_or_update_metadata", model=model, metadata=[_METADATA])
        return model

    def new_queue(self) -> str:
        """A queue with a task in it."""
        queue = self._id("queues.create", name=f"queue {uuid4().hex}", tags=["t"], display_name="Q")
        self._api.call("queues.add_or_update_metadata", queue=queue, metadata=[_METADATA])
        self._api.call("tasks.enqueue", task=self.new_task(), queue=queue)
        return queue

    def queued(self) -> Json:
        """A queue and the first of two tasks in it."""
        queue = self.new_queue()
        self._api.call("tasks.enqueue", task=self.new_task(), queue=queue)
        return {"queue": queue, "task": self._api.call("queues.peek_task", queue=queue)["task"]}

    def running(self, **fields: Any) -> str:
        """A task that somebody runs."""
        task = self.new_task(**fields)
        self._api.call("tasks.started", task=task)
        return task

    def new_report(self) -> str:
        """A report."""
        return self._id("reports.create", name="a report", project=self.project, report="# text", comment="c")

    def new_user(self) -> str:
        """A user."""
        return self._id("auth.create_user", name="someone", email="a@b", company=self.company)

    def with_password(self) -> str:
        """The username of somebody with a password."""
        name = uuid4().hex
        self._api.call("accounts.create", username=name, password=PASSWORD)
        return name

    def ticket(self) -> str:
        """A one-time token."""
        return str(self._api.call("accounts.invite", username=uuid4().hex)["token"])

    def new_key(self) -> str:
        """An access key."""
        return str(self._api.call("auth.create_credentials", label="l")["credentials"]["access_key"])

    def container(self) -> str:
        """A container that serves."""
        name = uuid4().hex
        self._api.call("serving.register_container", **_CONTAINER, container_id=name, endpoint_name="e")
        return name

    def worker(self) -> str:
        """A registered worker."""
        name = uuid4().hex
        self._api.call("workers.register", worker=name)
        return name

    @property
    def company(self) -> str:
        """The company's id."""
        return str(self._api.call("organization.get_user_companies")["companies"][0]["id"])

    def events(self, task: str) -> list[Json]:
        """One of each kind."""
        shared: Json = {"task": task, "metric": "m", "variant": "v", "iter": 1, "timestamp": MOMENT}
        return [
            {**shared, "type": "training_stats_scalar", "value": 0.5, "x_axis_label": "epoch"},
            {**shared, "type": "training_stats_scalar", "value": 0.5, "iter": -(2**31), "metric": "single"},
            {**shared, "type": "training_stats_vector", "values": [1, 2]},
            {**shared, "type": "training_debug_image", "url": "http://i", "key": "k"},
            {**shared, "type": "plot", "plot_str": "{}"},
            {"type": "log", "task": task, "timestamp": MOMENT, "msg": "hello", "level": "info", "worker": "w"},
        ]

    def sample(self, endpoint: str) -> Json:
        """To step on from the sample that an endpoint shows."""
        shown = self._api.call(endpoint, task=self.task, metric="m", variant="v")
        return {"task": self.task, "scroll_id": shown["scroll_id"]}

    def pipeline(self) -> Json:
        """A run of a pipeline, which is not the only one."""
        project = self.new_project()
        runs = [self.new_task(project=project, type="controller") for _ in range(2)]
        return {"project": project, "ids": runs[:1]}

    def table(self) -> Json:
        """A prepared table."""
        prepared = self._api.call("organization.prepare_download_for_get_all", **_TABLE)
        return {"prepare_id": prepared["prepare_id"]}

    def public(self, service: str, thing: str) -> Json:
        """Something that everybody sees."""
        self._api.call(f"{service}.make_public", ids=[thing])
        return {"ids": [thing]}

    def archived(self, service: str, thing: str) -> Json:
        """Something in the archive."""
        self._api.call(f"{service}.archive_many", ids=[thing])
        return {"ids": [thing]}

    def _id(self, endpoint: str, **fields: Any) -> str:
        return str(self._api.call(endpoint, **fields)["id"])

    def _fill(self) -> None:
        api = self._api
        worker: Json = {"worker": "machine:0", "queues": [self.queue], "tags": ["t"]}
        running = self.running(parent=self.task, models={"input": [{"name": "in", "model": self.model}]})
        api.call("tasks.add_or_update_model", task=self.task, name="out", model=self.model, type="output")
        api.call("tasks.enqueue", task=self.task, queue=self.queue)
        api.call("workers.register", **worker)
        stats = {"cpu_usage": [1.5, 2.5], "memory_used": 3}
        api.call(
            "workers.status_report",
            **worker,
            task=running,
            queue=self.queue,
            timestamp=MOMENT,
            machine_stats=stats,
        )
        api.call("serving.register_container", **_CONTAINER, container_id="loading", endpoint_name="e")
        api.call("serving.container_status_report", **_reporting(self))
        api.add_events(self.events(self.task) + self.events(running))
        api.add_events(
            {**event, "task": self.model, "model_event": True}
            for event in self.events(self.task)
            if event["type"] != "log"
        )
        api.call("tasks.completed", task=running)
        versions = {"ds_file_count": 3, "ds_total_size": 9}
        for service, thing in (
            ("tasks", self.new_task()),
            ("models", self.new_model()),
            ("projects", self.new_project()),
        ):
            self.public(service, thing)
        dataset = self.new_project(system_tags=["dataset"])
        self.new_task(project=dataset, system_tags=["dataset"], runtime=versions)
        api.call("storage.set_settings", **_SETTINGS)
        api.call("users.set_preferences", preferences={"a": 1})


_CONTAINER: Json = {"model_name": "m", "endpoint_url": URL, "model_source": "s", "model_version": "1"}
_TABLE: Json = {
    "entity_type": "task",
    "only_fields": ["name"],
    "field_mappings": [{"field": "name", "name": "Name", "values": [{"key": "a task", "value": "T"}]}],
}


def _reporting(world: Calls) -> Json:
    report = {"uptime_sec": 5, "requests_num": 3, "requests_min": 1.5, "latency_ms": 2}
    more = {"machine_stats": {"cpu_usage": [1], "memory_used": 5}, "reference": [{"type": "task", "value": world.task}]}
    return {**_CONTAINER, **report, **more, "container_id": "serving", "endpoint_name": "e", "input_type": "t"}


_Make = Callable[[Calls], Json]


def _task(world: Calls) -> Json:
    return {"task": world.task}


def _model_and_more(**more: Any) -> _Make:
    return lambda world: {"model": world.new_model(), **more}


def _new_task(**more: Any) -> _Make:
    return lambda world: {"task": world.new_task(), **more}


def _running(**more: Any) -> _Make:
    return lambda world: {"task": world.running(), **more}


def _many_tasks(**more: Any) -> _Make:
    return lambda world: {"ids": [world.new_task(), "nothing"], **more}


def _many_models(**more: Any) -> _Make:
    return lambda world: {"ids": [world.new_model(), "nothing"], **more}


def _many_running(**more: Any) -> _Make:
    return lambda world: {"ids": [world.running(), "nothing"], **more}


def _tasks(world: Calls) -> Json:
    return {"tasks": [world.task]}


def _project(world: Calls) -> Json:
    return {"project": world.project}


def _queue(world: Calls) -> Json:
    return {"queue": world.queue}


def _new_report(**more: Any) -> _Make:
    return lambda world: {"task": world.new_report(), **more}


def _of_project(world: Calls) -> Json:
    return {"projects": [world.project], "include_system": True}


_EVERY_STAT: Json = {
    "include_stats": True,
    "check_own_contents": True,
    "include_dataset_stats": True,
    "search_hidden": True,
    "page_size": 30,
}
_DATA: Json = {"plots": {}, "debug_images": {}, "scalar_metrics_iter_histogram": {}, "single_value_metrics": {}}
# Of endpoints that need any, or whose reply would be bare without them.
_ARGUMENTS: dict[str, _Make] = {
    "accounts.change_password": lambda world: {"password": PASSWORD, "new_password": PASSWORD},
    "accounts.create": lambda world: {"username": uuid4().hex, "password": PASSWORD},
    "accounts.delete": lambda world: {"user": world.new_user()},
    "accounts.disable": lambda world: {"user": world.new_user()},
    "accounts.enable": lambda world: {"user": world.new_user()},
    "accounts.get_credentials": lambda world: {"user": world.new_user()},
    "accounts.invite": lambda world: {"username": uuid4().hex},
    "accounts.login": lambda world: {"username": world.with_password(), "password": PASSWORD},
    "accounts.login_by_name": lambda world: {"name": "somebody"},
    "accounts.redeem": lambda world: {"token": world.ticket(), "password": PASSWORD},
    "accounts.reset_password": lambda world: {"user": world.new_user()},
    "accounts.revoke_credentials": lambda world: {"user": world.user, "access_key": world.new_key()},
    "accounts.set_role": lambda world: {"user": world.new_user(), "role": "viewer"},
    "auth.create_user": lambda world: {"name": "someone", "company": world.company, "email": "a@b"},
    "auth.edit_credentials": lambda world: {"access_key": world.new_key(), "label": "x"},
    "auth.edit_user": lambda world: {"user": world.new_user(), "role": "user"},
    "auth.get_token_for_user": lambda world: {"user": world.new_user()},
    "auth.revoke_credentials": lambda world: {"access_key": world.new_key()},
    "auth.validate_token": lambda world: {"token": world.make("auth.login")["token"]},
    "events.add": lambda world: world.events(world.task)[0],
    "events.clear_scroll": lambda world: {"scroll_id": world.sample("events.get_plot_sample")["scroll_id"]},
    "events.clear_task_log": _new_task(),
    "events.debug_images": lambda world: {"task": world.task, "metrics": [{"task": world.task, "metric": "m"}]},
    "events.delete_for_model": _model_and_more(),
    "events.delete_for_task": _new_task(),
    "events.download_task_log": _task,
    "events.get_debug_image_sample": lambda world: {"task": world.task, "metric": "m", "variant": "v"},
    "events.get_multi_task_metrics": _tasks,
    "events.get_multi_task_plots": _tasks,
    "events.get_plot_sample": lambda world: {"task": world.task, "metric": "m"},
    "events.get_scalar_metric_data": lambda world: {"task": world.task, "metric": "m"},
    "events.get_scalar_metrics_and_variants": _task,
    "events.get_task_events": _task,
    "events.get_task_latest_scalar_values": _task,
    "events.get_task_log": _task,
    "events.get_task_metrics": _tasks,
    "events.get_task_plots": _task,
    "events.get_task_single_value_metrics": _tasks,
    "events.get_vector_metrics_and_variants": _task,
    "events.multi_task_scalar_metrics_iter_histogram": _tasks,
    "events.next_debug_image_sample": lambda world: world.sample("events.get_debug_image_sample"),
    "events.next_plot_sample": lambda world: world.sample("events.get_plot_sample"),
    "events.plots": lambda world: {"metrics": [{"task": world.task, "metric": "m"}]},
    "events.scalar_metrics_iter_histogram": _task,
    "events.scalar_metrics_iter_raw": lambda world: {
        "task": world.task,
        "metric": {"metric": "m"},
        "count_total": True,
    },
    "events.vector_metrics_iter_histogram": lambda world: {"task": world.task, "metric": "m", "variant": "v"},
    "models.add_or_update_metadata": _model_and_more(metadata=[_METADATA]),
    "files.get_links": lambda world: {"files": ["a/b"]},
    "models.archive_many": _many_models(),
    "models.create": lambda world: {"name": "a model", "uri": "http://m"},
    "models.delete": _model_and_more(),
    "models.delete_many": _many_models(),
    "models.delete_metadata": _model_and_more(keys=["k"]),
    "models.edit": _model_and_more(comment="c"),
    "models.get_all_ex": lambda world: {"include_stats": True},
    "models.get_by_id": lambda world: {"model": world.model},
    "models.get_by_id_ex": lambda world: {"id": [world.model]},
    "models.get_by_task_id": _task,
    "models.make_private": lambda world: world.public("models", world.new_model()),
    "models.make_public": lambda world: {"ids": [world.new_model()]},
    "models.move": lambda world: {"ids": [world.new_model()], "project_name": "elsewhere"},
    "models.publish_many": lambda world: {"ids": [world.new_model(task=world.new_task()), "nothing"]},
    "models.set_ready": lambda world: {"model": world.new_model(task=world.new_task()), "force_publish_task": True},
    "models.unarchive_many": lambda world: world.archived("models", world.new_model()),
    "models.update": _model_and_more(comment="c"),
    "models.update_for_task": lambda world: {"task": world.task, "comment": "c"},
    "models.update_tags": lambda world: {"ids": [world.new_model()], "add_tags": ["x"]},
    "organization.download_for_get_all": Calls.table,
    "organization.get_entities_count": lambda world: {
        name: {} for name in ("projects", "tasks", "models", "pipelines", "datasets", "reports")
    },
    "organization.get_tags": lambda world: {"include_system": True},
    "organization.prepare_download_for_get_all": lambda world: _TABLE,
    "pipelines.delete_runs": Calls.pipeline,
    "pipelines.start_pipeline": lambda world: {
        "task": world.new_task(type="controller"),
        "queue": world.queue,
        "args": [{"name": "a", "value": "1"}],
        "verify_watched_queue": True,
    },
    "projects.create": lambda world: {"name": uuid4().hex},
    "projects.delete": lambda world: {"project": world.new_project()},
    "projects.get_all": lambda world: {"search_hidden": True},
    "projects.get_all_ex": lambda world: _EVERY_STAT,
    "projects.get_by_id": _project,
    "projects.get_hyper_parameters": _project,
    "projects.get_hyperparam_values": lambda world: {"section": "Args", "name": "lr"},
    "projects.get_model_metadata_keys": _project,
    "projects.get_model_metadata_values": lambda world: {"key": "k"},
    "projects.get_model_tags": _of_project,
    "projects.get_project_tags": _of_project,
    "projects.get_task_tags": _of_project,
    "projects.make_private": lambda world: world.public("projects", world.new_project()),
    "projects.make_public": lambda world: {"ids": [world.new_project()]},
    "projects.merge": lambda world: {"project": world.new_project(), "destination_project": world.project},
    "projects.move": lambda world: {"project": world.new_project(), "new_location": "elsewhere"},
    "projects.update": lambda world: {"project": world.project, "description": "e"},
    "projects.validate_delete": _project,
    "queues.add_or_update_metadata": lambda world: {"queue": world.queue, "metadata": [_METADATA]},
    "queues.add_task": lambda world: {"queue": world.queue, "task": world.new_task()},
    "queues.clear_queue": lambda world: {"queue": world.new_queue()},
    "queues.create": lambda world: {"name": uuid4().hex},
    "queues.delete": lambda world: {"queue": world.new_queue(), "force": True},
    "queues.delete_metadata": lambda world: {"queue": world.new_queue(), "keys": ["k"]},
    "queues.get_by_id": _queue,
    "queues.get_next_task": lambda world: {"queue": world.new_queue(), "get_task_info": True},
    "queues.get_num_entries": _queue,
    "queues.get_queue_metrics": lambda world: {**_SPAN, "queue_ids": [world.queue]},
    "queues.move_task_backward": Calls.queued,
    "queues.move_task_forward": Calls.queued,
    "queues.move_task_to_back": Calls.queued,
    "queues.move_task_to_front": Calls.queued,
    "queues.peek_task": _queue,
    "queues.remove_task": Calls.queued,
    "queues.update": lambda world: {"queue": world.queue, "tags": ["u"]},
    "reports.archive": _new_report(),
    "reports.create": lambda world: {"name": "a report", "project": world.project},
    "reports.delete": _new_report(),
    "reports.get_task_data": lambda world: {"id": [world.task], **_DATA},
    "reports.move": _new_report(project_name="elsewhere"),
    "reports.publish": _new_report(),
    "reports.unarchive": _new_report(),
    "reports.update": _new_report(comment="x"),
    "serving.container_status_report": _reporting,
    "serving.get_endpoint_details": lambda world: {"endpoint_url": URL},
    "serving.get_endpoint_metrics_history": lambda world: {"endpoint_url": URL, **_SPAN},
    "serving.register_container": lambda world: {**_CONTAINER, "container_id": "loading", "endpoint_name": "e"},
    "serving.unregister_container": lambda world: {"container_id": world.container()},
    "storage.set_settings": lambda world: _SETTINGS,
    "tasks.add_or_update_artifacts": _new_task(artifacts=[_ARTIFACT]),
    "tasks.add_or_update_model": _new_task(name="in", model="some", type="input"),
    "tasks.archive": lambda world: {"tasks": [world.new_task()]},
    "tasks.archive_many": _many_tasks(),
    "tasks.clone": lambda world: {"task": world.task, "new_project_name": "elsewhere"},
    "tasks.close": _running(),
    "tasks.completed": _running(publish=True),
    "tasks.create": lambda world: {"name": "a task", "type": "training"},
    "tasks.delete": _new_task(return_file_urls=True),
    "tasks.delete_artifacts": _new_task(artifacts=[{"key": "data"}]),
    "tasks.delete_configuration": _new_task(configuration=["net"]),
    "tasks.delete_hyper_params": _new_task(hyperparams=[{"section": "Args"}]),
    "tasks.delete_many": _many_tasks(return_file_urls=True),
    "tasks.delete_models": _new_task(models=[{"name": "in", "type": "input"}]),
    "tasks.dequeue": lambda world: {"task": world.queued()["task"]},
    "tasks.dequeue_many": lambda world: {"ids": [world.queued()["task"], "nothing"]},
    "tasks.edit": _new_task(comment="x"),
    "tasks.edit_configuration": _new_task(configuration=[_CONFIGURATION]),
    "tasks.edit_hyper_params": _new_task(hyperparams=[_PARAM]),
    "tasks.enqueue": lambda world: {"task": world.new_task(), "queue": world.queue, "verify_watched_queue": True},
    "tasks.enqueue_many": lambda world: {
        "ids": [world.new_task(), "nothing"],
        "queue": world.queue,
        "verify_watched_queue": True,
    },
    "tasks.failed": _running(),
    "tasks.get_all": lambda world: {"search_hidden": True, "page_size": 30},
    "tasks.get_all_ex": lambda world: {"page_size": 30},
    "tasks.get_by_id": _task,
    "tasks.get_by_id_ex": lambda world: {"id": [world.task]},
    "tasks.get_configuration_names": _tasks,
    "tasks.get_configurations": _tasks,
    "tasks.get_hyper_params": _tasks,
    "tasks.make_private": lambda world: world.public("tasks", world.new_task()),
    "tasks.make_public": lambda world: {"ids": [world.new_task()]},
    "tasks.move": lambda world: {"ids": [world.new_task()], "project_name": "elsewhere"},
    "tasks.ping": _task,
    "tasks.publish": lambda world: {"task": world.running(), "force": True},
    "tasks.publish_many": _many_running(force=True),
    "tasks.reset": _running(return_file_urls=True),
    "tasks.reset_many": _many_running(return_file_urls=True),
    "tasks.set_requirements": _new_task(requirements={"pip": "y"}),
    "tasks.started": _new_task(),
    "tasks.stop": _running(),
    "tasks.stop_many": _many_running(),
    "tasks.stopped": _running(),
    "tasks.unarchive_many": lambda world: world.archived("tasks", world.new_task()),
    "tasks.update": _new_task(comment="x"),
    "tasks.update_tags": lambda world: {"ids": [world.new_task()], "add_tags": ["x"]},
    "tasks.validate": lambda world: {"name": "a task", "type": "training"},
    "users.create": lambda world: {"id": uuid4().hex, "company": world.company, "name": "someone"},
    "users.delete": lambda world: {"user": world.new_user()},
    "users.get_by_id": lambda world: {"user": world.new_user()},
    "users.set_preferences": lambda world: {"preferences": {"a": 1}},
    "users.update": lambda world: {"user": world.new_user(), "name": "other"},
    "workers.get_activity_report": lambda world: _SPAN,
    "workers.get_stats": lambda world: {
        **_SPAN,
        "items": [{"key": "cpu_usage", "category": "avg"}],
        "split_by_variant": True,
    },
    "workers.register": lambda world: {"worker": "other:0"},
    "workers.status_report": lambda world: {"worker": "other:0", "timestamp": MOMENT},
    "workers.unregister": lambda world: {"worker": world.worker()},
}
