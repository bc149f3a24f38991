"""The object store's engine, against moto's server on the loopback.

Both drivers are loaded by the fixtures: loading takes seconds, and every run of the fast tests collects this file.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trainshed.adapters.system.clock import SystemClock
from trainshed.bootstrap import open_engines
from trainshed.domain.errors import InvalidKey, NotFound, StoreError
from trainshed.domain.identity import Identity
from trainshed.ports.blobs import Blobs, Upload
from trainshed.services.stored_files import FilePolicy, FilesPlace, StoredFiles
from trainshed.settings import Settings
from trainshed.testing.blobs_conformance import BlobsConformance, content
from trainshed.transport.files import create_files_app

if TYPE_CHECKING:
    from trainshed.adapters.s3.blobs import S3Blobs

pytestmark = pytest.mark.faults  # seconds
_MIB = 2**20
_LONG = hashlib.shake_256(b"parts").digest(12 * _MIB + 5)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def blobs(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Blobs:
    """On a bucket of its own, with credentials as a container has them."""
    import boto3

    from trainshed.adapters.s3.blobs import S3Blobs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
    return S3Blobs(bucket=bucket, prefix="/of/ours/", endpoint=endpoint, part_bytes=5 * _MIB)


def objects(blobs: S3Blobs) -> list[str]:
    found = blobs._client.list_objects_v2(Bucket=blobs._bucket).get("Contents", [])
    return [item["Key"] for item in found]


def unfinished(blobs: S3Blobs) -> list[str]:
    return [item["Key"] for item in blobs._client.list_multipart_uploads(Bucket=blobs._bucket).get("Uploads", [])]


class TestS3Blobs(BlobsConformance):
    has_folders = False
    keeps_open = False
    turns = 5

    @pytest.fixture
    def blobs(self, blobs: S3Blobs) -> Blobs:
        return blobs


def test_a_long_file_goes_up_in_parts(blobs: S3Blobs) -> None:
    pieces = (_LONG[start : start + 300_000] for start in range(0, len(_LONG), 300_000))
    info = blobs.put("a", pieces, size=len(_LONG))
    assert info.size == len(_LONG)
    assert info.etag.endswith("-3")
    assert content(blobs, "a") == _LONG
    assert (objects(blobs), unfinished(blobs)) == (["of/ours/files/a"], [])


def test_an_upload_in_parts_of_any_size(blobs: S3Blobs) -> None:
    upload = Upload(key="a", size=len(_LONG), name="")
    start = 0
    for stop in (1, 100, 6 * _MIB, 11 * _MIB, 11 * _MIB + 7, len(_LONG)):
        assert blobs.held(upload) == start
        blobs.append(upload, start, [_LONG[start:stop]])
        start = stop
    blobs.finish(upload)
    assert content(blobs, "a") == _LONG
    assert (objects(blobs), unfinished(blobs)) == (["of/ours/files/a"], [])


def test_an_upload_survives_its_process(blobs: S3Blobs, endpoint: str) -> None:
    """One that is killed while it puts the rest aside loses no more than that."""
    upload = Upload(key="a", size=len(_LONG), name="")
    blobs.append(upload, 0, [_LONG[: 6 * _MIB]])
    blobs._client.delete_object(**blobs._uploads._tail(upload))
    again = type(blobs)(bucket=blobs._bucket, prefix="of/ours", endpoint=endpoint, part_bytes=5 * _MIB)
    assert again.held(upload) == 5 * _MIB
    again.append(upload, 5 * _MIB, [_LONG[5 * _MIB :]])
    again.finish(upload)
    assert content(again, "a") == _LONG


def test_what_failed_puts_leave_is_dropped(blobs: S3Blobs) -> None:
    def leaving() -> Iterator[bytes]:
        yield _LONG
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.put("a", leaving())
    assert (objects(blobs), unfinished(blobs)) == ([], [])
    blobs._client.create_multipart_upload(Bucket=blobs._bucket, Key="of/ours/files/killed")
    assert blobs.forget_uploads(datetime(2001, 1, 1, tzinfo=UTC)) == 0
    assert blobs.forget_uploads(datetime(2100, 1, 1, tzinfo=UTC)) == 1
    assert unfinished(blobs) == []


def test_a_link_gives_the_file_with_its_headers(blobs: S3Blobs) -> None:
    blobs.put("données/a b.txt", [b"content"])
    link = blobs.link("données/a b.txt", seconds=60, content_type="text/plain", disposition='inline; filename="a b"')
    with urllib.request.urlopen(link) as reply:
        assert reply.read() == b"content"
        assert (reply.headers["Content-Type"], reply.headers["Content-Disposition"]) == (
            "text/plain",
            'inline; filename="a b"',
        )
    assert "X-Amz-Expires=60" in link


def test_names_that_no_object_has(blobs: S3Blobs) -> None:
    key = "/".join(["x" * 250] * 5)
    with pytest.raises(InvalidKey):
        blobs.put(key, [b"x"])
    with pytest.raises(NotFound):
        blobs.info(key)


def test_a_store_that_is_not_there_is_an_error_of_the_port(blobs: S3Blobs, endpoint: str) -> None:
    elsewhere = type(blobs)(bucket="no-such-bucket", endpoint=endpoint)
    with pytest.raises(StoreError) as raised:
        elsewhere.put("a", [b"x"])
    assert "NoSuchBucket" in str(raised.value)


def test_downloads_may_be_sent_to_the_store(blobs: S3Blobs) -> None:
    files = StoredFiles(blobs=blobs, clock=SystemClock(), policy=FilePolicy(redirect=True))
    client = create_files_app(files=files, authenticate=lambda request: Identity(user="u")).test_client()
    assert client.put("/p/page.html", data=b"<script>").status_code == 200
    sent = client.get("/p/page.html")
    assert (sent.status_code, sent.headers["Cache-Control"]) == (307, "no-store")
    with urllib.request.urlopen(sent.location) as reply:
        assert reply.read() == b"<script>"
        assert reply.headers["Content-Disposition"].startswith("attachment;")
    assert client.head("/p/page.html").content_length == 8
    assert client.get("/p/missing").status_code == 404


def test_the_driver_is_loaded_only_when_a_bucket_is_configured() -> None:
    script = "import sys, trainshed.bootstrap; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_bucket_of_the_configuration_is_used(blobs: S3Blobs, endpoint: str, tmp_path: Path) -> None:
    place = FilesPlace(bucket=blobs._bucket, prefix="of/ours", endpoint=endpoint, region="us-east-1")
    engines = open_engines(Settings(data_dir=tmp_path, files_place=place))
    engines.blobs.put("a", [b"x"])
    engines.close()
    assert objects(blobs) == ["of/ours/files/a"]
    other = open_engines(Settings(data_dir=tmp_path, files_place=FilesPlace(folder=tmp_path / "nas")))
    other.blobs.put("b", [b"y"])
    other.close()
    assert (tmp_path / "nas/b").read_bytes() == b"y"
