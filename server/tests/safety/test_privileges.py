"""What roles and bad credentials open: nothing but what is named here. A new endpoint is closed until it says otherwise."""

import pytest

from trainshed.domain.identity import Role
from trainshed.testing.api import ApiClient, basic, serve
from trainshed.transport.table import ENDPOINTS, Effect, Entry
from trainshed.transport.wire.common import Empty

MEMORY = pytest.mark.parametrize("engines", ["memory"], indirect=True)
# Each name here is a decision: whoever adds one says so twice.
TO_ADMINISTRATORS = {
    "accounts.create",
    "accounts.delete",
    "accounts.disable",
    "accounts.enable",
    "accounts.get_all",
    "accounts.get_credentials",
    "accounts.invite",
    "accounts.reset_password",
    "accounts.revoke_credentials",
    "accounts.set_role",
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
# What a viewer may do to its own account, besides what reads.
OWN = {
    "accounts.change_password",
    "auth.create_credentials",
    "auth.edit_credentials",
    "auth.logout",
    "auth.revoke_credentials",
    "login.logout",
    "users.set_preferences",
    "users.update",
}
_UNSIGNED = "eyJhbGciOiJub25lIn0.eyJpZGVudGl0eSI6eyJ1c2VyIjoiX19yb290X18ifX0."
BAD = {
    "another scheme": "Digest username=root",
    "no token": "Bearer x",
    "an unsigned token": f"Bearer {_UNSIGNED}",
    "an empty token": "Bearer ",
    "a key that is not there": basic("A" * 20, "x" * 50),
    "no base64": "Basic !!!",
}


def test_a_new_endpoint_is_closed() -> None:
    new = Entry(lambda call, request: None, Empty)
    assert new.login is True
    assert new.effect is Effect.CHANGES  # so a cookie alone does not reach it
    assert [role for role in Role if new.allows(role)] == [role for role in Role if not role.only_reads]


def test_what_users_may_not_call() -> None:
    assert {name for name, entry in ENDPOINTS.items() if Role.USER not in entry.roles} == TO_ADMINISTRATORS
    assert {name for name, entry in ENDPOINTS.items() if Role.VIEWER not in entry.roles} == TO_ADMINISTRATORS


def test_what_viewers_may_change() -> None:
    changing = {name for name, entry in ENDPOINTS.items() if entry.allows(Role.VIEWER) and entry.effect is Effect.OWN}
    assert changing == OWN


@MEMORY
@pytest.mark.parametrize("kind", BAD)
def test_bad_credentials_open_nothing(api: ApiClient, kind: str) -> None:
    """Wherever somebody must be known; elsewhere they are as none."""
    caller = api.authorized(BAD[kind])
    for name, entry in ENDPOINTS.items():
        code, _ = caller.send(f"/{name}", b'{"": not even JSON').pair
        assert code == (401 if entry.login else 400), name


@MEMORY
def test_a_caller_of_the_past_is_a_stranger(api: ApiClient) -> None:
    """Deleted, with a token and a key that were good."""
    root = serve(api.engines, role=Role.SYSTEM)
    root.call("users.delete", user=api.user)
    for authorization in (api.authorization, basic(api.keys.access_key, api.keys.secret_key)):
        caller = api.authorized(authorization)
        assert {caller.send(f"/{name}", b"{}").pair[0] for name, entry in ENDPOINTS.items() if entry.login} == {401}
