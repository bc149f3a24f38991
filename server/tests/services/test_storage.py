"""Storage settings."""

from trainshed.testing.api import ApiClient


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
