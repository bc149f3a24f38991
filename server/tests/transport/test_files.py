import gc
import gzip
import io
import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse, create_environ

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.adapters.memory.blobs import MemoryBlobs
from trainshed.domain.errors import ApiError, Fault, StoreError, StoreFull
from trainshed.domain.identity import Identity, Role
from trainshed.ports.blobs import BlobInfo, Blobs
from trainshed.services.file_links import FileLinks
from trainshed.services.stored_files import FILE_POLICY, FilePolicy, StoredFiles
from trainshed.testing.clock import FakeClock
from trainshed.transport.files import create_files_app

_CONTENT = bytes(range(256)) * 2000
_FORM = "multipart/form-data; boundary=bnd"


def authenticate(request: flask.Request) -> Identity:
    if request.headers.get("Authorization") != "Bearer good":
        raise ApiError(Fault.INVALID_TOKEN)
    return Identity(user="tester")


def user(name: str) -> Identity:
    if name == "gone":
        raise ApiError(Fault.INVALID_USER_ID)
    return Identity(user=name, role=Role.VIEWER if name == "viewer" else Role.USER)


def form(*files: tuple[str, bytes]) -> bytes:
    parts = [
        f'--bnd\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + b"--bnd--\r\n"


class Api:
    """Calls as a WSGI server passes them on: the path unquoted once, byte by byte."""

    def __init__(self, blobs: Blobs, policy: FilePolicy = FILE_POLICY) -> None:
        self.blobs = blobs
        self.clock = FakeClock()
        self.links = FileLinks(secret=b"secret", clock=self.clock, identity=user)
        self.files = StoredFiles(blobs=blobs, clock=self.clock, policy=policy)
        app = create_files_app(files=self.files, authenticate=authenticate, links=self.links)
        self.client: FlaskClient = app.test_client()

    def __call__(self, method: str, path: str, body: bytes = b"", token: str = "good", **headers: str) -> TestResponse:
        url, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": unquote_to_bytes(url).decode("latin-1"),
            "QUERY_STRING": query,
        }
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(
            method=method,
            data=body,
            headers=({"Authorization": f"Bearer {token}"} if token else {}) | names,
            environ_overrides=environ,
        )

    def upload(self, *files: tuple[str, bytes]) -> TestResponse:
        return self("POST", "/", form(*files), Content_Type=_FORM)


@pytest.fixture
def api() -> Api:
    return Api(MemoryBlobs(FakeClock()))


def fault(response: TestResponse) -> tuple[int, int, int]:
    """(status, result_code, result_subcode), after checking that the error has the contract's form and tells no secrets."""
    assert response.content_type == "application/json"
    reply = response.get_json()
    assert set(reply) == {"meta", "data"} and reply["meta"]["error_stack"] == ""
    return response.status_code, reply["meta"]["result_code"], reply["meta"]["result_subcode"]


def test_what_the_client_uploads_it_downloads(api: Api) -> None:
    assert api.upload(("/project/task.1/artifacts/a/model.bin", _CONTENT)).get_json() == [
        "project/task.1/artifacts/a/model.bin"
    ]
    response = api("GET", "/project/task.1/artifacts/a/model.bin")
    assert response.status_code == 200
    assert response.data == _CONTENT
    assert response.content_length == len(_CONTENT)


@pytest.mark.parametrize(
    "name", ["/Caf%C3%A9 100%25/x.bin", "/a b/%2e%2e/c", "/模型/%23+&.bin", "/x%00y", "/q?x=1#y;z"], ids=ascii
)
def test_a_name_is_stored_as_sent_and_its_link_is_unquoted_once(api: Api, name: str) -> None:
    assert api.upload((name, b"1")).get_json() == [name.lstrip("/")]
    assert api("GET", quote(name)).data == b"1"
    if "%" in name:
        assert api("GET", name).status_code in (400, 404)
    assert api("DELETE", quote(name)).status_code == 200
    assert api("GET", quote(name)).status_code == 404


