"""Links from the API, used at the file server."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines, build_apps, build_services
from trainshed.services.file_links import LONGEST
from trainshed.testing.api import QUICK, TOKEN_SECRET, ApiClient


def test_a_link_of_the_api_works_at_the_file_server(api: ApiClient, engines: Engines) -> None:
    services = build_services(engines, token_secret=TOKEN_SECRET, policy=QUICK)
    files = build_apps(engines, services, QUICK)["files"].test_client(use_cookies=False)
    keys = ["p/données 1%/a?b.png", "c"]
    links = api.call("files.get_links", files=keys, method="PUT")["links"]
    assert sorted(links) == sorted(keys)
    for key, link in links.items():
        assert files.get(link).status_code == files.put("/p/other").status_code == 401
        assert files.put(link, data=key.encode()).status_code == 200
    for key, link in api.call("files.get_links", files=keys, seconds=60)["links"].items():
        assert files.get(link).data == key.encode()
    api.move_clock(61)
    assert files.get(link).status_code == 401


@pytest.mark.parametrize(
    "asked", [{"method": "POST"}, {"seconds": 0}, {"seconds": LONGEST + 1}, {"files": "a"}, {"files": [""]}], ids=str
)
def test_links_that_are_refused(api: ApiClient, asked: dict[str, Any]) -> None:
    assert api.error("files.get_links", **{"files": ["a"]} | asked) == (400, 12)
