"""The user store: accounts, passwords, one-time tokens, the users of the configuration, and how often one may try."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from trainshed.adapters.memory.cache import MemoryCache
from trainshed.bootstrap import Engines, build_services
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import FIRST_ADMIN, ROOT, Identity, Role
from trainshed.services import Services
from trainshed.services.accounts import Claim, passwords
from trainshed.services.accounts.people import fixed_id
from trainshed.services.accounts.policy import FixedUser, FixedUsers, Policy, SystemKey, SystemKeys
from trainshed.testing.api import QUICK, TOKEN_SECRET, memory_engines, sqlite_engines
from trainshed.testing.clock import FakeClock

HOST = Identity(user=ROOT, role=Role.ROOT)
GOOD, OTHER = "correct horse", "battery staple"
HERE, THERE = "192.0.2.1", "198.51.100.7"


def started(engines: Engines, policy: Policy = QUICK, *, local_only: bool = False) -> Services:
    """A process of a server."""
    services = build_services(engines, token_secret=TOKEN_SECRET, policy=policy, local_only=local_only)
    services.people.configure_fixed()
    services.accounts.configure_keys()
    return services


@pytest.fixture
def services(engines: Engines) -> Services:
    return started(engines)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Engines]:
    opened = memory_engines(tmp_path)
    yield opened
    opened.close()


def fault(call: Any, *arguments: Any, **named: Any) -> Fault:
    with pytest.raises(ApiError) as raised:
        call(*arguments, **named)
    return raised.value.fault


def token_of(services: Services, username: str, password: str = GOOD) -> str:
    return services.accounts.issue_token(services.logins.by_password(username, password, address=HERE))


def later(engines: Engines, seconds: float) -> None:
    assert isinstance(engines.clock, FakeClock)
    engines.clock.advance(seconds)


# accounts


def test_a_user_logs_in_with_the_password(services: Services) -> None:
    user = services.people.create(HOST, "jane", name="Jane Doe", role=Role.VIEWER, password=GOOD)
    identity = services.logins.by_password("jane", GOOD, address=HERE)
    assert identity == Identity(user=user, role=Role.VIEWER, name="Jane Doe")
    assert services.people.person(HOST, "jane").last_login
    assert fault(services.logins.by_password, "jane", OTHER, address=HERE) is Fault.INVALID_CREDENTIALS
    assert fault(services.logins.by_password, "john", GOOD, address=HERE) is Fault.INVALID_CREDENTIALS
    assert fault(services.logins.by_password, "jane", "", address=HERE) is Fault.INVALID_CREDENTIALS


@pytest.mark.parametrize("typed", ["Jane", " jane ", "JANE", "\uff4aane"])
def test_a_username_is_read_as_people_do(services: Services, typed: str) -> None:
    user = services.people.create(HOST, "jane", password=GOOD)
    assert services.logins.by_password(typed, GOOD, address=HERE).user == user
    assert fault(services.people.create, HOST, typed, password=GOOD) is Fault.NOT_UNIQUE


@pytest.mark.parametrize("username", ["", "   ", "a:b", "a\nb", "a\0b", "x" * 201, "a\u202eb"])
def test_what_is_no_username(services: Services, username: str) -> None:
    assert fault(services.people.create, HOST, username, password=GOOD) is Fault.DATA_VALIDATION_ERROR


@pytest.mark.parametrize("password", ["", "1234567", "x" * (passwords.LONGEST + 1)])
def test_what_is_no_password(services: Services, password: str) -> None:
    assert fault(services.people.create, HOST, "jane", password=password) is Fault.DATA_VALIDATION_ERROR
    assert services.people.everybody(HOST) == []


def test_every_byte_of_a_long_password_counts(services: Services) -> None:
    services.people.create(HOST, "jane", password="x" * 100 + "a")
    assert fault(services.logins.by_password, "jane", "x" * 100 + "b", address=HERE) is Fault.INVALID_CREDENTIALS
    assert services.logins.by_password("jane", "x" * 100 + "a", address=HERE)


def test_no_password_is_stored(tmp_path: Path) -> None:
    engines = sqlite_engines(tmp_path)
    services = started(engines)
    services.people.create(HOST, "jane", password=GOOD)
    ticket = services.people.invite(HOST, "john")
    engines.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"jane" in stored
    for secret in (GOOD, ticket.token):
        assert secret.encode() not in stored


def test_a_listing_of_users_shows_no_hash(services: Services) -> None:
    services.people.create(HOST, "jane", password=GOOD)
    assert "$2b$" not in str(services.people.everybody(HOST))
    assert "$2b$" not in str(services.users.find(Identity(user=FIRST_ADMIN, role=Role.ADMIN), {}).documents)


@pytest.mark.parametrize("engines", ["memory"], indirect=True)
@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.SYSTEM, Role.ROOT, Role.ADMIN)])
def test_only_administrators_manage(services: Services, role: Role) -> None:
    services.people.create(HOST, "jane", password=GOOD)
    caller, people = Identity(user="somebody", role=role), services.people
    for call, arguments in (
        (people.everybody, ()),
        (people.person, ("jane",)),
        (people.managed, ("jane",)),
        (people.create, ("john",)),
        (people.invite, ("john",)),
        (people.set_role, ("jane", Role.ADMIN)),
        (people.set_password, ("jane", OTHER)),
        (people.ticket, ("jane",)),
        (people.disable, ("jane",)),
        (people.enable, ("jane",)),
        (people.delete, ("jane",)),
    ):
        assert fault(call, caller, *arguments) is Fault.ROLE_NOT_ALLOWED, call


@pytest.mark.parametrize("engines", ["memory"], indirect=True)
def test_nobody_manages_one_who_may_do_more(services: Services) -> None:
    services.accounts.ensure_root()
    admin, people = Identity(user="somebody", role=Role.ADMIN), services.people
    assert fault(people.create, admin, "john", role=Role.ROOT) is Fault.ROLE_NOT_ALLOWED
    for call, arguments in (
        (people.set_password, (ROOT, OTHER)),
        (people.ticket, (ROOT,)),
        (people.disable, (ROOT,)),
        (people.delete, (ROOT,)),
        (people.managed, (ROOT,)),
    ):
        assert fault(call, admin, *arguments) is Fault.ROLE_NOT_ALLOWED, call


def test_nobody_locks_themselves_out(services: Services) -> None:
    admin = Identity(user=services.people.create(HOST, "jane", role=Role.ADMIN, password=GOOD), role=Role.ADMIN)
    assert fault(services.people.disable, admin, "jane") is Fault.ROLE_NOT_ALLOWED
    assert fault(services.people.delete, admin, "jane") is Fault.ROLE_NOT_ALLOWED
    assert fault(services.people.set_role, admin, "jane", Role.USER) is Fault.ROLE_NOT_ALLOWED


def test_a_disabled_user_is_out_by_every_way_and_comes_back_with_the_keys(services: Services) -> None:
    user = services.people.create(HOST, "jane", password=GOOD)
    keys = services.accounts.create_credentials(user)
    session = token_of(services, "jane")
    by_key = services.accounts.issue_token(
        services.accounts.by_credentials(keys.access_key, keys.secret_key)[0], access_key=keys.access_key
    )
    services.people.disable(HOST, "jane")
    assert fault(services.logins.by_password, "jane", GOOD, address=HERE) is Fault.INVALID_CREDENTIALS
    assert fault(services.accounts.by_credentials, keys.access_key, keys.secret_key) is Fault.NOT_AUTHORIZED
    for token in (session, by_key):
        assert fault(services.accounts.by_token, token) is Fault.NOT_AUTHORIZED
    services.people.enable(HOST, "jane")
    assert services.accounts.by_credentials(keys.access_key, keys.secret_key)[0].user == user
    assert services.accounts.by_token(by_key)[0].user == user
    assert fault(services.accounts.by_token, session) is Fault.BLOCKED_TOKEN


def test_a_deleted_user_is_gone_with_the_keys(services: Services) -> None:
    user = services.people.create(HOST, "jane", password=GOOD)
    keys = services.accounts.create_credentials(user)
    ticket = services.people.ticket(HOST, "jane")
    services.people.delete(HOST, "jane")
    assert fault(services.accounts.by_credentials, keys.access_key, keys.secret_key) is Fault.INVALID_CREDENTIALS
    assert fault(services.people.redeem, ticket.token, password=GOOD) is Fault.INVALID_TICKET
    assert services.people.create(HOST, "jane", password=OTHER) != user


def test_the_servers_own_accounts_stay(services: Services) -> None:
    services.accounts.ensure_admin()
    assert fault(services.people.delete, HOST, FIRST_ADMIN) is Fault.ROLE_NOT_ALLOWED


# passwords and sessions


def test_a_new_password_ends_the_sessions_and_leaves_the_keys(services: Services) -> None:
    user = services.people.create(HOST, "jane", password=GOOD)
    keys = services.accounts.create_credentials(user)
    session = token_of(services, "jane")
    services.people.set_password(HOST, "jane", OTHER)
    assert fault(services.accounts.by_token, session) is Fault.BLOCKED_TOKEN
    assert services.accounts.by_token(token_of(services, "jane", OTHER))[0].user == user
    assert services.accounts.by_credentials(keys.access_key, keys.secret_key)[0].user == user


def test_a_token_got_as_somebody_else_ends_with_ones_own_session(services: Services) -> None:
    admin = services.people.create(HOST, "jane", role=Role.ADMIN, password=GOOD)
    other = services.people.create(HOST, "john", password=GOOD)
    accounts = services.accounts
    token = accounts.issue_token(accounts.identity(other), by=accounts.identity(admin))
    assert accounts.by_token(token)[0].user == other
    services.people.disable(HOST, "jane")
    assert fault(accounts.by_token, token) is Fault.NOT_AUTHORIZED


@pytest.mark.parametrize("engines", ["memory", "sqlite"], indirect=True)
def test_what_one_process_ends_the_others_know_within_five_seconds(engines: Engines) -> None:
    one, other = started(engines), started(engines)
    user = one.people.create(HOST, "jane", password=GOOD)
    keys = one.accounts.create_credentials(user)

    def by_session() -> str:
        return token_of(one, "jane")

    def by_key() -> str:
        return one.accounts.issue_token(one.accounts.identity(user), access_key=keys.access_key)

    endings = (
        (by_session, one.accounts.revoke_token, Fault.BLOCKED_TOKEN),
        (by_session, lambda token: one.people.set_password(HOST, "jane", GOOD), Fault.BLOCKED_TOKEN),
        (by_key, lambda token: one.accounts.revoke_credentials(user, keys.access_key), Fault.BLOCKED_TOKEN),
        (by_session, lambda token: one.people.disable(HOST, "jane"), Fault.NOT_AUTHORIZED),
    )
    for make, end, expected in endings:
        token = make()
        assert other.accounts.by_token(token)[0].user == user
        end(token)
        assert fault(one.accounts.by_token, token) is expected  # its own process knows at once
        later(engines, 5)
        assert fault(other.accounts.by_token, token) is expected


# one-time tokens


def test_an_invitation(engines: Engines, services: Services) -> None:
    ticket = services.people.invite(HOST, "jane", name="Jane", role=Role.VIEWER)
    assert not services.people.person(HOST, "jane").has_password
    assert fault(services.logins.by_password, "jane", "", address=HERE) is Fault.INVALID_CREDENTIALS
    assert fault(services.people.redeem, ticket.token, password="short") is Fault.DATA_VALIDATION_ERROR
    assert services.people.redeem(ticket.token, password=GOOD) == ticket.user
    assert services.logins.by_password("jane", GOOD, address=HERE).role is Role.VIEWER
    assert fault(services.people.redeem, ticket.token, password=OTHER) is Fault.INVALID_TICKET


def test_a_ticket_ends(engines: Engines, services: Services) -> None:
    ticket = services.people.invite(HOST, "jane")
    later(engines, QUICK.tickets.invitation)
    assert fault(services.people.redeem, ticket.token, password=GOOD) is Fault.INVALID_TICKET
    assert fault(services.people.redeem, "made up", password=GOOD) is Fault.INVALID_TICKET


def test_a_newer_ticket_voids_the_older(services: Services) -> None:
    first = services.people.invite(HOST, "jane")
    second = services.people.ticket(HOST, "jane")
    assert fault(services.people.redeem, first.token, password=GOOD) is Fault.INVALID_TICKET
    assert services.people.redeem(second.token, password=GOOD) == second.user


def test_a_reset_ends_the_sessions(services: Services) -> None:
    services.people.create(HOST, "jane", password=GOOD)
    session = token_of(services, "jane")
    ticket = services.people.ticket(HOST, "jane")
    assert services.accounts.by_token(session)  # whoever asks for a reset alone logs nobody out
    services.people.redeem(ticket.token, password=OTHER)
    assert fault(services.accounts.by_token, session) is Fault.BLOCKED_TOKEN
    assert fault(services.logins.by_password, "jane", GOOD, address=HERE) is Fault.INVALID_CREDENTIALS


def test_the_claim_of_a_new_server(engines: Engines, services: Services) -> None:
    admin, _ = services.accounts.ensure_admin()
    assert services.people.claim() is Claim.NEVER_OFFERED
    late = services.people.claim_ticket()
    assert services.people.claim() is Claim.OPEN
    later(engines, QUICK.tickets.claim)
    assert services.people.claim() is Claim.TOO_LATE
    assert fault(services.people.redeem, late.token, password=GOOD) is Fault.INVALID_TICKET
    ticket = services.people.claim_ticket()
    services.people.create(HOST, "taken", password=GOOD)
    assert fault(services.people.redeem, ticket.token, password=GOOD, username="Taken") is Fault.NOT_UNIQUE
    assert services.people.redeem(ticket.token, password=GOOD, username="jane", name="Jane") == admin
    assert services.people.claim() is Claim.DONE
    assert services.logins.by_password("jane", GOOD, address=HERE) == Identity(user=admin, role=Role.ADMIN, name="Jane")
    assert fault(services.people.redeem, ticket.token, password=OTHER) is Fault.INVALID_TICKET


# users of the configuration

JANE = FixedUser(username="jane", password="12345678", name="Jane Doe")
JOHN = FixedUser(username="john", password="12345678", name="John Doe")
# Of the documentation: base64 of the bcrypt hash of 123456.
DOCUMENTED = "JDJiJDEyJDk3OHBFcHFlNEsxTkFoZDlPcGZsbC5sU1pmM3huZ1RpeHc0ay5WUjlzTzN5WE1WRXJrUmhp"


def fixed(*users: FixedUser, hashed: bool = False) -> Policy:
    return replace(QUICK, fixed_users=FixedUsers(enabled=True, pass_hashed=hashed, users=users))


def hash_of(password: str, rounds: int = 4) -> str:
    return base64.b64encode(bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds))).decode()


def test_fixed_users_log_in_and_nobody_else(engines: Engines) -> None:
    before = started(engines)
    before.people.create(HOST, "eve", password=GOOD)
    eves = before.accounts.create_credentials(before.people.person(HOST, "eve").id)
    session = token_of(before, "eve")
    services = started(engines, fixed(JANE, JOHN))
    assert services.logins.by_password("jane", "12345678", address=HERE).name == "Jane Doe"
    assert services.logins.by_password("john", "12345678", address=HERE).role is Role.USER
    for username, password in (("eve", GOOD), ("jane", "12345679"), ("jane", ""), ("", "12345678")):
        assert fault(services.logins.by_password, username, password, address=HERE) is Fault.INVALID_CREDENTIALS
    assert fault(services.accounts.by_credentials, eves.access_key, eves.secret_key) is Fault.INVALID_FIXED_USER
    assert fault(services.accounts.by_token, session) is Fault.INVALID_FIXED_USER
    assert fault(services.people.create, HOST, "new", password=GOOD) is Fault.INVALID_FIXED_USER
    assert fault(services.people.set_password, HOST, "jane", OTHER) is Fault.INVALID_FIXED_USER
    assert not services.logins.name_is_enough


def test_who_is_root_on_the_host_keeps_a_way_in(engines: Engines) -> None:
    services = started(engines, fixed(JANE))
    user, _ = services.accounts.ensure_admin()
    keys = services.accounts.create_credentials(user)
    assert services.accounts.by_credentials(keys.access_key, keys.secret_key)[0].user == user


def test_hashed_fixed_users_as_the_documentation_has_them(memory: Engines) -> None:
    services = started(memory, fixed(replace(JANE, password=DOCUMENTED), hashed=True))
    assert services.logins.by_password("jane", "123456", address=HERE).name == "Jane Doe"
    for password in ("1234567", "12345", DOCUMENTED):
        assert fault(services.logins.by_password, "jane", password, address=HERE) is Fault.INVALID_CREDENTIALS


@pytest.mark.parametrize("password", ["12345678", "bm8gaGFzaA==", "$2b$12$", ""])
def test_a_hash_that_is_none_stops_the_start(memory: Engines, password: str) -> None:
    with pytest.raises(ValueError, match="'jane' is not the base64 form of a bcrypt hash"):
        started(memory, fixed(replace(JANE, password=password), hashed=True))


def test_a_fixed_user_that_is_named_twice_stops_the_start(memory: Engines) -> None:
    with pytest.raises(ValueError, match="'jane' twice"):
        started(memory, fixed(JANE, replace(JANE, username="Jane")))


def test_restarts_keep_ids_keys_and_data_of_fixed_users(engines: Engines) -> None:
    services = started(engines, fixed(JANE, JOHN))
    jane = services.logins.by_password("jane", "12345678", address=HERE)
    keys = services.accounts.create_credentials(jane.user)
    assert jane.user == fixed_id("jane")
    renamed = started(engines, fixed(replace(JANE, name="Jane Roe"), JOHN))
    assert renamed.accounts.by_credentials(keys.access_key, keys.secret_key)[0] == replace(jane, name="Jane Roe")
    without = started(engines, fixed(JOHN))
    assert fault(without.accounts.by_credentials, keys.access_key, keys.secret_key) is Fault.NOT_AUTHORIZED
    assert fault(without.logins.by_password, "jane", "12345678", address=HERE) is Fault.INVALID_CREDENTIALS
    assert without.people.person(HOST, "jane").disabled
    again = started(engines, fixed(JANE, JOHN))
    assert again.accounts.by_credentials(keys.access_key, keys.secret_key)[0] == jane
    open_again = started(engines)
    assert open_again.accounts.by_credentials(keys.access_key, keys.secret_key)[0] == jane
    assert fault(open_again.logins.by_password, "jane", "12345678", address=HERE) is Fault.INVALID_CREDENTIALS


def of_agent(secret: str, access_key: str = "AGENTKEY") -> Policy:
    key = SystemKey(access_key=access_key, secret_key=secret, role=Role.ADMIN)
    return replace(QUICK, system_keys=SystemKeys(services_agent=key))


def test_keys_of_the_configuration(engines: Engines) -> None:
    services = started(engines, of_agent("a long secret"))
    identity, _ = services.accounts.by_credentials("AGENTKEY", "a long secret")
    assert (identity.name, identity.role) == ("services_agent", Role.ADMIN)
    token = services.accounts.issue_token(identity, access_key="AGENTKEY")
    again = started(engines, of_agent("a long secret"))
    assert again.accounts.by_token(token)[0] == identity
    other = started(engines, of_agent("another secret"))
    assert fault(other.accounts.by_credentials, "AGENTKEY", "a long secret") is Fault.INVALID_CREDENTIALS
    assert other.accounts.by_credentials("AGENTKEY", "another secret")
    without = started(engines)
    assert fault(without.accounts.by_credentials, "AGENTKEY", "another secret") is Fault.INVALID_CREDENTIALS
    assert fault(without.accounts.by_token, token) is Fault.BLOCKED_TOKEN


def test_a_secret_alone_is_enough_and_a_short_one_is_not(memory: Engines) -> None:
    services = started(memory, of_agent("a long secret", access_key=""))
    assert services.accounts.by_credentials("services_agent", "a long secret")
    with pytest.raises(ValueError, match=r"secure.credentials.services_agent.user_secret"):
        started(memory, of_agent("short"))


# a name alone


def test_a_name_is_enough_on_a_laptop_until_somebody_has_a_password(engines: Engines) -> None:
    services = started(engines, local_only=True)
    services.accounts.ensure_admin()
    ada = services.logins.by_name("Ada")
    assert (ada.name, ada.role) == ("Ada", Role.USER)
    assert services.logins.by_name("ada ").user == ada.user
    assert services.logins.by_name("admin").user == FIRST_ADMIN
    services.people.create(HOST, "jane", password=GOOD)
    assert fault(services.logins.by_name, "Ada") is Fault.ROLE_NOT_ALLOWED


@pytest.mark.parametrize(
    "policy", [QUICK, replace(QUICK, name_login=False), fixed(JANE)], ids=["network", "off", "fixed"]
)
def test_a_name_is_not_enough_elsewhere(memory: Engines, policy: Policy) -> None:
    services = started(memory, policy, local_only=policy is not QUICK)
    assert fault(services.logins.by_name, "Ada") is Fault.ROLE_NOT_ALLOWED
    assert fault(services.logins.by_name, "jane") is Fault.ROLE_NOT_ALLOWED


# how often one may try

LIMITS = QUICK.attempts


def wrong(services: Services, username: str, address: str, times: int) -> list[Fault]:
    return [fault(services.logins.by_password, username, OTHER, address=address) for _ in range(times)]


def test_one_address_tries_a_few_times(engines: Engines, services: Services) -> None:
    services.people.create(HOST, "jane", password=GOOD)
    tries = wrong(services, "jane", THERE, LIMITS.per_address + 1)
    assert tries == [Fault.INVALID_CREDENTIALS] * LIMITS.per_address + [Fault.TOO_MANY_LOGINS]
    # Not even with the right password, or another name: both would tell something.
    assert fault(services.logins.by_password, "jane", GOOD, address=THERE) is Fault.TOO_MANY_LOGINS
    assert fault(services.logins.by_password, "nobody", GOOD, address=THERE) is Fault.TOO_MANY_LOGINS
    with pytest.raises(ApiError) as raised:
        services.logins.by_password("jane", GOOD, address=THERE)
    assert 0 < raised.value.data["retry_after"] <= LIMITS.seconds
    # It hinders nobody else, not even the account it was after.
    assert services.logins.by_password("jane", GOOD, address=HERE)
    later(engines, LIMITS.seconds)
    assert services.logins.by_password("jane", GOOD, address=THERE)


def test_many_addresses_cannot_try_one_account_nor_lock_its_owner_out(memory: Engines) -> None:
    services = started(memory)
    services.people.create(HOST, "jane", password=GOOD)
    assert services.logins.by_password("jane", GOOD, address=HERE)
    tries = [wrong(services, "jane", f"203.0.113.{number}", 1)[0] for number in range(LIMITS.per_account + 5)]
    assert tries == [Fault.INVALID_CREDENTIALS] * LIMITS.per_account + [Fault.TOO_MANY_LOGINS] * 5
    assert services.logins.by_password("jane", GOOD, address=HERE)  # where the owner logs in from
    assert fault(services.logins.by_password, "jane", GOOD, address=THERE) is Fault.TOO_MANY_LOGINS
    services.people.create(HOST, "john", password=GOOD)
    assert services.logins.by_password("john", GOOD, address=THERE)  # other accounts are as they were


def test_an_ipv6_network_counts_as_one_address(memory: Engines) -> None:
    services = started(memory)
    for number in range(LIMITS.per_address):
        assert wrong(services, "jane", f"2001:db8::{number:x}", 1) == [Fault.INVALID_CREDENTIALS]
    assert wrong(services, "jane", "2001:db8::ffff:1", 1) == [Fault.TOO_MANY_LOGINS]
    assert wrong(services, "jane", "2001:db8:0:1::1", 1) == [Fault.INVALID_CREDENTIALS]
    assert wrong(services, "jane", f"::ffff:{HERE}", 1) == [Fault.INVALID_CREDENTIALS]


def test_right_passwords_are_not_counted(memory: Engines) -> None:
    services = started(memory)
    services.people.create(HOST, "jane", password=GOOD)
    for _ in range(3 * LIMITS.per_account):
        assert services.logins.by_password("jane", GOOD, address=HERE)


def test_access_keys_are_not_counted(memory: Engines) -> None:
    services = started(memory)
    keys = services.accounts.create_credentials(services.people.create(HOST, "jane", password=GOOD))
    for _ in range(3 * LIMITS.per_account):
        assert fault(services.accounts.by_credentials, keys.access_key, OTHER) is Fault.INVALID_CREDENTIALS
    assert services.accounts.by_credentials(keys.access_key, keys.secret_key)


def test_attempts_that_are_refused_leave_nothing_behind(memory: Engines) -> None:
    """A hostile address cannot fill what is kept of attempts, whatever names it makes up."""
    kept: list[str] = []

    class Watched(MemoryCache):
        def add(self, key: str, value: bytes, ttl: float) -> bool:
            added = super().add(key, value, ttl)
            kept.extend([key] * added)
            return added

    services = started(replace(memory, cache=Watched(memory.clock)))
    for number in range(10 * LIMITS.per_address):
        wrong(services, f"made up {number}", THERE, 1)
    assert len(kept) == 2 * LIMITS.per_address
    assert all(len(key) < 100 for key in kept)