def test_a_half_quoted_link_of_the_client_finds_its_file(api: Api) -> None:
    task = "0123456789abcdef0123456789abcdef"
    assert api("POST", "/", form((f"/P/a%3A b.{task}/models/w.bin", b"weights")), content_type=_FORM).status_code == 200
    link = f"/P/a%3A b.{task}/models/w.bin"  # the server unquotes it once, as every link
    assert api("GET", link).data == b"weights"
    assert api("DELETE", link).status_code == 200
    assert api("GET", link).status_code == 404


def test_several_files_in_one_form(api: Api) -> None:
    assert api.upload(("/a", b"1"), ("/b/c", b"2")).get_json() == ["a", "b/c"]
    assert api("GET", "/b/c").data == b"2"


def test_put_then_read_then_delete(api: Api) -> None:
    assert api("PUT", "/a/b", b"one").status_code == 200
    assert api("PUT", "/a/b", b"two").get_json() == ["a/b"]
    assert api("GET", "/a/b").data == b"two"
    assert api("DELETE", "/a/b").status_code == 200
    assert fault(api("DELETE", "/a/b")) == (404, 404, 0)
    assert fault(api("GET", "/a/b")) == (404, 404, 0)
    assert api("HEAD", "/a/b").status_code == 404


def test_head_tells_what_get_would_send(api: Api) -> None:
    api("PUT", "/a", _CONTENT)
    got, head = api("GET", "/a"), api("HEAD", "/a")
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers == got.headers


@pytest.mark.parametrize("path", ["/", "/health"])
def test_health_needs_no_credentials(api: Api, path: str) -> None:
    assert api("GET", path, token="").status_code == 200
    assert api("HEAD", path, token="").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/health", "/a", "/delete_many", "//a", "/../a", "/a?download="])
@pytest.mark.parametrize("token", ["", "bad"])
def test_everything_else_needs_them(method: str, path: str, token: str) -> None:
    if method in ("GET", "HEAD") and path in ("/", "/health"):
        return
    blobs = MemoryBlobs(FakeClock())
    blobs.put("a", [b"kept"])
    response = Api(blobs)(method, path, form(("/a", b"new")), token, Content_Type=_FORM)
    assert response.status_code == 401
    assert blobs.info("a").size == 4


@pytest.mark.parametrize(("method", "path"), [("POST", "/a"), ("PATCH", "/a"), ("OPTIONS", "/")])
def test_other_methods_are_no_endpoints(api: Api, method: str, path: str) -> None:
    assert fault(api(method, path)) == (404, 404, 0)


def test_delete_many_tells_for_each(api: Api) -> None:
    api.upload(("/a", b"1"), ("/b%20c", b"2"), ("/d/e", b"3"))
    body = b'{"files": ["/a", "/b%2520c", "missing", "../x", "%2e%2e/x", "d", "%ff"]}'
    reply = api("POST", "/delete_many", body, Content_Type="application/json").get_json()
    assert reply["deleted"] == {"/a": "a", "/b%2520c": "b%20c"}
    assert reply["errors"]["Not found"] == ["missing"]
    assert sorted(chain.from_iterable(reply["errors"].values())) == ["%2e%2e/x", "%ff", "../x", "d", "missing"]
    assert api("GET", "/d/e").status_code == 200


def test_delete_many_takes_whole_folders_of_tasks_only(api: Api) -> None:
    task = "p/name.0123456789abcdef0123456789abcdef"
    api.upload((f"/{task}/a/b", b"1"), (f"/{task}/c", b"2"), ("/p/other", b"3"), (f"/{task}0/d", b"4"))
    body = flask.json.dumps({"files": ["/p", "/", f"/{task}/x", f"/{task}"]}).encode()
    reply = api("POST", "/delete_many", body).get_json()
    assert reply["deleted"] == {f"/{task}": task}
    assert reply["errors"]["Not found"] == [f"/{task}/x"]
    assert sorted(chain.from_iterable(reply["errors"].values())) == ["/", "/p", f"/{task}/x"]
    assert sorted(info.key for info in api.blobs.files()) == [f"{task}0/d", "p/other"]


