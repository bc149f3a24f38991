"""Files: one identity by three proofs on every verb, and names that are made to lead elsewhere."""

import base64
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.bootstrap import build_apps, build_services
from trainshed.domain.identity import Role
from trainshed.testing.api import QUICK, TOKEN_SECRET, memory_engines

SECRET = "what lies beside the files"
PAGE = {"X-Requested-With": "a page of ours"}  # a cookie alone changes nothing
FORM = "multipart/form-data; boundary=bnd"


class World:
    """A file server on a folder, beside things that nobody may reach, and one user of each kind."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "files"
        self.outside = folder / "outside"
        self.outside.mkdir()
        for path in (folder / "secret", self.outside / "secret", folder / "files-twin"):
            path.write_text(SECRET)
        self.blobs = FileBlobs(self.root)
        engines = replace(memory_engines(folder), blobs=self.blobs)
        (self.root / "link").symlink_to(self.outside)
        self.services = build_services(engines, token_secret=TOKEN_SECRET, policy=QUICK)
        self.client: FlaskClient = build_apps(engines, self.services, QUICK)["files"].test_client(use_cookies=False)
        accounts = self.services.accounts
        self.users = {role: accounts.create_user(role.value, role=role) for role in (Role.USER, Role.VIEWER)}

    def proofs(self, role: Role, method: str, path: str) -> dict[str, tuple[str, dict[str, str]]]:
        """Kind of proof -> the address and the headers of a request."""
        identity = self.services.accounts.identity(self.users[role])
        token = self.services.accounts.issue_token(identity)
        keys = self.services.accounts.create_credentials(self.users[role])
        link = self.services.file_links.link(identity, path, method="GET" if method == "HEAD" else method)
        return {
            "bearer": (quote(path), {"Authorization": f"Bearer {token}"}),
            "basic": (quote(path), {"Authorization": _basic(keys.access_key, keys.secret_key)}),
            "cookie": (quote(path), {"Cookie": f"{QUICK.cookies.name}={token}", **PAGE}),
            "link": (link, {}),
        }

    def untouched(self) -> bool:
        beside = [path for path in self.root.parent.rglob("*") if not path.is_relative_to(self.root) and path.is_file()]
        return len([path for path in beside if path.read_bytes() == SECRET.encode()]) == 3


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def form(name: str) -> bytes:
    return f'--bnd\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\nx\r\n--bnd--\r\n'.encode()


VERBS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "download": ("GET", "/a/file", {}),
    "head": ("HEAD", "/a/file", {}),
    "put": ("PUT", "/a/new", {"data": b"x"}),
    "part": ("PUT", "/a/new", {"data": b"x", "headers": {"Content-Range": "bytes 0-0/1"}}),
    "question": ("PUT", "/a/new", {"headers": {"Content-Range": "bytes */1"}}),
    "form": ("POST", "/", {"data": form("/a/new"), "content_type": FORM}),
    "delete": ("DELETE", "/a/file", {}),
    "delete many": ("POST", "/delete_many", {"json": {"files": ["/a/file"]}}),
}


@pytest.mark.parametrize(("method", "path", "more"), VERBS.values(), ids=VERBS.keys())
def test_each_proof_is_as_good_as_the_others(world: World, method: str, path: str, more: dict[str, Any]) -> None:
    headers = more.get("headers", {})
    for role, changes in ((Role.USER, {200, 202}), (Role.VIEWER, {403})):
        expected = {200} if method in ("GET", "HEAD") else changes
        for proof, (url, said) in world.proofs(role, method, path).items():
            world.blobs.put("a/file", [b"kept"])
            answer = world.client.open(url, method=method, **more | {"headers": said | headers})
            assert answer.status_code in expected, (role, proof, answer.data)


@pytest.mark.parametrize(("method", "path", "more"), VERBS.values(), ids=VERBS.keys())
def test_no_proof_and_wrong_ones_are_refused_alike(world: World, method: str, path: str, more: dict[str, Any]) -> None:
    world.blobs.put("a/file", [b"kept"])
    headers = more.get("headers", {})
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": _basic("a" * 20, "b" * 40)},
        {"Cookie": f"{QUICK.cookies.name}=x.y.z", **PAGE},
    ]
    for said in wrong:
        answer = world.client.open(path, method=method, **more | {"headers": said | headers})
        assert answer.status_code == 401
    assert [info.key for info in world.blobs.files()] == ["a/file"]


# Further ones, and each in every encoding, are in transport/test_files.py.
HOSTILE = [
    "../secret",
    "a/../../secret",
    "/{outside}/secret",
    "..\\secret",
    "C:\\secret",
    "..%2fsecret",
    "..%252fsecret",
    "%2e%2e/secret",
    "..%c0%afsecret",
    "..;/secret",
    "secret\0.png",
    "link/secret",
    "link/new",
    "../files-twin",
    "a\r\nSet-Cookie: x=y",
    "a\nX: y",
    "a\u0085b",
    "x" * 1025,
    "/".join(["y" * 200] * 25),
    "~/secret",
    "file:///etc/passwd",
    "\uff0e\uff0e/secret",
]

CALLS: dict[str, Callable[[World, str, dict[str, str]], TestResponse]] = {
    "download": lambda world, name, said: world.client.get(f"/{name}", headers=said),
    "head": lambda world, name, said: world.client.head(f"/{name}", headers=said),
    "ranges": lambda world, name, said: world.client.get(f"/{name}", headers=said | {"Range": "bytes=0-0,2-2"}),
    "put": lambda world, name, said: world.client.put(f"/{name}", data=b"new", headers=said),
    "part": lambda world, name, said: world.client.put(
        f"/{name}", data=b"new", headers=said | {"Content-Range": "bytes 0-2/3"}
    ),
    "half a part": lambda world, name, said: world.client.put(
        f"/{name}", data=b"new", headers=said | {"Content-Range": "bytes 0-2/9"}
    ),
    "form": lambda world, name, said: world.client.post("/", data=form(name), content_type=FORM, headers=said),
    "delete": lambda world, name, said: world.client.delete(f"/{name}", headers=said),
    "delete many": lambda world, name, said: world.client.post("/delete_many", json={"files": [name]}, headers=said),
}


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:30])
def test_no_name_leads_out_of_the_root(world: World, name: str) -> None:
    name = name.replace("{outside}", str(world.outside))
    said = world.proofs(Role.USER, "GET", "/a")["bearer"][1]
    for spelled in (name, quote(name), quote(quote(name))):
        for call in CALLS.values():
            answer = call(world, spelled, said)
            assert answer.status_code in (200, 202, 206, 400, 404), answer.data
            assert SECRET not in answer.get_data(as_text=True)
            assert not {"Set-Cookie", "X"} & set(answer.headers.keys())
            assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
    assert world.untouched()


def test_a_link_made_for_a_hostile_name_leads_nowhere(world: World) -> None:
    for name in HOSTILE:
        url, said = world.proofs(Role.USER, "GET", name.replace("{outside}", str(world.outside)))["link"]
        assert world.client.get(url, headers=said).status_code in (400, 404)


def test_twins_in_unicode_are_two_files(world: World) -> None:
    """As they are for the client, which compares the names that it was told."""
    said = world.proofs(Role.USER, "GET", "/a")["bearer"][1]
    names = [unicodedata.normalize(form_, "é/\u212b") for form_ in ("NFC", "NFD")]
    for name in names:
        assert world.client.put(f"/{quote(name)}", data=name.encode(), headers=said).get_json() == [name]
    for name in names:
        assert world.client.get(f"/{quote(name)}", headers=said).data == name.encode()
