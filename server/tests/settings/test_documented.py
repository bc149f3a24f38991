"""What the documents of ClearML servers tell operators to write works as it stands there, and has the effect they name.

The texts are those of the page "Configuring ClearML Server".
"""

from collections.abc import Callable

import pytest

from trainshed import bootstrap
from trainshed.bootstrap import Engines
from trainshed.services import Services
from trainshed.settings import Settings
from trainshed.testing.api import ApiClient, CallFailed

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


@pytest.mark.parametrize(
    "given", ["my-new-secret", '"my-new-secret"'], ids=["as a shell passes it", "as it is written"]
)
def test_a_secret_in_a_variable(configure: Callable[..., Settings], given: str) -> None:
    secrets = configure(CLEARML__SECURE__AUTH__TOKEN_SECRET=given)
    assert secrets.token_secret == "my-new-secret"
    assert "my-new-secret" not in repr(secrets)


def test_the_variables_of_the_engines(configure: Callable[..., Settings]) -> None:
    names = [
        f"CLEARML_{engine}_SERVICE_{what}" for engine in ("MONGODB", "ELASTIC", "REDIS") for what in ("HOST", "PORT")
    ]
    assert configure(**dict.fromkeys(names, "1")) == configure()