def test_delete_many_may_be_switched_off() -> None:
    api = Api(MemoryBlobs(FakeClock()), FilePolicy(batch_delete=False))
    api("PUT", "/a", b"x")
    response = api("POST", "/delete_many", b'{"files": ["a"]}')
    assert fault(response) == (403, 403, 0)
    assert "fileserver.delete.allow_batch" in response.get_json()["meta"]["result_msg"]
    assert api("DELETE", "/a").status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"files": "a"}', b'{"files": [1]}', b"\xff", b"[" * 100_000])
def test_delete_many_refuses_what_is_no_list(api: Api, body: bytes) -> None:
    assert fault(api("POST", "/delete_many", body)) == (400, 400, 12)


BAD_UPLOADS = {
    "no form": ("text/plain", b"x"),
    "no type": ("", b"x"),
    "no boundary": ("multipart/form-data", form(("/a", b"1"))),
    "other boundary": ("multipart/form-data; boundary=other", form(("/a", b"1"))),
    "no file": (_FORM, b"--bnd--"),
    "cut": (_FORM, form(("/a", b"1"))[:-8]),
    "folder": (_FORM, form(("/folder", b"1"))),
    "through a file": (_FORM, form(("/folder/file/x", b"1"))),
    "traversal": (_FORM, form(("/../a", b"1"))),
    "empty name": (_FORM, form(("", b"1"))),
    "reserved": (_FORM, form(("//./health", b"1"))),
    "reserved, too": (_FORM, form(("ready", b"1"))),
}


@pytest.mark.parametrize(("content_type", "body"), BAD_UPLOADS.values(), ids=BAD_UPLOADS.keys())
def test_bad_uploads(api: Api, content_type: str, body: bytes) -> None:
    api("PUT", "/folder/file", b"kept")
    assert fault(api("POST", "/", body, Content_Type=content_type))[0] == 400
    assert api("GET", "/folder/file").data == b"kept"
    assert api("GET", "/a").status_code == 404


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    api = Api(FileBlobs(tmp_path))
    whole = form(("/a", _CONTENT))
    for method, path in (("POST", "/"), ("PUT", "/a")):
        cut = api.client.open(
            path,
            method=method,
            input_stream=_Stream(whole[:100_000]),
            headers={"Authorization": "Bearer good", "Content-Type": _FORM},
            environ_overrides={"CONTENT_LENGTH": str(len(whole))},
        )
        assert fault(cut)[0] == 400
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_form_in_chunks_is_stored_and_a_put_in_chunks_refused(api: Api) -> None:
    """A cut form lacks its end, but a cut raw body looks like a whole one."""
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    headers = {"Authorization": "Bearer good", "Content-Type": _FORM}
    for method, path, status in (("POST", "/", 200), ("PUT", "/b", 400)):
        stream = _Stream(form(("/a", _CONTENT)))
        response = api.client.open(path, method=method, input_stream=stream, headers=headers, environ_overrides=environ)
        assert response.status_code == status
    assert api("GET", "/a").data == _CONTENT
    assert api("GET", "/b").status_code == 404


