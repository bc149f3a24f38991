"""Who may call: access keys, tokens, and every way of getting them wrong."""

import base64
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from trainshed.bootstrap import Engines, build_services
from trainshed.domain.identity import DEFAULT_COMPANY, Identity, Role
from trainshed.services.accounts import DEFAULT_LIFETIME, MAX_LIFETIME, KeyPair
from trainshed.testing.api import TOKEN_SECRET, ApiClient, CallFailed, Json, basic, serve, sqlite_engines
from trainshed.transport.api import create_api_app

DAY = 24 * 3600


def login(api: ApiClient, authorization: str, **fields: Any) -> ApiClient:
    """The same server, called with the token that the login gives."""
    token = api.authorized(authorization).call("auth.login", **fields)["token"]
    return api.authorized(f"Bearer {token}")


def by_key(api: ApiClient) -> str:
    return basic(api.keys.access_key, api.keys.secret_key)


def pair_of(api: ApiClient, authorization: str) -> tuple[int, int]:
    return api.authorized(authorization).error("users.get_current_user")


def claims(api: ApiClient) -> Json:
    payload: Json = jwt.decode(api.authorization.split()[1], options={"verify_signature": False})
    return payload


def forged(api: ApiClient, *, secret: bytes = TOKEN_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """The client's own token with other claims (None: without), signed anew."""
    changed = {name: value for name, value in {**claims(api), **changes}.items() if value is not None}
    return "Bearer " + jwt.encode(changed, "" if algorithm == "none" else secret, algorithm=algorithm)


# the first login


def test_a_key_gives_a_token_that_works(api: ApiClient) -> None:
    caller = login(api, by_key(api))
    assert caller.call("users.get_current_user")["user"]["id"] == api.user


def test_a_token_tells_the_client_which_dialect_to_speak(api: ApiClient) -> None:
    payload = claims(login(api, by_key(api)))
    assert payload["api_version"] == "2.31"
    assert payload["server_version"].count(".") == 2
    assert payload["feature_set"] == "basic"
    assert payload["identity"]["user"] == api.user
    assert payload["identity"]["role"] == "admin"


def test_login_by_get_without_a_body(api: ApiClient) -> None:
    reply = api.authorized(by_key(api)).send("/auth.login?expiration_sec=600", method="GET")
    payload = jwt.decode(reply.data["token"], options={"verify_signature": False})
    assert payload["exp"] - payload["iat"] == 600


@pytest.mark.parametrize(
    ("authorization", "pair"),
    [
        ("", (401, 20)),
        ("Basic", (401, 21)),
        ("Basic !!!", (401, 21)),
        ("Basic " + base64.b64encode(b"no colon").decode(), (401, 21)),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), (401, 21)),
        (basic("", ""), (401, 22)),
        (basic("nobody", "nothing"), (401, 22)),
        (basic("nobody\0", "nothing"), (401, 22)),
        (basic("x" * 100_000, "y" * 100_000), (401, 22)),
        ("Bearer", (401, 30)),
        ("Bearer x.y.z", (401, 30)),
        ("Bearer " + "é" * 100, (401, 30)),
        ("Digest username=x", (401, 10)),
        ("nonsense", (401, 10)),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.usefixtures("no_stack_traces")
def test_what_is_no_login(api: ApiClient, authorization: str, pair: tuple[int, int]) -> None:
    assert pair_of(api, authorization) == pair


def test_a_wrong_secret_and_a_wrong_key_look_the_same(api: ApiClient) -> None:
    answers = []
    for access, secret in ((api.keys.access_key, "wrong"), ("wrong", api.keys.secret_key), (api.keys.access_key, "")):
        with pytest.raises(CallFailed) as failed:
            api.authorized(basic(access, secret)).call("auth.login")
        answers.append((failed.value.pair, str(failed.value)))
    assert answers == [((401, 22), answers[0][1])] * 3


# forged and foreign tokens


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": b"another secret, which is long enough"},
        {"algorithm": "none"},
        {"algorithm": "HS512"},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"identity": None},
        {"identity": "admin"},
        {"identity": {}},
        {"identity": {"user": "x", "company": "y", "role": "emperor", "user_name": "z"}},
        {"exp": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("engines", ["memory"], indirect=True)
@pytest.mark.usefixtures("no_stack_traces")
def test_tokens_that_are_not_ours(api: ApiClient, changes: Json) -> None:
    assert pair_of(api, forged(api, **changes)) == (401, 30)


def test_a_token_of_another_company_sees_nothing(api: ApiClient) -> None:
    task = api.call("tasks.create", name="ours alone", type="training")["id"]
    identity = {**claims(api)["identity"], "company": "f" * 32}
    stranger = api.authorized(forged(api, identity=identity))
    assert stranger.error("tasks.get_by_id", task=task) == (400, 101)
    assert stranger.error("tasks.edit", task=task, name="theirs") == (400, 101)
    assert stranger.error("events.get_task_log", task=task) == (400, 101)
    assert stranger.call("tasks.get_all", id=[task]) == {"tasks": []}


# lifetimes


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (None, DEFAULT_LIFETIME),
        (0, DEFAULT_LIFETIME),
        (-5, DEFAULT_LIFETIME),
        (1, 1),
        (DAY, DAY),
        (10 * MAX_LIFETIME, MAX_LIFETIME),
        (10**30, MAX_LIFETIME),
    ],
)
def test_lifetimes(api: ApiClient, asked: int | None, seconds: int) -> None:
    payload = claims(login(api, by_key(api), expiration_sec=asked))
    assert payload["exp"] - payload["iat"] == seconds


