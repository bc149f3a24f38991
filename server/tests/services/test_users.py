"""Users: who is there, what they prefer, and who may change them."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.domain.identity import DEFAULT_COMPANY, Role
from trainshed.services.accounts.policy import Tokens
from trainshed.testing.api import ApiClient, Json, serve


@pytest.fixture
def root(engines: Engines) -> ApiClient:
    return serve(engines, role=Role.ROOT)


def new_user(root: ApiClient, **fields: Any) -> str:
    required = {"name": "Ada", "company": DEFAULT_COMPANY, "email": "ada@example.org"}
    user: str = root.call("auth.create_user", **{**required, **fields})["id"]
    return user


def names(api: ApiClient, endpoint: str = "users.get_all", **arguments: Any) -> list[str]:
    return [user["name"] for user in api.call(endpoint, order_by=["name"], **arguments)["users"]]


def test_a_new_user(root: ApiClient) -> None:
    user = new_user(root, family_name="Lovelace", role="superuser")
    found = root.call("users.get_by_id", user=user)["user"]
    assert found == {
        "id": user,
        "name": "Ada",
        "given_name": "",
        "family_name": "Lovelace",
        "email": "ada@example.org",
        "role": "superuser",
        "company": DEFAULT_COMPANY,
        "created": found["created"],
    }


def test_a_user_with_a_given_id(root: ApiClient) -> None:
    fields = {"id": "ada", "company": DEFAULT_COMPANY, "name": "Ada"}
    assert root.error("users.create", **fields) == (200, 0)
    assert root.error("users.create", **fields) == (400, 302)
    assert root.call("users.get_by_id", user="ada")["user"]["role"] == "user"


@pytest.mark.parametrize(
    ("fields", "pair"),
    [
        ({"email": "nobody"}, (400, 22)),
        ({"email": "a b@c"}, (400, 22)),
        ({"company": "another"}, (400, 12)),
        ({"name": " "}, (400, 800)),
        ({"role": "root"}, (400, 12)),
    ],
    ids=str,
)
def test_a_user_that_does_not_validate(root: ApiClient, fields: Json, pair: tuple[int, int]) -> None:
    required = {"name": "Ada", "company": DEFAULT_COMPANY, "email": "ada@example.org"}
    assert root.error("auth.create_user", **{**required, **fields}) == pair
    assert names(root) == ["tester"]


def test_listing(root: ApiClient) -> None:
    user = new_user(root)
    new_user(root, name="Bob")
    assert names(root) == ["Ada", "Bob", "tester"]
    assert names(root, name="^A") == names(root, id=[user]) == ["Ada"]
    assert names(root, page=1, page_size=1) == ["Bob"]
    assert root.call("users.get_all", id=[user], only_fields=["name"])["users"] == [{"id": user, "name": "Ada"}]


def test_users_active_in_projects(api: ApiClient, root: ApiClient) -> None:
    parent = api.call("projects.create", name="parent")["id"]
    inner = api.call("projects.create", name="parent/inner")["id"]
    api.call("tasks.create", name="mine", type="training", project=inner)
    root.call("users.update", user=root.user, name="modeller")
    root.call("models.create", name="mine", uri="u")
    active = "users.get_all_ex"
    assert names(api, active) == names(api, active, active_in_projects=[]) == ["modeller", "tester"]
    new_user(root)
    assert names(api, active, active_in_projects=[]) == ["modeller", "tester"]
    assert names(api, active, active_in_projects=[parent]) == ["tester"]
    assert names(api, active, active_in_projects=["none"]) == []


def test_names_are_changed_by_their_owner_and_by_administrators(api: ApiClient, engines: Engines) -> None:
    plain = serve(engines, role=Role.USER)
    reply = plain.call("users.update", user=plain.user, name="me", avatar="a.png")
    assert reply == {"updated": 1, "fields": {"name": "me", "avatar": "a.png"}}
    assert plain.error("users.update", user=api.user, name="theirs") == (403, 20)
    assert api.error("users.update", user=plain.user, name="renamed") == (200, 0)
    assert api.call("users.get_by_id", user=plain.user)["user"]["name"] == "renamed"
    for endpoint in ("users.get_by_id", "users.update"):
        assert api.error(endpoint, user="none") == (400, 301)


# preferences


def test_preferences_merge_at_the_top_level(api: ApiClient) -> None:
    assert api.call("users.get_preferences") == {"preferences": {}}
    api.call("users.set_preferences", preferences={"views": {"a": 1, "b": 2}, "x.y/$": "kept"})
    api.call("users.set_preferences", preferences={"views": {"c": 3}, "gone": None})
    expected = {"views": {"c": 3}, "x.y/$": "kept", "gone": None}
    assert api.call("users.get_preferences") == {"preferences": expected}
    assert api.call("users.get_current_user")["user"]["preferences"] == expected


def test_preferences_are_ones_own(api: ApiClient, root: ApiClient) -> None:
    api.call("users.set_preferences", preferences={"a": 1})
    assert root.call("users.get_preferences") == {"preferences": {}}


# roles


def test_another_role_holds_from_the_next_call(api: ApiClient, engines: Engines) -> None:
    other = serve(engines, role=Role.ADMIN)
    assert api.call("auth.edit_user", user=other.user, role="user") == {"updated": 1, "fields": {"role": "user"}}
    assert other.call("users.get_current_user")["user"]["role"] == "user"
    assert other.error("auth.edit_user", user=other.user, role="admin") == (403, 20)


def test_nobody_unmakes_one_who_may_do_more(api: ApiClient, root: ApiClient) -> None:
    assert api.error("auth.edit_user", user=root.user, role="user") == (403, 20)
    assert root.error("auth.edit_user", user=api.user, role="user") == (200, 0)


def test_a_deleted_user_is_out_within_seconds(api: ApiClient, root: ApiClient) -> None:
    task = api.call("tasks.create", name="stays", type="training")["id"]
    root.call("users.delete", user=api.user)  # by another process
    api.move_clock(Tokens().remember)
    assert api.error("users.get_current_user") == (401, 30)
    assert root.error("users.get_by_id", user=api.user) == (400, 301)
    assert root.error("tasks.get_by_id", task=task) == (200, 0)


def test_a_token_for_somebody_else(api: ApiClient, root: ApiClient) -> None:
    token = root.call("auth.get_token_for_user", user=api.user)["token"]
    assert root.call("auth.validate_token", token=token) == {
        "valid": True,
        "user": api.user,
        "company": DEFAULT_COMPANY,
    }
    assert api.authorized(f"Bearer {token}").call("users.get_current_user")["user"]["id"] == api.user
    assert root.call("auth.validate_token", token=token + "x") == {"valid": False}
    assert root.error("auth.get_token_for_user", user="none") == (400, 301)
    assert root.error("auth.get_token_for_user", user=api.user, company="other") == (400, 301)