class _Stream(io.BytesIO):
    """Reads short, as a socket does."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and size > 0, "an unbounded read would hold the whole body"
        return super().read(min(size, 1000))


@pytest.mark.parametrize(
    "headers", [{}, {"HTTP_RANGE": "bytes=0-9"}, {"HTTP_RANGE": "bytes=9999999-"}, {"HTTP_IF_NONE_MATCH": "*"}], ids=str
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_download_is_readable_until_it_is_closed(tmp_path: Path, method: str, headers: dict[str, str]) -> None:
    """Whoever serves holds nothing of the reply but what it iterates and closes, in the midst or before the beginning."""
    app = create_files_app(files=StoredFiles(blobs=FileBlobs(tmp_path), clock=FakeClock()), authenticate=authenticate)
    (tmp_path / "a").write_bytes(_CONTENT)
    environ = create_environ("/a", method=method, headers={"Authorization": "Bearer good"}) | headers
    for pieces in (0, 1):
        reply = app(environ, lambda status, headers, exc_info=None: lambda data: None)
        gc.collect()
        for _, piece in zip(range(pieces), reply, strict=False):
            assert piece
        reply.close()  # type: ignore[attr-defined]  # of a WSGI reply that has something to close
        assert not [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(link)]


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=5-9": (5, 10),
    "bytes=511000-": (511_000, 512_000),
    "bytes=-7": (511_993, 512_000),
    "bytes=0-999999999": (0, 512_000),
    "bytes=-999999999": (0, 512_000),
    "bytes=262144-524287": (262_144, 512_000),
}


@pytest.mark.parametrize(("value", "span"), RANGES.items(), ids=RANGES.keys())
def test_a_range(api: Api, value: str, span: tuple[int, int]) -> None:
    api("PUT", "/a", _CONTENT)
    response = api("GET", "/a", Range=value)
    assert response.status_code == 206
    assert response.data == _CONTENT[slice(*span)]
    assert response.content_length == span[1] - span[0]
    assert response.headers["Content-Range"] == f"bytes {span[0]}-{span[1] - 1}/512000"


@pytest.mark.parametrize(
    "value",
    [
        "lines=0-1",
        "bytes=b-a",
        "bytes=9-1",
        "nonsense",
        "bytes=",
        "bytes=-",
        "bytes=0-1,x",
        "bytes=0-9,0-9",
        "bytes=1--2",
        "bytes=" + ",".join(["0-0"] * 51),
    ],
)
def test_other_ranges_give_the_whole(api: Api, value: str) -> None:
    api("PUT", "/a", b"0123456789")
    response = api("GET", "/a", Range=value)
    assert (response.status_code, response.data) == (200, b"0123456789")


def test_several_ranges(api: Api) -> None:
    api("PUT", "/a.txt", _CONTENT)
    response = api("GET", "/a.txt", Range="bytes=0-2, 300000-300001,-3,600000-")
    assert response.status_code == 206
    assert response.content_length == len(response.data)
    boundary = response.mimetype_params["boundary"].encode()
    assert response.mimetype == "multipart/byteranges"
    head, *parts, tail = response.data.split(b"--" + boundary)
    assert (head, tail) == (b"\r\n", b"--\r\n")
    described = [part.strip(b"\r\n").split(b"\r\n\r\n") for part in parts]
    kind = b"Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "
    assert [header for header, _ in described] == [
        kind + span + b"/512000" for span in (b"0-2", b"300000-300001", b"511997-511999")
    ]
    assert [content for _, content in described] == [_CONTENT[:3], _CONTENT[300_000:300_002], _CONTENT[-3:]]
    assert api("HEAD", "/a.txt", Range="bytes=0-2,5-6").status_code == 206


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-,20-", "bytes=-0"])
def test_a_range_beyond_the_end(api: Api, value: str) -> None:
    api("PUT", "/a", b"0123456789")
    response = api("GET", "/a", Range=value)
    assert fault(response) == (416, 416, 0)
    assert response.headers["Content-Range"] == "bytes */10"


def test_validators(api: Api) -> None:
    api("PUT", "/a", b"old")
    first = api("GET", "/a")
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    for response in (
        api("GET", "/a", If_None_Match=etag),
        api("GET", "/a", If_None_Match="*"),
        api("GET", "/a", If_Modified_Since=modified),
    ):
        assert (response.status_code, response.data) == (304, b"")
    for condition in (etag, modified):
        assert api("GET", "/a", Range="bytes=0-0", If_Range=condition).status_code == 206
    api("PUT", "/a", b"new")
    assert api("GET", "/a", If_None_Match=etag).data == b"new"
    assert api("GET", "/a", Range="bytes=0-0", If_Range=etag).data == b"new"
    assert api("GET", "/a", Range="bytes=0-0", If_Range="Thu, 01 Jan 1970 00:00:00 GMT").data == b"new"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_is_for_another_state_of_the_file_is_refused(api: Api, method: str) -> None:
    api("PUT", "/a", b"old")
    etag, modified = (api("GET", "/a").headers[name] for name in ("ETag", "Last-Modified"))
    for headers in (
        {"If_Match": '"other"'},
        {"If_Match": "W/" + etag},
        {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ):
        assert api(method, "/a", b"new", **headers).status_code == 412
    assert api("GET", "/a").data == b"old"
    assert api(method, "/a", b"new", If_Match=f'"other", {etag}', If_Unmodified_Since=modified).status_code == 200


def test_a_file_is_made_or_replaced_only_as_said(api: Api) -> None:
    assert api("PUT", "/a", b"first", If_Match="*").status_code == 412
    assert api("PUT", "/a", b"first", If_None_Match="*").status_code == 200
    assert api("PUT", "/a", b"second", If_None_Match="*").status_code == 412
    assert api("PUT", "/a", b"second", If_Match="*").status_code == 200
    assert api("GET", "/a", If_None_Match='"other"').data == b"second"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (FilePolicy(), "private, max-age=300"),
        (FilePolicy(cache_seconds=0), "private, no-cache"),
        (FilePolicy(no_browser_caching=True), "no-store"),
    ],
    ids=str,
)
def test_how_long_a_browser_may_keep_it(policy: FilePolicy, expected: str) -> None:
    api = Api(MemoryBlobs(FakeClock()), policy)
    api("PUT", "/a", b"x")
    assert api("GET", "/a").headers["Cache-Control"] == expected


KINDS = {
    "a.png": ("image/png", "inline"),
    "a.jpeg": ("image/jpeg", "inline"),
    "a.txt": ("text/plain; charset=utf-8", "inline"),
    "a.json": ("application/json", "inline"),
    "a.mp4": ("video/mp4", "inline"),
    "a.svg": ("image/svg+xml", "attachment"),
    "a.SVG": ("image/svg+xml", "attachment"),
    "a.html": ("text/html", "attachment"),
    "a.htm": ("text/html", "attachment"),
    "a.js": ("text/javascript", "attachment"),
    "a.pdf": ("application/pdf", "attachment"),
    "a.xml": ("text/xml", "attachment"),
    "a.tar.gz": ("application/gzip", "attachment"),
    "a.html.gz": ("application/gzip", "attachment"),
    "a.txt.bz2": ("application/bzip2", "attachment"),
    "model": ("application/octet-stream", "attachment"),
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS.keys())
def test_nothing_stored_runs_in_the_servers_origin(api: Api, name: str, kind: tuple[str, str]) -> None:
    api("PUT", f"/x/{name}", b"<script>alert(1)</script>")
    response = api("GET", f"/x/{name}")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "sandbox"
    disposition = response.headers["Content-Disposition"].partition(";")[0]
    assert (response.headers["Content-Type"].replace("application/javascript", "text/javascript"), disposition) == kind
    assert "Content-Encoding" not in response.headers
    assert api("GET", f"/x/{name}?download=").headers["Content-Disposition"].startswith("attachment;")


def test_a_packed_file_arrives_packed(api: Api) -> None:
    packed = gzip.compress(b"content")
    api("PUT", "/a.gz", packed)
    assert api("GET", "/a.gz", Accept_Encoding="gzip").data == packed


def test_a_name_cannot_forge_a_header(api: Api) -> None:
    name = '/x/";a=b 模<>%0d%0a.txt'
    api.upload((name.replace('"', r"\""), b"1"))
    value = api("GET", quote(name)).headers["Content-Disposition"]
    assert value == (
        "inline; filename=\"__a_b ____0d_0a.txt\"; filename*=UTF-8''%22%3Ba%3Db%20%E6%A8%A1%3C%3E%250d%250a.txt"
    )


class _Failing(MemoryBlobs):
    def __init__(self, error: Exception) -> None:
        super().__init__(FakeClock())
        self.error = error

    def put(self, key: str, content: Iterable[bytes], *, size: int | None = None) -> BlobInfo:
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreFull("a"), (507, 507, 0)),
        (StoreError("a"), (500, 500, 102)),
        (ZeroDivisionError("my secret"), (500, 500, 0)),
    ],
    ids=["full", "engine", "bug"],
)
def test_failures_are_logged_and_told_without_a_trace(
    error: Exception, expected: tuple[int, int, int], caplog: pytest.LogCaptureFixture
) -> None:
    response = Api(_Failing(error))("PUT", "/a", b"x")
    assert fault(response) == expected
    assert b"secret" not in response.data and b"Traceback" not in response.data
    assert type(error).__name__ in caplog.text


HOSTILE = [
    "../secret",
    "../../secret",
    "../outside/secret",
    "a/../../secret",
    "a/b/../../../outside/secret",
    "./../secret",
    "//../secret",
    "..",
    "../",
    "../files-twin/secret",
    "..\\secret",
    "..\\..\\outside\\secret",
    "a\\..\\..\\secret",
    "..;/secret",
    ".../secret",
    "....//secret",
    "\0../secret",
    "../secret\0.png",
    "..\r\n/secret",
    "C:\\secret",
    "C:/secret",
    "C:secret",
    "\\\\host\\share\\secret",
    "file:///{outside}/secret",
    "{outside}/secret",
    "/{outside}/secret",
    "//{outside}/secret",
    "\u2025/secret",
    "\uff0e\uff0e/secret",
    "..\u2215secret",
    "..\uff0fsecret",
    "\ud7ff../secret",
    "link/secret",
    "link",
    "link/../secret",
    "secretlink",
    "~/secret",
    ".trainshed-incoming/../../secret",
]
# Octets that are no UTF-8: overlong forms of "." and "/".
HOSTILE_OCTETS = [
    "%c0%ae%c0%ae/secret",
    "..%c0%afsecret",
    "%e0%80%ae%e0%80%ae/secret",
    "%ff/../secret",
    "..%25c0%25afsecret",
]


def encoded(path: str, times: int) -> str:
    """Each octet but plain letters and digits as %XX, as often as asked."""
    for _ in range(times):
        path = "".join(
            chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02x}" for byte in path.encode()
        )
    return path


def snapshot(folder: Path, without: Path) -> dict[Path, bytes]:
    paths = [path for path in folder.rglob("*") if not path.is_relative_to(without)]
    return {path: path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with links that lead out of it, among files that nobody may touch."""
    root = tmp_path / "files"
    (root / "a/b").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "outside", tmp_path / "files-twin"):
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "secretlink").symlink_to(tmp_path / "outside/secret")
    return root


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("path", [*HOSTILE, *HOSTILE_OCTETS], ids=ascii)
def test_no_path_leaves_the_root(root: Path, path: str, times: int) -> None:
    api = Api(FileBlobs(root))
    before = snapshot(root.parent, without=root)
    hostile = encoded(path.replace("{outside}", str(root.parent / "outside").lstrip("/")), times)
    for name in (f"/{hostile}", hostile):
        responses = [
            api("GET", name),
            api("HEAD", name),
            api("POST", "/delete_many", flask.json.dumps({"files": [name]}).encode()),
            api("DELETE", name),
            api("PUT", name, b"overwritten"),
            api.upload((name, b"overwritten")),
            api("DELETE", name),
        ]
        assert {response.status_code for response in responses} <= {200, 400, 404}
        assert all(response.data != b"secret" for response in responses)
    assert snapshot(root.parent, without=root) == before


