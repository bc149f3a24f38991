"""The unmodified client, and who pretends to be somebody else, through real proxies set up as docs/addresses.md says."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.experiment import Sizes, expected, run_log, run_read

from trainshed.domain.errors import Fault
from trainshed.testing.live import READY_SECONDS
from trainshed.testing.proxies import DOMAIN, Site

pytestmark = pytest.mark.proxies

SIZES = Sizes(points=200, series=2, lines=20, plots=1, images=2, artifact_mib=4, weights_mib=1)
CALLER = "127.0.0.9"  # on the loopback too, and no address of the proxy
MIB = 1024 * 1024


def test_an_experiment_is_the_same_through_the_proxy(site: Site, tmp_path: Path) -> None:
    assert DOMAIN in site.url("web")
    task = run_log(SIZES, server=site.client, folder=tmp_path / "log")
    assert run_read(task, SIZES, server=site.client, folder=tmp_path / "read") == expected(SIZES)
    stored = site.server.call("tasks.get_by_id", task=task)["task"]["execution"]["artifacts"][0]["uri"]
    assert stored.startswith(site.url("files") + "/"), "others read the file by the name that everybody uses"


def test_the_addresses_that_the_pages_are_told(site: Site) -> None:
    status, headers, body = site.ask(site.url("web") + "/configuration.json")
    assert status == 200
    told = json.loads(body)
    assert told == {f"{n}BaseUrl": site.url(u) for n, u in (("web", "web"), ("api", "api"), ("file", "files"))}
    assert "max-age" in headers["Strict-Transport-Security"], "the page knows that it came by https"


@pytest.mark.parametrize("listener", ["web", "api", "files"])
def test_health(site: Site, listener: str) -> None:
    for path in ("/", "/health", "/ready"):
        assert site.ask(site.url(listener) + path)[0] == 200


def test_the_rules_of_an_image_that_are_asked_from_outside(site: Site) -> None:
    command = [sys.executable, "-m", "trainshed_provision", "check", "url", site.url("web"), "--ca", str(site.trusted)]
    done = subprocess.run(command, env={**os.environ, **site.client}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "H09b" in done.stdout  # which https addresses alone are asked


@pytest.mark.parametrize(
    "lies",
    [
        {},
        {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Host": "evil.example", "X_Forwarded_Prefix": "/evil"},
        {"Forwarded": "for=6.6.6.6;host=evil.example;proto=http"},
        {"X_Forwarded_For": "127.0.0.1, 6.6.6.6, 127.0.0.1"},
        {"X_Forwarded_For": "6.6.6.6"},
    ],
    ids=["none", "all", "the other header", "names of proxies", "one"],
)
@pytest.mark.parametrize("underscores", [False, True], ids=["", "with underscores"])
def test_the_server_sees_who_calls_whatever_they_say(site: Site, lies: dict[str, str], underscores: bool) -> None:
    connection = site.connect(site.url("api"), source=CALLER)
    path = urlsplit(site.url("api")).path
    connection.putrequest("POST", f"{path}/auth.get_credentials", skip_host=True)
    connection.putheader("Host", urlsplit(site.url("api")).netloc)
    connection.putheader("Authorization", site.server.authorization())
    for name, value in lies.items():
        connection.putheader(name.replace("_", "-"), value)
        if underscores:
            connection.putheader(name, value)
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    reply = connection.getresponse()
    body = json.loads(reply.read())
    connection.close()
    if "X_Forwarded_Host" in lies and reply.status == 400:  # a load balancer passes it on: it is no name of this server
        assert body["meta"]["result_subcode"] == Fault.INVALID_HEADERS.subcode
        return
    assert reply.status == 200, body
    assert {key["last_used_from"] for key in body["data"]["credentials"] if "last_used_from" in key} == {CALLER}


def test_a_lie_told_to_the_server_itself_is_believed_from_the_proxy_alone(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.ports["api"], source_address=(CALLER, 0))
    headers = {"Authorization": site.server.authorization(), "X-Forwarded-For": "6.6.6.6"}
    connection.request("POST", "/auth.get_credentials", b"", headers)
    credentials = json.loads(connection.getresponse().read())["data"]["credentials"]
    connection.close()
    assert credentials[0]["last_used_from"] == CALLER


def test_a_large_file_goes_on_as_it_comes(site: Site) -> None:
    """The proxy keeps no copy: the server has the first half before the second is sent."""
    url = urlsplit(site.url("files") + "/streamed/file.bin")
    connection = site.connect(site.url("files"))
    connection.putrequest("PUT", url.path, skip_host=True)
    connection.putheader("Host", url.netloc)
    connection.putheader("Authorization", site.server.authorization())
    connection.putheader("Content-Length", str(32 * MIB))
    connection.endheaders()
    half = b"x" * (16 * MIB)
    connection.send(half)
    end = time.monotonic() + READY_SECONDS
    while _stored(site) < 15 * MIB:
        assert time.monotonic() < end, "the proxy holds it back"
        time.sleep(0.01)
    connection.send(half)
    assert connection.getresponse().status == 200
    connection.close()
    status, _, body = site.ask(url.geturl(), Authorization=site.server.authorization())
    assert (status, len(body)) == (200, 32 * MIB)
    assert site.ask(url.geturl(), "DELETE", Authorization=site.server.authorization())[0] == 200


def _stored(site: Site) -> int:
    files = [path for path in (site.server.data / "files").rglob("*") if path.is_file()]
    return max((path.stat().st_size for path in files), default=0)


def test_nobody_comes_in_without_a_key(site: Site) -> None:
    assert site.ask(site.url("api") + "/v2.31/tasks.get_all", "POST")[0] == 401
    assert site.ask(site.url("files") + "/a/b")[0] == 401
    assert site.ask(site.url("files") + "/a/b", "PUT", body=b"x")[0] == 401
