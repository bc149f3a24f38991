"""A Google Cloud on this machine: Cloud Storage and Compute Engine's images, one project, behind one address."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from trainshed_provision.testing import discovery
from trainshed_provision.testing.compute import Images
from trainshed_provision.testing.discovery import Method, Refused
from trainshed_provision.testing.gcs import DATA, Storage
from trainshed_provision.testing.loopback import Answer, Loopback, Request

PROJECT, BUCKET = "trainshed-test", "trainshed-images"

# What Google asks the caller to be allowed, by method.
PERMISSIONS = {
    "compute.images.insert": ("compute.images.create", "storage.objects.get"),
    "compute.images.get": ("compute.images.get",),
    "compute.images.list": ("compute.images.list",),
    "compute.images.getFromFamily": ("compute.images.getFromFamily",),
    "compute.images.patch": ("compute.images.update",),
    "compute.images.setLabels": ("compute.images.setLabels",),
    "compute.images.deprecate": ("compute.images.deprecate",),
    "compute.images.delete": ("compute.images.delete",),
    "compute.images.getIamPolicy": ("compute.images.getIamPolicy",),
    "compute.images.setIamPolicy": ("compute.images.setIamPolicy",),
    "compute.globalOperations.get": ("compute.globalOperations.get",),
    "storage.objects.insert": ("storage.objects.create",),
    "storage.objects.get": ("storage.objects.get",),
    "storage.objects.list": ("storage.objects.list",),
    "storage.objects.compose": ("storage.objects.create", "storage.objects.get"),
    "storage.objects.delete": ("storage.objects.delete",),
}


class Google(Loopback):
    """granted: permissions of whoever calls, None for all. token: the one that is good, None when none is
    asked for. locked: no token is good."""

    def __init__(self, *, project: str = PROJECT, polls: int = 2) -> None:
        super().__init__()
        self.granted: frozenset[str] | None = None
        self.token: str | None = None
        self.locked = False
        self.used: set[str] = set()  # permissions that were asked for
        self.time = datetime.now(UTC)
        self._ticks = itertools.count()
        self.storage = Storage(self.now)
        self.storage.buckets[BUCKET] = {}
        self.compute = Images(self.storage, self.now, project=project, polls=polls)

    def now(self) -> datetime:
        """`time`, and a millisecond more each time it is asked: no two things are made at once."""
        return self.time + timedelta(milliseconds=next(self._ticks))

    def handle(self, request: Request) -> Answer:
        """Find the method, check right and form, answer."""
        if request.path == "/token":
            return self._grant()
        good = f"Bearer {self.token}" if self.token else None
        if self.locked or (good and request.headers.get("authorization") != good):
            raise Refused(401, "authError", "Request had invalid authentication credentials.")
        if request.http == "PUT" and "upload_id" in request.query:
            return self._receive(request)
        compute = request.path.startswith("/compute/")
        document = discovery.compute() if compute else discovery.storage()
        method, arguments = document.match(request.http, request.path)
        length = int(request.headers.get("content-length") or 0)
        if length:
            request.body = _json(_whole(request, length))
        document.check(method, arguments, request.query, request.body)
        self._allow(method, request)
        self.called(request, method.id)
        with self.lock:
            return (self.compute if compute else self.storage).handle(method, arguments, request)

    def _grant(self) -> Answer:
        """What an account gets for its refresh token."""
        if self.token is None:
            return Answer({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
        return Answer({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    def _receive(self, request: Request) -> Answer:
        session = self.storage.sessions.get(request.query["upload_id"])
        if session is None:
            raise Refused(404, "notFound", "No such upload session")
        self.called(request, DATA)
        return self.storage.receive(session, request, self.lock)

    def _allow(self, method: Method, request: Request) -> None:
        needed = set(PERMISSIONS.get(method.id, ()))
        if method.id == "compute.images.insert" and (request.body or {}).get("labels"):
            needed.add("compute.images.setLabels")
        with self.lock:
            self.used |= needed
        if self.granted is not None and (missing := sorted(needed - self.granted)):
            raise Refused(403, "forbidden", f"Required '{missing[0]}' permission for '{request.path}'")


def _whole(request: Request, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := request.read(length)):
        data += piece
    return data


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise discovery.invalid("Invalid JSON payload received.") from None