def test_an_upload_is_a_sign_of_life_of_its_task(tmp_path: Path) -> None:
    seen: list[str] = []
    files = StoredFiles(blobs=FileBlobs(tmp_path), clock=FakeClock(), uploading=seen.append)
    app = create_files_app(files=files, authenticate=authenticate)
    client = app.test_client()
    headers = {"Authorization": "Bearer good"}
    for path in ("p/name.0123456789abcdef0123456789abcdef/models/w.pt", "p/no-id/w.pt", f"p/{'0' * 33}/w.pt"):
        assert client.put(f"/{path}", data=b"x", headers=headers).status_code == 200
    assert set(seen) == {"0123456789abcdef0123456789abcdef"}


# links that are as good as a header


def signed(api: Api, path: str, method: str = "GET", *, seconds: int = 60, who: str = "maker") -> str:
    return api.links.link(Identity(user=who), path, method=method, seconds=seconds)


@pytest.mark.parametrize("name", ["a", "données/模 型.bin", "Caf%C3%A9/%2e%2e", "q?x=1&y#;z", "a\u2028b"], ids=ascii)
def test_a_link_is_as_good_as_a_header_on_every_verb(api: Api, name: str) -> None:
    assert api("PUT", signed(api, name, "PUT"), b"content", token="").get_json() == [name]
    for method in ("GET", "HEAD"):
        assert api(method, signed(api, name), token="").status_code == 200
    assert api("GET", signed(api, "/" + name), token="").data == b"content"
    assert api("GET", signed(api, name) + "&download=", Range="bytes=0-1", token="").data == b"co"
    listed = flask.json.dumps({"files": [quote(name)]}).encode()
    assert api("POST", signed(api, "delete_many", "POST"), listed, token="").get_json()["deleted"] == {
        quote(name): name
    }
    body = form((name.replace('"', r"\""), b"again"))
    assert api("POST", signed(api, "", "POST"), body, token="", Content_Type=_FORM).get_json() == [name]
    assert api("DELETE", signed(api, name, "DELETE"), token="").status_code == 200
    assert fault(api("GET", signed(api, name), token=""))[0] == 404


