"""What a stranger cannot learn of accounts: who has one, what a password is, not by time, words, logs or arguments."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainshed.bootstrap import build_services
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import ROOT, Identity, Role
from trainshed.services import Services
from trainshed.services.accounts.policy import Attempts, FixedUser, FixedUsers, Passwords, Policy
from trainshed.testing.api import QUICK, TOKEN_SECRET, ApiClient, basic, memory_engines, serve

HOST = Identity(user=ROOT, role=Role.ROOT)
GOOD, WRONG = "correct horse", "battery staple"
ROUNDS = 7  # 5 ms: enough to be told from all else that a login does
MANY = Attempts(per_address=10_000, per_account=10_000)
SLOW = replace(QUICK, passwords=Passwords(rounds=ROUNDS), attempts=MANY)
# Of a hash with fewer rounds than ours, made of "123456": base64 of bcrypt.
CHEAP = "JDJiJDA1JEVLUmFLZFlrNVgzbDNway5XU2l4Tk9WaEVSeTFhVHhrS2VZSk9OcmhHR2RMQ20ybEtFZ3dl"


def started(folder: Path, policy: Policy) -> Services:
    services = build_services(memory_engines(folder), token_secret=TOKEN_SECRET, policy=policy)
    services.people.configure_fixed()
    return services


def seconds(services: Services, username: str, password: str = WRONG) -> float:
    """Of the processor, for a login that fails: the least of a few."""

    def once() -> float:
        began = time.thread_time()
        with pytest.raises(ApiError) as raised:
            services.logins.by_password(username, password, address="192.0.2.1")
        assert raised.value.fault is Fault.INVALID_CREDENTIALS
        return time.thread_time() - began

    return min(once() for _ in range(5))


def with_users(folder: Path) -> Services:
    services = started(folder, SLOW)
    services.people.create(HOST, "known", password=GOOD)
    services.people.create(HOST, "disabled", password=GOOD)
    services.people.disable(HOST, "disabled")
    services.people.invite(HOST, "invited")
    return services


def with_fixed_users(*users: FixedUser, hashed: bool) -> Callable[[Path], Services]:
    policy = replace(SLOW, fixed_users=FixedUsers(enabled=True, pass_hashed=hashed, users=users))
    return lambda folder: started(folder, policy)


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (with_users, ("known", "disabled", "invited")),
        (with_fixed_users(FixedUser(username="known", password=GOOD), hashed=False), ("known",)),
        (with_fixed_users(FixedUser(username="known", password=CHEAP), hashed=True), ("known",)),
    ],
    ids=["store", "plain", "hashed with fewer rounds"],
)
def test_time_does_not_tell_who_has_an_account(
    tmp_path: Path, make: Callable[[Path], Services], known: tuple[str, ...]
) -> None:
    services = make(tmp_path)
    unknown = seconds(services, "unknown")
    for username in known:
        assert 0.75 < seconds(services, username) / unknown < 1.35, username


def test_nor_does_the_right_password_of_a_disabled_account(tmp_path: Path) -> None:
    services = with_users(tmp_path)
    assert 0.75 < seconds(services, "disabled", GOOD) / seconds(services, "unknown") < 1.35


def test_words_do_not_tell_either(tmp_path: Path) -> None:
    services = with_users(tmp_path)
    said = set()
    for username, password in (("unknown", GOOD), ("known", WRONG), ("disabled", GOOD), ("invited", ""), ("", "")):
        with pytest.raises(ApiError) as raised:
            services.logins.by_password(username, password, address="192.0.2.1")
        said.add((raised.value.fault, raised.value.message))
    assert len(said) == 1


def test_no_secret_is_logged_or_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engines = memory_engines(tmp_path)
    api = serve(engines)
    api.call("accounts.create", username="jane", password=GOOD)
    ticket = api.call("accounts.invite", username="john")["token"]
    secrets = [GOOD, WRONG, ticket, api.keys.secret_key, api.authorization.split()[1], TOKEN_SECRET.decode()]
    stranger = api.authorized("")
    with caplog.at_level(logging.DEBUG):
        replies = [
            stranger.send("/accounts.login", json.dumps({"username": "jane", "password": GOOD}).encode()),
            stranger.send("/accounts.login", json.dumps({"username": "jane", "password": WRONG}).encode()),
            stranger.send("/accounts.login", json.dumps({"username": "jane", "password": [WRONG]}).encode()),
            stranger.send("/accounts.redeem", json.dumps({"token": ticket, "password": "x"}).encode()),
            stranger.send("/accounts.redeem", json.dumps({"token": [ticket], "password": GOOD}).encode()),
            api.authorized(basic("jane", WRONG)).send("/auth.login"),
            api.authorized(basic(api.keys.access_key, WRONG)).send("/auth.login"),
            api.authorized(f"Bearer {WRONG}").send("/auth.login"),
            api.send("/accounts.get_all"),
            api.send("/users.get_all"),
            api.send("/auth.get_credentials"),
        ]
    said = caplog.text + "".join(f"{reply.meta}{reply.data}" for reply in replies)
    assert [secret for secret in secrets if secret in said] == []
    assert "'jane'" in caplog.text  # but who tried is


@pytest.mark.parametrize("username", ["a\nb", "a\r\nX: y", "\x1b[31m", "a" * 5000])
def test_a_name_cannot_write_lines_of_its_own_into_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, username: str
) -> None:
    api: ApiClient = serve(memory_engines(tmp_path)).authorized("")
    with caplog.at_level(logging.DEBUG):
        assert api.error("accounts.login", username=username, password=WRONG)[0] in (400, 401)
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 1000


def test_the_configuration_shows_no_password() -> None:
    users = FixedUsers(enabled=True, users=(FixedUser(username="jane", password=GOOD),))
    assert GOOD not in repr(replace(QUICK, fixed_users=users))
