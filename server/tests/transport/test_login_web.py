"""Logging in over the web: the cookie as it is configured, what it opens, when it is taken away; and a proxy's word."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from trainshed.bootstrap import Engines, build_apps, build_services, prepare_accounts
from trainshed.domain.identity import ROOT, Identity, Role
from trainshed.services import Services
from trainshed.services.accounts.policy import Cookies, Policy, TrustedHeader
from trainshed.services.addresses import Addresses, Advertised
from trainshed.settings import Settings
from trainshed.settings.loading import load
from trainshed.testing.api import QUICK, TOKEN_SECRET, basic, memory_engines
from trainshed.testing.clock import FakeClock
from trainshed.testing.examples import COOKIES, HASHED, PLAIN
from trainshed.transport.front import Front

HOST = Identity(user=ROOT, role=Role.ROOT)
PASSWORD, OTHER = "correct horse", "battery staple"
HERE, PROXY = "192.0.2.1", "10.0.0.7"


class Site:
    """A server as browsers see it."""

    def __init__(
        self, engines: Engines, policy: Policy = QUICK, *, local_only: bool = False, host: str = "box:8080"
    ) -> None:
        self.engines = engines
        self.policy = policy
        self.services: Services = build_services(
            engines, token_secret=TOKEN_SECRET, policy=policy, local_only=local_only
        )
        self.services.people.configure_fixed()
        apps = build_apps(engines, self.services, policy)
        advertised = Advertised(
            addresses=Addresses(trusted_proxies=(PROXY,)), host="127.0.0.1" if local_only else "0.0.0.0"
        )
        self._fronts = {name: Front(listener=name, apps=apps, advertised=advertised) for name in apps}
        self.host = host

    def send(
        self,
        path: str,
        listener: str = "api",
        *,
        cookie: str = "",
        peer: str = HERE,
        headers: Mapping[str, str] = {},
        **more: Any,
    ) -> TestResponse:
        """A call by a page of its own."""
        sent = {"Host": self.host, "Origin": f"http://{self.host}", **headers}
        if cookie:
            sent["Cookie"] = f"{self.policy.cookies.name}={cookie}"
        client = Client(self._fronts[listener], use_cookies=False)
        return client.open(
            path, headers=sent, environ_base={"REMOTE_ADDR": peer}, method=more.pop("method", "POST"), **more
        )

    def login(self, username: str = "jane", password: str = PASSWORD) -> TestResponse:
        return self.send("/accounts.login", json={"username": username, "password": password})

    def knows(self, cookie: str) -> bool:
        """Whether every listener knows whose cookie it is."""
        api = self.send("/users.get_current_user", cookie=cookie).status_code
        files = self.send("/nothing", "files", cookie=cookie, method="GET").status_code
        assert (api, files) in ((200, 404), (401, 401))
        return api == 200


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Engines]:
    opened = memory_engines(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def site(memory: Engines) -> Site:
    made = Site(memory)
    made.services.people.create(HOST, "jane", name="Jane Doe", password=PASSWORD)
    return made


def cookies(reply: TestResponse) -> "list[Morsel[str]]":
    """What the browser is told to keep or to forget."""
    found: list[Morsel[str]] = []
    for line in reply.headers.getlist("Set-Cookie"):
        found += SimpleCookie(line).values()
    return found


def cookie(reply: TestResponse) -> str:
    (found,) = cookies(reply)
    return found.value


def cleared(reply: TestResponse) -> bool:
    return bool(cookies(reply)) and all(found.value == "" and found["max-age"] == "0" for found in cookies(reply))


# in and out


def test_a_login_opens_every_listener_and_its_logout_closes_it(site: Site) -> None:
    reply = site.login()
    assert reply.get_json()["data"]["user"]["name"] == "Jane Doe"
    assert cookie(reply) not in reply.text  # no script of a page sees it
    assert reply.headers["Cache-Control"] == "no-store"
    session = cookie(reply)
    assert site.knows(session)
    assert site.send("/login.supported_modes", cookie=session).get_json()["data"]["authenticated"] is True
    assert cleared(site.send("/login.logout", cookie=session))
    assert not site.knows(session)


@pytest.mark.parametrize(("username", "password"), [("jane", OTHER), ("nobody", PASSWORD), ("", ""), ("jane", "\0")])
def test_a_login_that_fails(site: Site, username: str, password: str) -> None:
    reply = site.login(username, password)
    assert (reply.status_code, reply.get_json()["meta"]["result_subcode"], cookies(reply)) == (401, 22, [])
    assert reply.get_json()["meta"]["result_msg"] == site.login("somebody", "else").get_json()["meta"]["result_msg"]


def test_too_many_logins_are_told_when_to_come_again(site: Site) -> None:
    for _ in range(QUICK.attempts.per_address):
        assert site.login(password=OTHER).status_code == 401
    reply = site.login()
    assert reply.status_code == 429
    assert 0 < int(reply.headers["Retry-After"]) <= QUICK.attempts.seconds


def test_the_official_way_in_by_basic(site: Site) -> None:
    reply = site.send("/auth.login", headers={"Authorization": basic("jane", PASSWORD)})
    assert cookie(reply) == reply.get_json()["data"]["token"]
    assert site.knows(cookie(reply))
    program = site.send(
        "/auth.login", headers={"Authorization": basic("jane", PASSWORD), "Origin": "https://evil.example"}
    )
    assert (program.status_code, cookies(program)) == (200, [])
    # A password is good for nothing but logging in, or each call would cost a hash.
    assert site.send("/users.get_current_user", headers={"Authorization": basic("jane", PASSWORD)}).status_code == 401


def test_a_header_counts_for_more_than_a_cookie(site: Site) -> None:
    session = cookie(site.login())
    reply = site.send("/users.get_current_user", cookie=session, headers={"Authorization": "Bearer junk"})
    assert (reply.status_code, cookies(reply)) == (401, [])
    assert site.knows(session)


def test_changing_ones_password_ends_ones_other_sessions(site: Site) -> None:
    here, elsewhere = cookie(site.login()), cookie(site.login())
    fields = {"password": PASSWORD, "new_password": OTHER}
    wrong = site.send("/accounts.change_password", cookie=here, json={**fields, "password": OTHER})
    assert (wrong.status_code, site.knows(here)) == (401, True)
    reply = site.send("/accounts.change_password", cookie=here, json=fields)
    assert (site.knows(here), site.knows(elsewhere)) == (False, False)
    assert site.knows(cookie(reply))
    assert site.login().status_code == 401
    assert site.login(password=OTHER).status_code == 200


def test_an_invitation_over_the_web(site: Site) -> None:
    site.services.people.set_role(HOST, "jane", Role.ADMIN)
    session = cookie(site.login())
    ticket = site.send("/accounts.invite", cookie=session, json={"username": "john", "role": "viewer"}).get_json()[
        "data"
    ]
    reply = site.send("/accounts.redeem", json={"token": ticket["token"], "password": OTHER})
    assert reply.get_json()["data"]["user"]["role"] == "viewer"
    assert site.knows(cookie(reply))
    assert site.send("/accounts.redeem", json={"token": ticket["token"], "password": OTHER}).status_code == 401
    accounts = site.send("/accounts.get_all", cookie=session).get_json()["data"]["accounts"]
    assert [account["username"] for account in accounts] == ["jane", "john"]


# the cookie


def test_it_is_as_configured_out_of_the_box(site: Site) -> None:
    (morsel,) = cookies(site.login())
    assert morsel.key == "clearml_token_basic"
    assert (morsel["httponly"], morsel["secure"], morsel["domain"], morsel["path"]) == (True, "", "", "/")
    assert (morsel["samesite"], morsel["max-age"]) == ("Lax", "99999999999")


@pytest.mark.parametrize(
    ("configured", "host", "attributes"),
    [
        (Cookies(name="other"), "box", {}),
        (Cookies(httponly=False), "box", {"httponly": ""}),
        (Cookies(secure=True, samesite="Strict"), "box", {"secure": True, "samesite": "Strict"}),
        (Cookies(samesite=None), "box", {"samesite": ""}),
        (Cookies(max_age=3600), "box", {"max-age": "3600"}),
        (Cookies(domain=(".clearml.mydomain.com",)), "app.clearml.mydomain.com", {"domain": "clearml.mydomain.com"}),
        (Cookies(domain=("a.com", "b.com")), "app.b.com", {"domain": "b.com"}),
        (Cookies(domain=("a.com", ".b.com")), "b.com:8080", {"domain": "b.com"}),
        (Cookies(domain=("a.com", "b.com")), "notb.com", {"domain": ""}),
    ],
    ids=str,
)
def test_it_is_as_configured(memory: Engines, configured: Cookies, host: str, attributes: dict[str, Any]) -> None:
    site = Site(memory, replace(QUICK, cookies=configured), host=host)
    site.services.people.create(HOST, "jane", password=PASSWORD)
    (morsel,) = cookies(site.login())
    expected = {"httponly": True, "secure": "", "domain": "", "samesite": "Lax", "max-age": "99999999999", **attributes}
    assert morsel.key == configured.name
    assert {name: morsel[name] for name in expected} == expected
    assert site.knows(morsel.value)
    assert cleared(site.send("/auth.logout", cookie=morsel.value))


@pytest.mark.parametrize("listener", ["api", "files"])
def test_one_that_no_longer_fits_is_cleared(site: Site, listener: str) -> None:
    """People should never be told to clear their cookies."""
    old = cookie(site.login())
    site.services.people.delete(HOST, "jane")
    path = "/users.get_current_user" if listener == "api" else "/nothing"
    for token in (old, "junk", "a.b.c"):
        reply = site.send(path, listener, cookie=token, method="GET")
        assert reply.status_code == 401
        assert cleared(reply)
    modes = site.send("/login.supported_modes", cookie=old)  # the page of login comes, and the cookie goes
    assert (modes.status_code, modes.get_json()["data"]["authenticated"], cleared(modes)) == (200, False, True)


def test_one_of_before_the_domain_was_configured_is_cleared_too(memory: Engines) -> None:
    site = Site(memory, replace(QUICK, cookies=Cookies(domain=(".b.com",))), host="app.b.com")
    reply = site.send("/users.get_current_user", cookie="junk")
    assert {found["domain"] for found in cookies(reply)} == {"", "b.com"}


def test_of_two_the_good_one_counts(site: Site) -> None:
    session = cookie(site.login())
    sent = {"Cookie": f"clearml_token_basic=junk; clearml_token_basic={session}"}
    assert site.send("/users.get_current_user", headers=sent).status_code == 200


def test_sessions_outlive_a_restart(memory: Engines, site: Site) -> None:
    session = cookie(site.login())
    assert Site(memory).knows(session)


def test_sessions_end(site: Site) -> None:
    session = cookie(site.login())
    clock = site.engines.clock
    assert isinstance(clock, FakeClock)
    clock.advance(QUICK.tokens.default)
    assert not site.knows(session)


# a name alone


def test_a_name_alone_on_this_machine(memory: Engines) -> None:
    site = Site(memory, local_only=True, host="localhost:8080")
    assert site.send("/accounts.get_modes", peer="127.0.0.1").get_json()["data"]["name"] is True
    reply = site.send("/accounts.login_by_name", peer="127.0.0.1", json={"name": "Ada"})
    assert site.knows(cookie(reply))


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({"X-Forwarded-For": "192.0.2.9"}, "127.0.0.1"),
        ({"Via": "1.1 proxy"}, "127.0.0.1"),
        ({"Origin": "https://evil.example"}, "127.0.0.1"),
        ({"Host": "box.example.org", "Origin": "http://box.example.org"}, "127.0.0.1"),
        ({}, HERE),
    ],
    ids=str,
)
def test_a_name_alone_is_not_enough_from_elsewhere(memory: Engines, headers: dict[str, str], peer: str) -> None:
    site = Site(memory, local_only=True, host="localhost:8080")
    reply = site.send("/accounts.login_by_name", peer=peer, headers=headers, json={"name": "Ada"})
    assert reply.status_code in (400, 403)
    assert cookies(reply) == []


# a proxy that has logged people in


TRUSTING = replace(
    QUICK, trusted_header=TrustedHeader(name="RemoteUser", proxies=("10.0.0.0/8", "::1"), role=Role.VIEWER)
)


def who(site: Site, peer: str, **headers: str) -> tuple[int, str]:
    reply = site.send("/users.get_current_user", peer=peer, headers=headers)
    return reply.status_code, reply.get_json()["data"].get("user", {}).get("name", "")


def test_a_trusted_proxy_says_who_it_is(memory: Engines) -> None:
    site = Site(memory, TRUSTING)
    assert who(site, PROXY, RemoteUser="jane") == (200, "jane")
    assert who(site, PROXY, **{"RemoteUser": "jane", "X-Forwarded-For": "198.51.100.9"}) == (200, "jane")
    assert who(site, "::ffff:10.0.0.8", RemoteUser="jane") == (200, "jane")
    assert who(site, PROXY) == (401, "")
    (person,) = site.services.people.everybody(HOST)
    assert (person.username, person.source, person.role) == ("jane", "header", "viewer")
    site.services.people.disable(HOST, "jane")
    assert who(site, PROXY, RemoteUser="jane")[0] == 401


def test_nobody_else_does(memory: Engines, site: Site) -> None:
    trusting = Site(memory, TRUSTING)
    for peer in (HERE, "11.0.0.1", "127.0.0.1", "::2", ""):
        assert who(trusting, peer, RemoteUser="jane")[0] == 401
    assert (
        who(trusting, HERE, **{"RemoteUser": "jane", "X-Forwarded-For": PROXY})[0] == 401
    )  # its word is not an address
    assert who(site, PROXY, RemoteUser="jane")[0] == 401  # nothing is configured there


@pytest.mark.parametrize("name", ["X-User", "X_User", "Remote-User"])
def test_a_header_with_a_twin_takes_a_proxy_that_removes_it(memory: Engines, name: str) -> None:
    """X_User and X-User are one header by the time that a server sees them."""
    header = TrustedHeader(name=name, proxies=(PROXY,))
    with pytest.raises(ValueError, match="sent past the proxy"):
        Site(memory, replace(QUICK, trusted_header=header))
    careful = Site(memory, replace(QUICK, trusted_header=replace(header, drops_underscores=True)))
    assert who(careful, PROXY, **{name.replace("_", "-"): "jane"}) == (200, "jane")


def test_a_proxy_takes_over_no_account_of_another_source(memory: Engines, site: Site) -> None:
    assert who(Site(memory, TRUSTING), PROXY, RemoteUser="jane")[0] == 401


def test_a_proxy_makes_no_accounts_when_it_should_not(memory: Engines) -> None:
    site = Site(memory, replace(TRUSTING, trusted_header=replace(TRUSTING.trusted_header, create=False)))
    assert who(site, PROXY, RemoteUser="jane")[0] == 401
    assert site.services.people.everybody(HOST) == []


# the page "Configuring ClearML Server", as it stands there


def documented(text: str, folder: Path, *, services: str = "") -> Settings:
    (folder / "apiserver.conf").write_text(textwrap.dedent(text))
    (folder / "services.conf").write_text(services)
    loaded = load({"CLEARML_CONFIG_DIR": str(folder), "TRAINSHED_DATA_DIR": str(folder / "data")})
    assert loaded.settings is not None, loaded.findings
    assert loaded.findings == ()
    return loaded.settings


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (PLAIN, [("jane", "12345678", "Jane Doe"), ("john", "12345678", "John Doe")]),
        (HASHED, [("jane", "123456", "Jane Doe")]),
    ],
    ids=["plain", "hashed"],
)
def test_the_documented_fixed_users(
    memory: Engines, tmp_path: Path, text: str, good: list[tuple[str, str, str]]
) -> None:
    settings = documented(text, tmp_path)
    policy = replace(settings.accounts, passwords=QUICK.passwords)
    site = Site(memory, policy)
    prepare_accounts(replace(settings, accounts=policy), site.services)
    for username, password, name in good:
        reply = site.login(username, password)
        assert reply.get_json()["data"]["user"]["name"] == name
        assert site.knows(cookie(reply))
    for username, password in (("jane", "1234567"), ("eve", "12345678"), ("admin", "admin")):
        assert site.login(username, password).status_code == 401
    assert site.send("/auth.fixed_users_mode").get_json()["data"]["enabled"] is True
    assert site.send("/login.supported_modes").get_json()["data"]["basic"]["enabled"] is True


def test_the_documented_guest(memory: Engines, tmp_path: Path) -> None:
    """The page of login tells everybody who it is; it reads everything and writes nothing. Hashes are for the others."""
    guest = "auth.fixed_users.guest.enabled: true"
    for users, services, there in ((HASHED, "", False), ("", guest, False), (HASHED, guest, True)):
        policy = replace(documented(users, tmp_path, services=services).accounts, passwords=QUICK.passwords)
        site = Site(memory, policy)
        site.services.people.configure_fixed()
        shown = site.send("/login.supported_modes").get_json()["data"]["basic"]["guest"]
        assert (site.login("guest", "guest").status_code == 200) is there
        if not there:
            assert shown == {"enabled": False}
    assert shown == {"enabled": True, "username": "guest", "password": "guest", "name": "Guest"}
    session = cookie(site.login("guest", "guest"))
    page = {"X-Requested-With": "x"}
    assert site.send("/projects.get_all", cookie=session, headers=page, json={}).status_code == 200
    assert site.send("/projects.create", cookie=session, headers=page, json={"name": "a name"}).status_code == 403


def test_the_documented_cookies_behind_a_balancer(memory: Engines, tmp_path: Path) -> None:
    policy = replace(documented(COOKIES, tmp_path).accounts, passwords=QUICK.passwords)
    site = Site(memory, policy, host="api.clearml.mydomain.com")
    site.services.people.create(HOST, "jane", password=PASSWORD)
    # TLS ends at the balancer, and nobody has told us that it is to be believed.
    page = {"Origin": "https://app.clearml.mydomain.com"}
    reply = site.send("/accounts.login", headers=page, json={"username": "jane", "password": PASSWORD})
    (morsel,) = cookies(reply)
    assert (morsel["httponly"], morsel["secure"]) == (True, True)
    assert (morsel["domain"], morsel["max-age"]) == ("clearml.mydomain.com", "99999999999")
    assert reply.headers["Access-Control-Allow-Origin"] == page["Origin"]
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    made = site.send("/projects.create", cookie=morsel.value, headers=page, json={"name": "by the page"})
    assert made.status_code == 200
    foreign = {"Origin": "https://app.evil.mydomain.com"}
    assert (
        site.send("/projects.create", cookie=morsel.value, headers=foreign, json={"name": "x y z"}).status_code == 403
    )