FORGED = {
    "another path": lambda link: link.replace("/a?", "/b?"),
    "a path below": lambda link: link.replace("/a?", "/a/b?"),
    "another user": lambda link: link.replace("user=maker", "user=admin"),
    "another method": lambda link: link.replace("method=GET", "method=PUT"),
    "a later end": lambda link: link.replace("expires=", "expires=9"),
    "no end": lambda link: link.replace("expires=", "expired="),
    "no signature": lambda link: link.partition("signature=")[0] + "signature=",
    "half a signature": lambda link: link[:-32],
    "another signature": lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
    "a signature of signs": lambda link: link.partition("signature=")[0] + "signature=%C3%A9%00",
    "nothing else": lambda link: "/a?signature=0",
    "fields that run together": lambda link: link.replace("user=maker&method=GET", "user=maker%0AGET&method="),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
def test_a_forged_link_is_worth_nothing(api: Api, method: str, forge: Callable[[str], str]) -> None:
    for key in ("a", "b", "a/b"):
        if key != "a/b":
            api("PUT", f"/{key}", b"kept")
    assert api(method, forge(signed(api, "a")), b"new", token="").status_code == 401
    assert api("GET", "/a").data == api("GET", "/b").data == b"kept"


@pytest.mark.parametrize(
    ("made_for", "used_for"), [("GET", "PUT"), ("GET", "DELETE"), ("PUT", "GET"), ("PUT", "DELETE"), ("DELETE", "HEAD")]
)
def test_a_link_is_for_one_method(api: Api, made_for: str, used_for: str) -> None:
    api("PUT", "/a", b"kept")
    assert api(used_for, signed(api, "a", made_for), b"new", token="").status_code == 401
    assert api("GET", "/a").data == b"kept"


def test_a_link_ends_with_its_time_and_with_its_maker(api: Api) -> None:
    api("PUT", "/a", b"x")
    link = signed(api, "a", seconds=60)
    api.clock.advance(60)
    assert api("GET", link, token="").status_code == 200
    api.clock.advance(1)
    assert fault(api("GET", link, token=""))[0] == 401
    assert fault(api("GET", signed(api, "a", who="gone"), token=""))[0] == 401
    assert api("GET", signed(api, "a", who="viewer"), token="").status_code == 200
    assert fault(api("DELETE", signed(api, "a", "DELETE", who="viewer"), token=""))[0] == 403


def test_links_of_another_server_are_worth_nothing(api: Api) -> None:
    api("PUT", "/a", b"x")
    other = FileLinks(secret=b"other", clock=api.clock, identity=user)
    assert api("GET", other.link(Identity(user="maker"), "a"), token="").status_code == 401


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "PATCH"},
        {"method": "get"},
        {"seconds": 0},
        {"seconds": 8 * 86_400},
        {"path": "/"},
        {"path": "health"},
    ],
    ids=str,
)
def test_links_that_are_not_made(api: Api, asked: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as raised:
        api.links.link(Identity(user="maker"), **{"path": "a"} | asked)
    assert raised.value.fault is Fault.VALIDATION_ERROR