def test_a_token_ends_with_its_lifetime(api: ApiClient) -> None:
    caller = login(api, by_key(api), expiration_sec=DAY)
    api.move_clock(DAY - 1)
    assert caller.error("users.get_current_user") == (200, 0)
    api.move_clock(1)
    assert caller.error("users.get_current_user") == (401, 30)
    assert caller.error("auth.login") == (401, 30)


def test_a_token_renews_itself(api: ApiClient) -> None:
    first = login(api, by_key(api), expiration_sec=DAY)
    second = login(api, first.authorization, expiration_sec=DAY * 2)
    api.move_clock(DAY)
    assert first.error("users.get_current_user") == (401, 30)
    assert second.error("users.get_current_user") == (200, 0)


# the end of keys and tokens


def test_logout_ends_this_token_alone(api: ApiClient) -> None:
    one, other = login(api, by_key(api)), login(api, by_key(api))
    one.call("auth.logout")
    assert one.error("users.get_current_user") == (401, 31)
    assert other.error("users.get_current_user") == (200, 0)
    assert api.authorized(by_key(api)).error("auth.logout") == (200, 0)


def test_a_revoked_key_ends_with_its_tokens_and_those_renewed_by_them(api: ApiClient) -> None:
    key = api.call("auth.create_credentials", label="laptop")["credentials"]
    authorization = basic(key["access_key"], key["secret_key"])
    token = login(api, authorization)
    renewed = login(api, token.authorization)
    api.call("auth.revoke_credentials", access_key=key["access_key"])
    assert pair_of(api, authorization) == (401, 22)
    assert token.error("users.get_current_user") == (401, 31)
    assert renewed.error("users.get_current_user") == (401, 31)
    assert api.error("users.get_current_user") == (200, 0)
    assert api.error("auth.revoke_credentials", access_key=key["access_key"]) == (400, 75)


def test_keys_are_listed_without_their_secrets(api: ApiClient) -> None:
    key = api.call("auth.create_credentials", label="laptop")["credentials"]
    login(api, basic(key["access_key"], key["secret_key"]))
    listed = {item["access_key"]: item for item in api.call("auth.get_credentials")["credentials"]}
    assert listed[key["access_key"]]["label"] == "laptop"
    assert listed[key["access_key"]]["last_used"]
    assert key["secret_key"] not in str(listed)
    assert "sha256" not in str(listed)


def test_a_key_can_be_relabelled(api: ApiClient) -> None:
    api.call("auth.edit_credentials", access_key=api.keys.access_key, label="desk")
    assert api.call("auth.get_credentials")["credentials"][0]["label"] == "desk"


def test_the_keys_of_others_are_out_of_reach(api: ApiClient) -> None:
    other = serve(api.engines)
    theirs = other.keys.access_key
    assert theirs not in str(api.call("auth.get_credentials"))
    assert api.error("auth.revoke_credentials", access_key=theirs) == (400, 75)
    assert api.error("auth.edit_credentials", access_key=theirs, label="mine") == (400, 75)
    assert other.error("users.get_current_user") == (200, 0)


# acting as another


def as_other(
    api: ApiClient, user: str, endpoint: str = "users.get_current_user", **fields: Any
) -> tuple[tuple[int, int], Any]:
    headers = {"X-ClearML-Impersonate-As": user}
    reply = api.send(f"/{endpoint}", msgspec.json.encode(fields), headers=headers)
    return reply.pair, reply.data


def test_an_administrator_acts_as_another_user(api: ApiClient) -> None:
    other = serve(api.engines, role=Role.USER).user
    pair, data = as_other(api, other)
    assert (pair, data["user"]["id"], data["user"]["role"]) == ((200, 0), other, "user")
    _, data = as_other(api, other, "tasks.create", name="theirs", type="training")
    assert api.call("tasks.get_by_id", task=data["id"])["task"]["user"] == other
    _, data = as_other(api, other, "auth.login")
    owner = api.authorized("Bearer " + data["token"])
    assert owner.call("users.get_current_user")["user"]["id"] == other
    assert as_other(owner, api.user)[0] == (400, 6)


