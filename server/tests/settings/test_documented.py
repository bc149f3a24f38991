"""What the documents of ClearML servers tell operators to write works as it stands there, and has the effect they name.

The texts are those of the page "Configuring ClearML Server".
"""

from collections.abc import Callable

import pytest
from werkzeug.test import Client

from trainshed import bootstrap
from trainshed.bootstrap import Engines
from trainshed.services import Services
from trainshed.settings import Settings
from trainshed.testing.api import ApiClient, CallFailed, basic
from trainshed.testing.examples import COOKIES, HASHED, PLAIN

Served = Callable[[Settings, Engines], tuple[ApiClient, Services]]

WATCHDOG = """
        tasks {
            non_responsive_tasks_watchdog {
                # In-progress tasks that haven't been updated for at least 'value' seconds will be stopped by the watchdog
                threshold_sec: 7200
        
                # Watchdog will sleep for this number of seconds after each cycle
                watch_interval_sec: 900
            }
        }
"""  # noqa: W293 - as it stands there
LIMIT = """
tasks {
   "multi_task_histogram_limit": 3
}
"""


def test_the_watchdog(configure: Callable[..., Settings], engines: Engines, served: Served) -> None:
    settings = configure({"services": WATCHDOG.replace("7200", "100").replace("900", "50")})
    assert settings.watchdog_seconds == 50
    api, _ = served(settings, engines)
    task = api.call("tasks.create", name="a task", type="training")["id"]
    api.call("tasks.started", task=task)
    watchdog = bootstrap.configured_services(settings, engines).watchdog
    for seconds, status in ((99, "in_progress"), (2, "stopped")):
        api.move_clock(seconds)
        watchdog.look()
        assert api.call("tasks.get_by_id", task=task)["task"]["status"] == status
    assert configure({"services": WATCHDOG}) == configure({"services": ""})


def test_the_limit_of_compared_tasks(configure: Callable[..., Settings], engines: Engines, served: Served) -> None:
    api, _ = served(configure({"services": LIMIT}), engines)
    tasks = [api.call("tasks.create", name="a task", type="training")["id"] for _ in range(4)]
    api.call("events.multi_task_scalar_metrics_iter_histogram", tasks=tasks[:3])
    with pytest.raises(CallFailed, match="at most 3 tasks"):
        api.call("events.multi_task_scalar_metrics_iter_histogram", tasks=tasks)


def test_the_cookie_behind_sub_domains(configure: Callable[..., Settings], engines: Engines, served: Served) -> None:
    balancer = {"CLEARML__APISERVER__LISTEN__IP": "0.0.0.0", "CLEARML__TRAINSHED__PROXIES__TRUSTED": "10.0.0.0/8"}
    settings = configure({"apiserver": COOKIES + PLAIN}, **balancer, CLEARML__TRAINSHED__ACCOUNTS__PASSWORD_ROUNDS="10")
    _, services = served(settings, engines)
    apps = bootstrap.build_apps(engines, services, settings.accounts)
    front = bootstrap.build_fronts(settings, engines, apps, bootstrap.advertised(settings))["api"]
    reply = Client(front).post(
        "/auth.login",
        headers={
            "Host": "api.clearml.mydomain.com",
            "Origin": "https://app.clearml.mydomain.com",
            "X-Forwarded-Proto": "https",
            "Authorization": basic("jane", "12345678"),
        },
        environ_base={"REMOTE_ADDR": "10.0.0.7"},
    )
    _, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "Secure", "Domain=clearml.mydomain.com", "Max-Age=99999999999"} <= {*attributes}


@pytest.mark.parametrize(
    ("text", "password", "users"),
    [(PLAIN, "12345678", ["jane", "john"]), (HASHED, "123456", ["jane"])],
    ids=["plain", "hashed"],
)
def test_fixed_users(
    configure: Callable[..., Settings], engines: Engines, served: Served, text: str, password: str, users: list[str]
) -> None:
    api, _ = served(configure({"apiserver": text}, CLEARML__TRAINSHED__ACCOUNTS__PASSWORD_ROUNDS="10"), engines)
    for user in users:
        token = api.authorized(basic(user, password)).call("auth.login")["token"]
        shown = api.authorized(f"Bearer {token}").call("users.get_current_user")["user"]
        assert shown["name"] == f"{user.title()} Doe"
    assert api.authorized(basic("jane", "another")).error("auth.login")[0] == 401
    assert api.error("users.get_current_user")[0] == 401, "no other user"


@pytest.mark.parametrize(
    "given", ["my-new-secret", '"my-new-secret"'], ids=["as a shell passes it", "as it is written"]
)
def test_a_secret_in_a_variable(
    configure: Callable[..., Settings], engines: Engines, served: Served, given: str
) -> None:
    settings = configure(CLEARML__SECURE__CREDENTIALS__APISERVER__USER_SECRET=given)
    assert "my-new-secret" not in repr(settings)
    api, _ = served(settings, engines)
    caller = api.authorized(basic("apiserver", "my-new-secret"))
    assert caller.call("users.get_current_user")["user"]["role"] == "system"
    assert api.authorized(basic("apiserver", "default-secret")).error("auth.login")[0] == 401
    assert api.authorized(basic("fileserver", "")).error("auth.login")[0] == 401


def test_the_variables_of_the_engines(configure: Callable[..., Settings]) -> None:
    names = [
        f"CLEARML_{engine}_SERVICE_{what}" for engine in ("MONGODB", "ELASTIC", "REDIS") for what in ("HOST", "PORT")
    ]
    assert configure(**dict.fromkeys(names, "1")) == configure()
