"""Uploads that come in parts, digests of uploads, and how much may be stored."""

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.adapters.memory.blobs import MemoryBlobs
from trainshed.domain.identity import Identity
from trainshed.ports.blobs import Blobs
from trainshed.services.stored_files import FILE_POLICY, FilePolicy, StoredFiles
from trainshed.testing.clock import FakeClock
from trainshed.transport.files import create_files_app

_CONTENT = bytes(range(256)) * 1000
_SIZE = len(_CONTENT)
_FORM = "multipart/form-data; boundary=bnd"
_ENGINES: dict[str, Callable[[Path], Blobs]] = {"memory": lambda path: MemoryBlobs(FakeClock()), "files": FileBlobs}


def sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


class Api:
    def __init__(self, blobs: Blobs, policy: FilePolicy = FILE_POLICY) -> None:
        self.files = StoredFiles(blobs=blobs, clock=FakeClock(), policy=policy)
        app = create_files_app(files=self.files, authenticate=lambda http: Identity(user=http.headers["User"]))
        self.client: FlaskClient = app.test_client()

    def __call__(self, method: str, path: str, body: bytes | io.BytesIO = b"", /, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        arguments: dict[str, Any] = {"headers": {"User": "u"} | named}
        if length := named.pop("Content-Length", None):  # else the test client counts
            arguments["environ_overrides"] = {"CONTENT_LENGTH": length}
        if isinstance(body, bytes):
            arguments["data"] = body
        else:
            arguments["input_stream"] = body
        return self.client.open(path, method=method, **arguments)

    def part(self, start: int, stop: int, content: bytes = _CONTENT, /, **headers: str) -> TestResponse:
        said = f"bytes {start}-{stop - 1}/{len(content)}"
        return self("PUT", "/a/b", content[start:stop], Content_Range=said, **headers)

    def ask(self, method: str = "PUT", /, **headers: str) -> TestResponse:
        return self(method, "/a/b", Content_Range=f"bytes */{_SIZE}", **headers)

    def offset(self, **headers: str) -> int:
        response = self.ask(**headers)
        assert response.status_code == 202
        return int(response.headers["Upload-Offset"])


@pytest.fixture(params=_ENGINES)
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Api:
    return Api(_ENGINES[request.param](tmp_path))


def code(response: TestResponse) -> int:
    assert response.get_json()["meta"]["result_code"] == response.status_code
    return response.status_code


def test_an_upload_in_parts(api: Api) -> None:
    assert api.offset() == 0
    first = api.part(0, 100)
    assert (first.status_code, first.get_json()) == (202, {"held": 100, "size": _SIZE})
    assert (first.headers["Upload-Offset"], first.headers["Range"]) == ("100", "bytes=0-99")
    assert api("GET", "/a/b").status_code == 404
    assert api.offset() == 100
    head = api.ask("HEAD")
    assert (head.status_code, head.headers["Upload-Offset"], head.data) == (202, "100", b"")
    assert api.part(100, 200_000).status_code == 202
    last = api.part(200_000, _SIZE)
    assert (last.status_code, last.get_json()) == (200, ["a/b"])
    assert api("GET", "/a/b").data == _CONTENT
    assert api.offset() == 0


def test_one_part_may_be_all_of_it(api: Api) -> None:
    assert api.part(0, _SIZE).get_json() == ["a/b"]
    assert api("GET", "/a/b").data == _CONTENT


def test_a_cut_part_goes_on_where_it_was_cut(api: Api) -> None:
    cut = api(
        "PUT", "/a/b", io.BytesIO(_CONTENT[:70_000]), Content_Range=f"bytes 0-99999/{_SIZE}", Content_Length="100000"
    )
    assert code(cut) == 400
    held = api.offset()
    assert 0 < held <= 70_000
    assert api.part(held, _SIZE).status_code == 200
    assert api("GET", "/a/b").data == _CONTENT


def test_a_part_from_elsewhere_is_refused_and_told_where_to_go_on(api: Api) -> None:
    api.part(0, 1000)
    for start in (999, 1001, 5000):
        response = api.part(start, 6000)
        assert code(response) == 409
        assert response.headers["Upload-Offset"] == "1000"
        assert response.get_json()["meta"]["error_data"] == {"held": 1000}
    assert api.part(0, 10).status_code == 202  # it begins anew
    assert api.offset() == 10


BAD_PARTS = {
    "no unit": {"Content_Range": "0-9/256000"},
    "other unit": {"Content_Range": "items 0-9/256000"},
    "no size": {"Content_Range": "bytes 0-9/*"},
    "backwards": {"Content_Range": "bytes 9-0/256000"},
    "beyond": {"Content_Range": "bytes 255991-256000/256000"},
    "shorter than the body": {"Content_Range": "bytes 0-8/256000"},
    "longer than the body": {"Content_Range": "bytes 0-10/256000"},
    "negative": {"Content_Range": "bytes -1-8/256000"},
    "endless": {"Content_Range": f"bytes 0-9/{'9' * 30}"},
    "a body where none is asked for": {"Content_Range": "bytes */256000"},
    "an endless name": {"Content_Range": "bytes 0-9/256000", "Upload_Id": "x" * 201},
    "a digest of no kind": {"Content_Range": "bytes 0-9/256000", "Repr_Digest": "md5=:AAAA:"},
    "no digest": {"Content_Range": "bytes 0-9/256000", "Digest": "sha-256=%%%"},
}


@pytest.mark.parametrize("headers", BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_bad_parts(api: Api, headers: dict[str, str]) -> None:
    assert code(api("PUT", "/a/b", b"0123456789", **headers)) == 400
    assert api.offset() == 0
    assert api("GET", "/a/b").status_code == 404


def test_uploads_do_not_meet(api: Api) -> None:
    """Of another user, name, digest or size: nothing of one gets into the other."""
    other = bytes(reversed(_CONTENT))
    mine, theirs = f"sha-256=:{sha256(_CONTENT)}:", f"sha-256=:{sha256(other)}:"
    api.part(0, 1000, Repr_Digest=mine)
    for differing in ({"User": "v"}, {"Upload_Id": "x"}, {}, {"Repr_Digest": theirs}):
        assert api.offset(**differing) == 0
        assert code(api.part(1000, 2000, **differing)) == 409
    api.part(0, 500, other, Repr_Digest=theirs)
    assert api.offset(Repr_Digest=mine) == 1000
    assert api.part(1000, _SIZE, Repr_Digest=mine).status_code == 200
    assert api.part(500, _SIZE, other, Repr_Digest=theirs).status_code == 200
    assert api("GET", "/a/b").data == other


def test_two_cannot_add_at_once(api: Api) -> None:
    answers: list[int] = []

    class Meanwhile(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not answers:
                answers.append(code(api.part(0, 10)))
            return super().read(size)

    body = Meanwhile(_CONTENT[:1000])
    api("PUT", "/a/b", body, Content_Range=f"bytes 0-999/{_SIZE}", Content_Length="1000")
    assert answers == [409]
    assert api.offset() == 1000


def test_a_wrong_digest_stores_nothing(api: Api) -> None:
    api("PUT", "/a/b", b"former")
    right, wrong = f"sha-256=:{sha256(_CONTENT)}:", f"sha-256=:{sha256(b'')}:"
    assert code(api.part(0, _SIZE, Repr_Digest=wrong)) == 400
    assert api.offset(Repr_Digest=wrong) == 0
    assert code(api("PUT", "/a/b", _CONTENT, Repr_Digest=wrong)) == 400
    assert api("GET", "/a/b").data == b"former"
    assert api("PUT", "/a/b", _CONTENT, Digest="MD5=x, SHA-256=" + sha256(_CONTENT)).status_code == 200
    assert api("GET", "/a/b").data == _CONTENT
    # The answer to its last part was lost: who asks again, and says what it is, hears that it is there.
    assert api.ask(Repr_Digest=right).status_code == 200
    assert api.ask(Repr_Digest=wrong).status_code == 202


def test_abandoned_uploads_are_dropped(tmp_path: Path) -> None:
    api = Api(FileBlobs(tmp_path), FilePolicy(unfinished_seconds=0))
    api.part(0, 1000)
    api.files._clock.advance(10**10)  # type: ignore[attr-defined]  # the FakeClock from above
    assert api.files.forget_uploads() is False
    assert api.offset() == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# how much


def form(content: bytes) -> bytes:
    return b'--bnd\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + content + b"\r\n--bnd--\r\n"


class _Unread(io.BytesIO):
    """A body that nobody may read."""

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("it was read")


UPLOADS = {
    "put": ("PUT", "/new", {}),
    "part": ("PUT", "/new", {"Content_Range": "bytes 0-1048575/1048576"}),
}


@pytest.mark.parametrize(("method", "path", "headers"), UPLOADS.values(), ids=UPLOADS.keys())
def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path, method: str, path: str, headers: Any) -> None:
    sizes = {"Content_Length": str(2**20)} | headers
    for blobs, policy, expected in (
        (FileBlobs(tmp_path), FilePolicy(quota_bytes=2**20 - 1), 507),
        (FileBlobs(tmp_path, reserve=2**60), FilePolicy(), 507),
    ):
        response = Api(blobs, policy)(method, path, _Unread(), **sizes)
        assert code(response) == expected
        assert response.headers["Connection"] == "close"
    small = Api(FileBlobs(tmp_path), FilePolicy(max_upload_mb=1))
    too_much = {name: value.replace("1048576", "1048577") for name, value in sizes.items()}
    if "Content_Range" in too_much:
        too_much["Content_Length"] = str(2**20)
    assert code(small(method, path, _Unread(), **too_much)) == 413
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_largest_size_is_kept_to_in_forms_too(api: Api) -> None:
    api.files.policy = FilePolicy(max_upload_mb=1)
    fits = bytes(2**20 - 200)
    assert api("POST", "/", form(fits), Content_Type=_FORM).status_code == 200
    assert code(api("POST", "/", form(bytes(2**20 + 1)), Content_Type=_FORM)) == 413
    assert api("GET", "/a").data == fits


def test_a_form_in_chunks_is_cut_at_the_limit(api: Api) -> None:
    api.files.policy = FilePolicy(quota_bytes=1000)
    for content, expected in ((bytes(1001), 413), (bytes(900), 200)):
        response = api.client.open(
            "/",
            method="POST",
            input_stream=io.BytesIO(form(content)),
            headers={"User": "u", "Content-Type": _FORM},
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        )
        assert response.status_code == expected


def test_the_quota_is_for_all_files_together(api: Api) -> None:
    api("PUT", "/before", bytes(300))
    api.files.policy = FilePolicy(quota_bytes=1000)
    assert api("PUT", "/c", bytes(600)).status_code == 200
    response = api("PUT", "/b", bytes(101))
    assert code(response) == 507
    assert "100 are left" in response.get_json()["meta"]["result_msg"]
    assert api("PUT", "/c", bytes(700)).status_code == 200  # in the place of the 600
    assert code(api("PUT", "/b", b"x")) == 507
    assert api("GET", "/c").status_code == 200
    assert api("DELETE", "/before").status_code == 200
    assert api.part(0, 250, bytes(300)).status_code == 202
    assert code(api.part(0, 250, bytes(301))) == 507
    assert api.part(250, 300, bytes(300)).status_code == 200
    assert code(api("PUT", "/b", b"x")) == 507
    api.files.blobs.delete("c")  # by another process
    assert code(api("PUT", "/b", b"x")) == 507
    api.files.recount()
    assert api("PUT", "/b", bytes(700)).status_code == 200


def test_what_comes_at_once_counts_too(api: Api) -> None:
    api.files.policy = FilePolicy(quota_bytes=1000)
    answers: list[int] = []

    class Meanwhile(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not answers:
                answers.append(api("PUT", "/b", bytes(401)).status_code)
                answers.append(api("PUT", "/b", bytes(400)).status_code)
            return super().read(size)

    assert api("PUT", "/a", Meanwhile(bytes(600)), Content_Length="600").status_code == 200
    assert answers == [507, 200]


def test_a_refused_upload_gives_its_promise_back(api: Api) -> None:
    api.files.policy = FilePolicy(quota_bytes=1000)
    assert api("PUT", "/a", io.BytesIO(b"cut"), Content_Length="1000").status_code == 400
    assert api("PUT", "/a", bytes(1000)).status_code == 200
