"""Storage settings."""

from dataclasses import replace

import pytest

from trainshed.bootstrap import Engines, build_services
from trainshed.domain.identity import Identity, Role
from trainshed.testing.api import TOKEN_SECRET, ApiClient

WITH_SECRETS = {
    "aws": {"key": "AKIA", "secret": "s-1", "token": "s-2", "buckets": [{"bucket": "b", "secret": "s-3"}]},
    "google": {"project": "p", "credentials_json": '{"private_key": "s-4"}'},
    "azure": {"containers": [{"account_name": "n", "account_key": "s-5"}]},
}
ADMIN = Identity(user="one", role=Role.ADMIN)


def test_providers_are_replaced_one_by_one(api: ApiClient) -> None:
    assert api.call("storage.get_settings") == {}
    api.call("storage.set_settings", aws={"key": "k", "buckets": [{"bucket": "b", "secure": False}]})
    api.call("storage.set_settings", azure={"containers": [{"account_name": "n"}]})
    found = api.call("storage.get_settings")
    bucket = {
        "bucket": "b",
        "secure": False,
        "multipart": True,
        "verify": True,
        "use_credentials_chain": False,
    }
    assert found["aws"] == {"key": "k", "use_credentials_chain": False, "buckets": [bucket]}
    assert found["azure"] == {"containers": [{"account_name": "n"}]}
    assert found["last_update"]


def test_reset(api: ApiClient) -> None:
    api.call("storage.set_settings", aws={"key": "k"}, google={"project": "p"})
    assert api.call("storage.reset_settings", keys=["aws", "azure"]) == {"updated": 1}
    found = api.call("storage.get_settings")
    assert set(found) == {"google", "last_update"}
    assert api.error("storage.reset_settings", keys=["dropbox"]) == (400, 12)


def test_secrets_are_sealed_in_the_database_and_open_for_administrators(engines: Engines) -> None:
    storage = build_services(engines, token_secret=TOKEN_SECRET).storage
    storage.set(ADMIN, WITH_SECRETS)
    (kept,) = engines.documents.find("settings")
    assert "AKIA" in str(kept)
    assert not [secret for secret in ("s-1", "s-2", "s-3", "s-4", "s-5") if secret in str(kept)]
    assert WITH_SECRETS.items() <= storage.settings(ADMIN).items()


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SYSTEM, Role.ROOT, Role.ADMIN}))
def test_others_do_not_see_them(engines: Engines, role: Role) -> None:
    storage = build_services(engines, token_secret=TOKEN_SECRET).storage
    storage.set(ADMIN, WITH_SECRETS)
    found = storage.settings(replace(ADMIN, role=role))
    assert found["aws"] == {"key": "AKIA", "buckets": [{"bucket": "b"}]}
    assert found["google"] == {"project": "p"}
    assert found["azure"] == {"containers": [{"account_name": "n"}]}


def test_with_another_secret_of_the_server_they_are_gone_and_the_rest_is_not(engines: Engines) -> None:
    build_services(engines, token_secret=TOKEN_SECRET).storage.set(ADMIN, WITH_SECRETS)
    storage = build_services(engines, token_secret=b"another" * 8).storage
    assert storage.settings(ADMIN)["google"] == {"project": "p"}
    storage.set(ADMIN, {"google": WITH_SECRETS["google"]})
    assert storage.settings(ADMIN)["google"] == WITH_SECRETS["google"]


def test_those_of_before_they_were_sealed_are_read_and_sealed_at_the_next_change(engines: Engines) -> None:
    engines.documents.insert("settings", {"id": f"storage:{ADMIN.company}", "aws": {"key": "k", "secret": "clear"}})
    storage = build_services(engines, token_secret=TOKEN_SECRET).storage
    assert storage.settings(ADMIN)["aws"]["secret"] == "clear"
    storage.set(ADMIN, {"aws": {"key": "k", "secret": "clear"}})
    assert "clear" not in str(engines.documents.find("settings"))