def test_nobody_rises_by_acting_as_another(api: ApiClient) -> None:
    assert as_other(api, serve(api.engines, role=Role.ROOT).user)[0] == (400, 6)
    assert as_other(api, serve(api.engines, role=Role.ADMIN).user)[0] == (200, 0)


@pytest.mark.parametrize("role", [Role.SUPERUSER, Role.USER, Role.ANNOTATOR, Role.GUEST])
def test_nobody_else_may(api: ApiClient, role: Role) -> None:
    assert as_other(serve(api.engines, role=role), api.user)[0] == (400, 6)


@pytest.mark.parametrize("user", ["none", "\0", "x" * 10_000])
def test_a_user_that_is_not_there(api: ApiClient, user: str) -> None:
    assert as_other(api, user)[0] == (400, 6)


# what is kept


def test_no_secret_is_stored_in_clear(tmp_path: Path) -> None:
    engines = sqlite_engines(tmp_path)
    api = serve(engines)
    key = api.call("auth.create_credentials", label="found")["credentials"]
    token = login(api, basic(key["access_key"], key["secret_key"])).authorization.split()[1]
    engines.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key["access_key"].encode() in stored
    assert key["secret_key"].encode() not in stored
    assert token.encode() not in stored


def test_tokens_outlive_the_process(engines: Engines) -> None:
    before = serve(engines)
    services = build_services(engines, token_secret=TOKEN_SECRET)
    after = ApiClient(engines=engines, http=create_api_app(services).test_client(), authorization=before.authorization)
    assert after.call("users.get_current_user")["user"]["id"] == before.user


def test_a_clock_that_jumps_ends_no_token_before_its_time(engines: Engines) -> None:
    api = serve(engines)
    api.move_clock(-30 * DAY)  # set right: the token is from the future
    assert api.error("users.get_current_user") == (200, 0)
    login(api, by_key(api)).call("auth.logout")
    assert api.error("users.get_current_user") == (200, 0)
    api.move_clock(59 * DAY)
    assert api.error("users.get_current_user") == (200, 0)
    api.move_clock(DAY)
    assert api.error("users.get_current_user")[0] == 401


def test_the_first_user_is_made_once(engines: Engines) -> None:
    accounts = build_services(engines, token_secret=TOKEN_SECRET).accounts
    user, keys = accounts.ensure_admin()
    assert keys is not None
    assert accounts.ensure_admin() == (user, None)
    assert accounts.user(user)["role"] == Role.ADMIN


def test_two_first_starts_at_once_make_one_user(engines: Engines) -> None:
    accounts = build_services(engines, token_secret=TOKEN_SECRET).accounts
    made: list[tuple[str, KeyPair | None]] = []
    made.append(accounts.ensure_admin(lambda user, pair: made.append(accounts.ensure_admin())))
    assert [owner["id"] for owner in accounts.owners(DEFAULT_COMPANY)] == [made[0][0]] == [made[1][0]]
    for user, pair in made:
        assert pair is not None
        assert accounts.by_credentials(pair.access_key, pair.secret_key)[0].user == user


def test_the_first_user_without_its_role_gets_it_back(engines: Engines) -> None:
    services = build_services(engines, token_secret=TOKEN_SECRET)
    user, _ = services.accounts.ensure_admin()
    services.users.change_role(Identity(user=user, role=Role.ADMIN), user, Role.USER)
    assert services.accounts.owners(DEFAULT_COMPANY) == []
    assert services.accounts.ensure_admin()[0] == user
    assert services.accounts.user(user)["role"] == Role.ADMIN


def test_root_may_do_what_administrators_may_not(engines: Engines) -> None:
    api = serve(engines)
    services = build_services(engines, token_secret=TOKEN_SECRET)
    root = services.accounts.ensure_root()
    assert services.accounts.ensure_root() == root
    pair = services.accounts.create_credentials(root)
    assert api.error("server.config") == (403, 20)
    assert api.authorized(basic(pair.access_key, pair.secret_key)).error("server.config") == (200, 0)


def test_a_first_start_that_dies_is_made_again(engines: Engines) -> None:
    """Whoever has prepared for keys gets them, or others: never an administrator whose keys nobody knows."""
    accounts = build_services(engines, token_secret=TOKEN_SECRET).accounts
    prepared: list[tuple[str, KeyPair]] = []

    def die(user: str, pair: KeyPair) -> None:
        prepared.append((user, pair))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        accounts.ensure_admin(die)
    assert accounts.owners(DEFAULT_COMPANY) == []
    assert accounts.ensure_admin(lambda user, pair: prepared.append((user, pair))) == prepared[1]
    assert accounts.owners(DEFAULT_COMPANY) == [{"id": prepared[1][0], "name": "admin"}]
