"""Who may do what, endpoint by endpoint: what reads changes nothing, and who may only read can change nothing."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from trainshed.adapters.memory.blobs import MemoryBlobs
from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.bootstrap import build_apps, build_services
from trainshed.domain.identity import Role
from trainshed.ports.documents import COLLECTIONS
from trainshed.testing.api import QUICK, TOKEN_SECRET, ApiClient, memory_engines, serve
from trainshed.testing.calls import Calls
from trainshed.transport.table import ENDPOINTS, Effect

ONLY_READ = [role for role in Role if role.only_reads]
KNOWN = {name: entry for name, entry in ENDPOINTS.items() if entry.login}
# The caller's own, and who has logged in when: reading notes them.
OWN = {"logins", "credentials", "tickets"}


class World:
    """One world of everything, seen by callers of each role."""

    def __init__(self, root: ApiClient) -> None:
        self.root = root
        root.call("queues.get_default")  # a server makes it at its first start
        self.calls = Calls(root)
        self.callers = {role: serve(root.engines, role=role) for role in Role}

    def stored(self) -> dict[str, Any]:
        """Every document, and the events of the task."""
        documents = self.root.engines.documents
        assert isinstance(documents, MemoryDocuments)
        found = {name: documents.find(name) for name in COLLECTIONS if name not in OWN}
        return {**found, "log": self.root.call("events.get_task_log", task=self.calls.task)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    engines = memory_engines(tmp_path_factory.mktemp("world"))
    yield World(serve(engines, role=Role.SYSTEM))
    engines.close()


def test_what_asks_nobody_who_it_is() -> None:
    assert ENDPOINTS.keys() - KNOWN == {
        *("debug.ping", "server.info"),
        # What a page of login needs.
        *("accounts.get_modes", "accounts.login", "accounts.login_by_name", "accounts.redeem"),
        *("auth.fixed_users_mode", "login.supported_modes", "login.logout"),
    }


@pytest.mark.parametrize("name", KNOWN)
def test_each_role_is_let_in_or_not(world: World, name: str) -> None:
    entry = KNOWN[name]
    for role, caller in world.callers.items():
        allowed = role in entry.roles and (entry.effect is not Effect.CHANGES or not role.only_reads)
        # Lines of a batch are judged one by one.
        of_lines = {"events.add_batch": (400, 131), "tasks.update_batch": (400, 12)}
        expected = of_lines.get(name, (400, 0)) if allowed else (403, 20)
        assert caller.send(f"/{name}", b'{"": not even JSON').pair == expected, role


@pytest.mark.parametrize("name", [name for name, entry in KNOWN.items() if entry.effect is Effect.CHANGES])
def test_a_viewer_changes_nothing(world: World, name: str) -> None:
    arguments = world.calls.arguments(name)
    before = world.stored()
    for role in ONLY_READ:
        assert world.callers[role].error(name, **arguments) == (403, 20)
    assert world.stored() == before


@pytest.mark.parametrize("name", [name for name, entry in ENDPOINTS.items() if entry.effect is Effect.READS])
def test_what_reads_changes_nothing(world: World, name: str) -> None:
    arguments = world.calls.arguments(name)
    before = world.stored()
    entry = ENDPOINTS[name]
    role = Role.VIEWER if Role.VIEWER in entry.roles else Role.SYSTEM
    assert world.callers[role].error(name, **arguments)[0] in (200, 400)
    assert world.stored() == before


def test_a_viewer_has_an_account_of_its_own(world: World) -> None:
    viewer = world.callers[Role.VIEWER]
    viewer.call("users.set_preferences", preferences={"a": 1})
    key = viewer.call("auth.create_credentials", label="mine")["credentials"]["access_key"]
    viewer.call("auth.revoke_credentials", access_key=key)
    assert viewer.error("users.update", user=viewer.user, name="me") == (200, 0)
    assert viewer.error("users.update", user=world.root.user, name="theirs") == (403, 20)


@pytest.mark.parametrize("role", Role)
def test_files_of_each_role(role: Role, tmp_path_factory: pytest.TempPathFactory) -> None:
    engines = memory_engines(tmp_path_factory.mktemp("files"))
    caller = serve(engines, role=role)
    apps = build_apps(engines, build_services(engines, token_secret=TOKEN_SECRET, policy=QUICK))
    assert isinstance(engines.blobs, MemoryBlobs)
    engines.blobs.put("a/b", [b"content"])
    http = apps["files"].test_client(use_cookies=False)
    sent = {"Authorization": caller.authorization}
    assert http.get("/a/b", headers=sent).status_code == 200
    refused = 403 if role.only_reads else 200
    assert http.put("/a/c", data=b"x", headers=sent).status_code == refused
    assert http.post("/", data={"/a/d": (BytesIO(b"x"), "/a/d")}, headers=sent).status_code == refused
    assert http.post("/delete_many", json={"files": ["a/c"]}, headers=sent).status_code == refused
    assert http.delete("/a/b", headers=sent).status_code == refused
