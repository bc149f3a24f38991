"""The stand-in refuses what Google would, and is asked by Google's other client too; and we work with another's emulator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gcp_storage_emulator.server import create_server

from trainshed_provision.publish.gcp import tarball
from trainshed_provision.publish.gcp.api import STORAGE_VARIABLE, Client
from trainshed_provision.publish.gcp.bucket import MANAGED, Bucket
from trainshed_provision.testing.command import NAME, PART, Shed
from trainshed_provision.testing.google import BUCKET, PROJECT, Google

IMAGES = f"/compute/v1/projects/{PROJECT}/global/images"
GOOD: dict[str, Any] = {
    "name": "a",
    "rawDisk": {"source": f"https://storage.googleapis.com/{BUCKET}/disk", "containerType": "TAR"},
}


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with Google() as google:
        yield google


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"nmae": "b"}, 'Unknown name "nmae"'),
        ({"name": "B"}, "'B'. Must be a match of regex"),
        ({"name": "x" * 64}, "Must be a match of regex"),
        ({"architecture": "amd64"}, "'amd64'. Must be one of"),
        ({"guestOsFeatures": [{"type": "UEFI"}]}, "guestOsFeatures[0].type"),
        ({"guestOsFeatures": ["GVNIC"]}, "expected object"),
        ({"guestOsFeatures": {"type": "GVNIC"}}, "expected array"),
        ({"diskSizeGb": 1.5}, "expected string"),
        ({"diskSizeGb": "one"}, "Must be a match of regex"),
        ({"status": "READY"}, "output only"),
        ({"deprecated": {"state": "DELETED"}}, "output only"),
        ({"labels": {"commit": "ABC"}}, "is not a label"),
        ({"labels": {"version": "0.1.0"}}, "is not a label"),
        ({"labels": {"content": "0" * 64}}, "is not a label"),
        ({"family": "Trainshed"}, "resource.family"),
        ({"storageLocations": ["europe-west4-a"]}, "storageLocations"),
        ({"description": "x" * 2049}, "longer than 2048"),
        ({"rawDisk": {"source": "gs://bucket/disk"}}, "not a Google Cloud Storage URL"),
        ({"rawDisk": {"source": "https://storage.googleapis.com/b/none"}}, "was not found"),
        ({"rawDisk": {"containerType": "ZIP"}}, "Must be one of TAR"),
    ],
)
def test_an_image_that_google_would_refuse(google: Google, body: dict[str, Any], says: str) -> None:
    answer = requests.post(google.endpoint + IMAGES, json={**GOOD, **body}, timeout=9)
    error = answer.json()["error"]
    assert answer.status_code == error["code"] in (400, 404)
    assert says in error["message"]
    assert error["errors"][0]["reason"]
    assert google.compute.images == {}


@pytest.mark.parametrize(
    ("http", "path", "status"),
    [
        ("PUT", f"{IMAGES}/a", 405),
        ("POST", f"{IMAGES}/a", 405),
        ("GET", "/compute/v1/images/a", 404),
        ("GET", f"{IMAGES}?colour=red", 400),
        ("GET", f"{IMAGES}?maxResults=many", 400),
        ("POST", f"{IMAGES}?requestId=1", 400),
        ("POST", IMAGES.replace(PROJECT, "other-project"), 404),
        ("POST", f"{IMAGES}/a/deprecate", 400),
        ("GET", f"/compute/v1/projects/{PROJECT}/global/networks/default", 501),
        ("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=x", 501),
        ("DELETE", f"/storage/v1/b/{BUCKET}/o/none", 404),
        ("GET", "/storage/v1/b/none/o", 404),
    ],
)
def test_a_call_that_google_would_refuse(google: Google, http: str, path: str, status: int) -> None:
    body = {} if "/upload/" in path else GOOD if http == "POST" and "deprecate" not in path else None
    answer = requests.request(http, google.endpoint + path, json=body, timeout=9)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)


@pytest.mark.parametrize(
    ("span", "status"),
    [
        ("bytes 0-99/300000", 400),  # in the middle only multiples of 256 KiB
        ("bytes 5-99/100", 503),  # not where the session is
        ("bytes 0-/100", 400),
        ("", 400),
    ],
)
def test_a_chunk_that_google_would_refuse(google: Google, span: str, status: int) -> None:
    start = f"{google.endpoint}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable"
    session = requests.post(start, json={"name": "x"}, timeout=9).headers["Location"]
    answer = requests.put(session, data=bytes(100), headers={"Content-Range": span}, timeout=9)
    assert answer.status_code == status
    assert google.storage.buckets[BUCKET] == {}


def test_googles_other_client_finds_what_was_published(shed: Shed) -> None:
    from googleapiclient.discovery import build
    from httplib2 import Http  # type: ignore[import-untyped]  # it ships no types

    shed.publish("--keep-archive")
    shed.promote(NAME, "--share-with", "allAuthenticatedUsers")

    def service(name: str, path: str) -> Any:
        options = {"api_endpoint": shed.google.endpoint + path}
        return build(name, "v1", http=Http(), static_discovery=True, client_options=options)

    with service("compute", "/compute/v1/") as compute, service("storage", "/storage/v1/") as storage:
        images = compute.images()
        found = images.getFromFamily(project=PROJECT, family="trainshed-amd64").execute()
        assert (found["name"], found["status"], found["architecture"]) == (NAME, "READY", "X86_64")
        [binding] = images.getIamPolicy(project=PROJECT, resource=NAME).execute()["bindings"]
        assert binding["members"] == ["allAuthenticatedUsers"]
        [stored] = storage.objects().list(bucket=BUCKET).execute()["items"]
        assert int(stored["size"]) == shed.image.stat().st_size


def test_an_emulator_that_is_not_ours_takes_the_same_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no preconditions, else as strict as it can be: another's reading of the protocol."""
    path = tmp_path / "archive"
    path.write_bytes(bytes(range(256)) * 4000)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{server._api._httpd.server_port}"
        monkeypatch.setenv(STORAGE_VARIABLE, endpoint)
        with requests.Session() as session:
            bucket = Bucket(name=BUCKET, client=Client.from_environment(PROJECT))
            measured = tarball.measure(path, each=PART)
            pieces = {f"parts/{piece.offset:09}": piece for piece in measured.parts}
            sent: list[int] = []
            parts = bucket.upload(path, pieces, advance=sent.append, workers=2)
            assert sum(sent) == path.stat().st_size
            whole = bucket.compose("whole", parts, measured.whole)
            assert whole.metadata == MANAGED
            assert {stored.name for stored in bucket.below("")} == {*pieces, "whole"}
            data = session.get(f"{endpoint}/storage/v1/b/{BUCKET}/o/whole", params={"alt": "media"}, timeout=9).content
            assert data == path.read_bytes()
            for part in parts:
                bucket.remove(part)
            assert [stored.name for stored in bucket.below("")] == ["whole"]
    finally:
        server.stop()
