"""Logging in by OpenID Connect, at a provider that really signs; and what must not pass for such a login."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from werkzeug.test import Client, TestResponse

from trainshed.bootstrap import Engines, build_apps, build_services
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import ROOT, Identity, Role
from trainshed.services.accounts.policy import FixedUsers, Oidc, Policy
from trainshed.services.accounts.sso import SECONDS
from trainshed.services.addresses import Advertised
from trainshed.testing.api import QUICK, TOKEN_SECRET, memory_engines
from trainshed.testing.clock import FakeClock
from trainshed.testing.oidc import CLIENT_ID, CLIENT_SECRET, Json, Provider, private_key, provider, signed
from trainshed.transport.front import Front

HOST = Identity(user=ROOT, role=Role.ROOT)


class Browser:
    """A browser before a server that lets people log in elsewhere."""

    def __init__(self, engines: Engines, idp: Provider, **oidc: Any) -> None:
        self.policy = policy_of(idp, **oidc)
        self.engines = engines
        self.services = build_services(engines, token_secret=TOKEN_SECRET, policy=self.policy)
        apps = build_apps(engines, self.services, self.policy)
        self._web = Client(Front(listener="web", apps=apps, advertised=Advertised(host="0.0.0.0")))
        self._sent = {"headers": {"Host": "box.example.org:8080", "Sec-Fetch-Site": "cross-site"}}

    def get(self, path: str) -> TestResponse:
        return self._web.get(path, base_url="http://box.example.org:8080", **self._sent)

    def go(self, then: str = "/") -> str:
        """To the provider and, with a code, to the path that it sends back to."""
        away = self.get("/login/oidc?" + urlencode({"then": then}))
        assert away.status_code == 302, away.text
        back = urlsplit(visited(away.headers["Location"]))
        assert (back.netloc, back.path) == ("box.example.org:8080", "/login/oidc/callback")
        return f"{back.path}?{back.query}"

    def login(self) -> TestResponse:
        return self.get(self.go())

    def who(self) -> Json:
        """The logged in user, {} for none."""
        reply = self.get("/api/users.get_current_user")
        user: Json = reply.get_json()["data"].get("user", {})
        return user


def policy_of(idp: Provider, **oidc: Any) -> Policy:
    made = Oidc(issuer=idp.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    return replace(QUICK, oidc=replace(made, **oidc))


def visited(url: str) -> str:
    """Where the provider sends the browser."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    reply = connection.getresponse()
    reply.read()
    connection.close()
    assert reply.status == 302
    return reply.headers["Location"]


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return memory_engines(tmp_path)


@pytest.fixture
def idp() -> Iterator[Provider]:
    with provider() as running:
        yield running


