"""What the server says of itself, and to whom."""

import pytest

from trainshed.bootstrap import Engines
from trainshed.domain.identity import Role
from trainshed.testing.api import ApiClient, serve
from trainshed.transport.table import ENDPOINTS

MEMORY = pytest.mark.parametrize("engines", ["memory"], indirect=True)
RESTRICTED = [name for name, entry in ENDPOINTS.items() if entry.roles < frozenset(Role)]


@MEMORY
@pytest.mark.parametrize("role", Role)
def test_each_endpoint_answers_its_roles_alone(engines: Engines, role: Role) -> None:
    caller = serve(engines, role=role)
    for name in RESTRICTED:
        allowed = role in ENDPOINTS[name].roles
        assert (caller.error(name) != (403, 20)) is allowed, name


def test_what_is_restricted() -> None:
    assert {name for name in RESTRICTED if not name.startswith("accounts.")} == {
        "auth.create_user",
        "auth.edit_user",
        "auth.get_token_for_user",
        "auth.validate_token",
        "server.config",
        "server.endpoints",
        "server.get_stats",
        "users.create",
        "users.delete",
    }


@MEMORY
def test_a_page_of_login_asks_who_is_there(api: ApiClient) -> None:
    assert api.call("login.supported_modes")["authenticated"] is True
    stranger = api.authorized("")
    assert stranger.call("login.supported_modes")["authenticated"] is False
    assert api.authorized("Bearer junk").call("login.supported_modes")["authenticated"] is False
    assert stranger.call("auth.fixed_users_mode") == {"enabled": False, "server_errors": {}}


@MEMORY
def test_logout_of_the_web_app(api: ApiClient) -> None:
    assert api.authorized("").error("login.logout") == (200, 0)
    assert api.error("login.logout") == (200, 0)
    assert api.error("users.get_current_user") == (401, 31)


@MEMORY
def test_for_operators(engines: Engines) -> None:
    root = serve(engines, role=Role.ROOT)
    root.call("tasks.create", name="one", type="training")
    assert root.call("server.get_stats") == {"users": 1, "projects": 0, "tasks": 1, "models": 0, "queues": 0}
    root.move_clock(60)
    root.call("tasks.create", name="two", type="training")
    assert [root.call("server.get_stats", interval=seconds)["tasks"] for seconds in (-1, 59, 60, 2**63 - 1)] == [
        1,
        1,
        2,
        2,
    ]
    assert root.call("server.endpoints")["endpoints"]["users.delete"] == {
        "since": "1.0",
        "login": True,
        "roles": ["system", "root"],
    }
    assert root.call("server.config")["listing"]["max_rows"] == 500
    assert root.call("server.config", path="listing.max_rows") == 500
    assert root.call("server.config", path="no.such") == {}
    assert root.call("server.report_stats_option", enabled=True)["enabled"] is False