def test_a_login_elsewhere(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    assert browser.get("/api/accounts.get_modes").get_json()["data"]["elsewhere"] == [
        {"label": "Single sign-on", "url": "/login/oidc"}
    ]
    reply = browser.get(browser.go("/projects?x=1"))
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://box.example.org:8080/projects?x=1")
    assert browser.who()["name"] == "Jane Doe"
    (person,) = browser.services.people.everybody(HOST)
    assert (person.username, person.role, person.source) == ("jane@example.org", "user", "oidc")
    assert set(idp.asked[0]) == {"grant_type", "code", "redirect_uri", "code_verifier"}


def test_who_comes_again_is_the_same_user_whatever_the_address_is_now(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    browser.login()
    user = browser.who()["id"]
    idp.person["email"] = "jane.roe@example.org"
    browser.login()
    assert browser.who()["id"] == user
    idp.person |= {"sub": "2", "email": "john@example.org"}
    browser.login()
    assert browser.who()["id"] != user


def test_groups_make_administrators_and_viewers(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp, admins=("ml-admins",), viewers=("readers",))
    for groups, role in (
        (["ml-admins", "readers"], "admin"),
        (["readers"], "viewer"),
        ("readers", "viewer"),
        ([], "user"),
    ):
        idp.person["groups"] = groups
        browser.login()
        assert browser.who()["role"] == role
    del idp.person["groups"]
    browser.login()
    assert browser.who()["role"] == "user"


def test_roles_given_here_stay_where_the_provider_says_none(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    browser.login()
    browser.services.people.set_role(HOST, "jane@example.org", Role.ADMIN)
    browser.login()
    assert browser.who()["role"] == "admin"


@pytest.mark.parametrize(
    ("oidc", "person", "said"),
    [
        ({"domains": ("example.com",)}, {}, "another domain"),
        ({"domains": ("example.org",)}, {"email": "jane@example.org.evil.com"}, "another domain"),
        ({}, {"email_verified": False}, "not verified"),
        ({"username": "nickname"}, {}, "'nickname'"),
        ({}, {"email": ""}, "'email'"),
        ({}, {"email": 7}, "'email'"),
        ({"create": False}, {}, "has an account"),
    ],
    ids=str,
)
def test_who_is_not_let_in(engines: Engines, idp: Provider, oidc: Json, person: Json, said: str) -> None:
    browser = Browser(engines, idp, **oidc)
    idp.person |= person
    reply = browser.login()
    assert reply.status_code in (401, 503)
    assert said in reply.text
    assert browser.who() == {}
    assert browser.services.people.everybody(HOST) == []


def test_no_account_of_another_source_is_taken_over(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    browser.services.people.create(HOST, "jane@example.org", role=Role.ADMIN, password="correct horse")
    assert browser.login().status_code == 400
    assert browser.who() == {}


def test_a_disabled_user_stays_out(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    browser.login()
    browser.services.people.disable(HOST, "jane@example.org")
    assert browser.login().status_code == 401
    assert browser.who() == {}


def test_it_goes_together_with_fixed_users(engines: Engines, idp: Provider) -> None:
    policy = replace(policy_of(idp), fixed_users=FixedUsers(enabled=True))
    services = build_services(engines, token_secret=TOKEN_SECRET, policy=policy)
    assert services.sso is not None
    begun = services.sso.begin(redirect="http://box/x", then="/")
    back = parse_qs(urlsplit(visited(begun.address)).query)
    identity, _ = services.sso.finish(luggage=begun.luggage, state=back["state"][0], code=back["code"][0])
    assert services.accounts.by_token(services.accounts.issue_token(identity))[0] == identity


# what must not pass


def test_a_code_is_good_once_and_for_who_began(engines: Engines, idp: Provider) -> None:
    browser, other = Browser(engines, idp), Browser(engines, idp)
    back = browser.go()
    assert other.get(back).status_code == 401  # it began no login, as if a page had sent it here
    other.go()
    assert other.get(back).status_code == 401  # it began another
    assert other.who() == {}
    assert browser.get(back).status_code == 302
    assert browser.get(back).status_code == 401


def test_a_login_takes_no_longer_than_ten_minutes(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    back = browser.go()
    assert isinstance(engines.clock, FakeClock)
    engines.clock.advance(SECONDS)
    assert browser.get(back).status_code == 401


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?state=x", "?code=x&state=%C3%A9", "?error=access_denied%0d%0aSet-Cookie:x=y"]
)
def test_a_return_that_is_none(engines: Engines, idp: Provider, query: str) -> None:
    browser = Browser(engines, idp)
    browser.go()
    reply = browser.get(f"/login/oidc/callback{query}")
    assert reply.status_code in (401, 403)
    assert reply.content_type == "text/plain; charset=utf-8"
    assert [line for line in reply.headers.getlist("Set-Cookie") if "clearml" in line or "x=y" in line] == []


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "",
        "/\r\nX: y",
        "/\t/e",
    ],
)
def test_nobody_is_sent_on_to_another_site(engines: Engines, idp: Provider, then: str) -> None:
    browser = Browser(engines, idp)
    assert browser.get(browser.go(then)).headers["Location"] == "http://box.example.org:8080/"


def _another_key(claims: Json) -> str:
    return signed(claims, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _public_key_as_secret(claims: Json) -> str:
    public = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = signed(claims, key="x" * 32, algorithm="HS256").rpartition(".")[0]
    return f"{head}.{urlsafe_b64encode(hmac.digest(public, head.encode(), hashlib.sha256)).rstrip(b'=').decode()}"


FORGED: dict[str, Callable[[Json], str]] = {
    "no signature": lambda claims: signed(claims, key="", algorithm="none"),
    "a shared secret": lambda claims: signed(claims, key=CLIENT_SECRET * 2, algorithm="HS256"),
    "the public key as a secret": _public_key_as_secret,
    "another key": _another_key,
    "a key that is not there": lambda claims: signed(claims, key_id="other"),
    "another issuer": lambda claims: signed({**claims, "iss": "https://evil.example"}),
    "for another client": lambda claims: signed({**claims, "aud": "other"}),
    "for several": lambda claims: signed({**claims, "aud": [CLIENT_ID, "other"]}),
    "for several, by another": lambda claims: signed({**claims, "aud": [CLIENT_ID, "other"], "azp": "other"}),
    "of another login": lambda claims: signed({**claims, "nonce": "other"}),
    "of no login": lambda claims: signed({name: value for name, value in claims.items() if name != "nonce"}),
    "too old": lambda claims: signed({**claims, "exp": int(time.time()) - 3600}),
    "without an end": lambda claims: signed({name: value for name, value in claims.items() if name != "exp"}),
    "of nobody": lambda claims: signed({name: value for name, value in claims.items() if name != "sub"}),
    "from the future": lambda claims: signed({**claims, "nbf": int(time.time()) + 3600}),
    "junk": lambda claims: "a.b.c",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_id_tokens_that_are_not_good(engines: Engines, idp: Provider, forge: Callable[[Json], str]) -> None:
    browser = Browser(engines, idp)
    idp.sign = forge
    reply = browser.login()
    assert reply.status_code == 503
    assert browser.who() == {}
    assert browser.services.people.everybody(HOST) == []
    assert CLIENT_SECRET not in reply.text


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_a_provider_that_says_what_cannot_be(engines: Engines, idp: Provider, changes: Json) -> None:
    idp.changes = changes
    assert Browser(engines, idp).get("/login/oidc").status_code == 503


def test_a_provider_that_is_down(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp, issuer="http://127.0.0.1:1")
    for _ in range(2):  # the second time it is not even asked
        reply = browser.get("/login/oidc")
        assert (reply.status_code, "does not answer" in reply.text) == (503, True)


@pytest.mark.parametrize("issuer", ["http://idp.example.org", "ftp://x", "idp.example.org"])
def test_a_provider_without_tls_stops_the_start(engines: Engines, idp: Provider, issuer: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        Browser(engines, idp, issuer=issuer)


def test_what_the_browser_carries_is_no_session(engines: Engines, idp: Provider) -> None:
    browser = Browser(engines, idp)
    assert browser.services.sso is not None
    luggage = browser.services.sso.begin(redirect="http://box/x", then="/").luggage
    with pytest.raises(ApiError) as raised:
        browser.services.accounts.by_token(luggage)
    assert raised.value.fault is Fault.INVALID_TOKEN
