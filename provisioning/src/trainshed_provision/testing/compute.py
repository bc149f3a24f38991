"""Compute Engine as far as images go: families, deprecation, policies with etags, operations that take time and can fail.

Form is checked by Google's discovery document. What a document cannot say is here: an image is made from an archive that really
is in the bucket and really holds one disk, labels have their letters, a family resolves to its newest image in use.
"""

import base64
import gzip
import hashlib
import io
import itertools
import re
import tarfile
import urllib.parse
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from trainshed_provision.testing.discovery import Method, Refused, invalid
from trainshed_provision.testing.gcs import Object, Storage
from trainshed_provision.testing.loopback import Answer, Request

API = "https://www.googleapis.com/compute/v1/"
STORES = r"https://(?:storage\.googleapis\.com|www\.googleapis\.com/storage/v1/b)/([^/]+)/(.+)"
LABEL_KEY, LABEL_VALUE = r"[a-z][-_a-z0-9]{0,62}", r"[-_a-z0-9]{0,63}"
FAMILY = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
MEMBER = r"allAuthenticatedUsers|(?:user|group|serviceAccount):[^@\s]+@[^@\s]+|domain:[^@\s]+"
LOCATIONS = {"us", "eu", "asia", "us-central1", "us-east1", "europe-west1", "europe-west4", "asia-east1"}  # of many
PATCHABLE = {"family", "description", "deprecated"}
GIB = 1 << 30
PAGE = 2  # images in one answer of a list


class Images:
    """The images of one project. polls: answers that an operation takes. quota: of images."""

    def __init__(self, storage: Storage, now: Any, *, project: str, polls: int = 2, quota: int = 100) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.project, self.polls, self.quota = project, polls, quota
        self.failures: list[
            dict[str, str]
        ] = []  # errors of the operations that come next, as {"code": ..., "message": ...}
        self._storage, self._now = storage, now
        self._numbers = itertools.count(4_000_000_000_000_000_001)
        self._left: dict[str, int] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        self._finish: dict[str, Callable[[], dict[str, str] | None]] = {}

    def handle(self, method: Method, arguments: dict[str, str], request: Request) -> Answer:
        """One call, whose form was checked."""
        if arguments["project"] != self.project:
            raise Refused(404, "notFound", f"The resource 'projects/{arguments['project']}' was not found")
        answers = {
            "compute.images.insert": self._insert,
            "compute.images.get": self._get,
            "compute.images.list": self._list,
            "compute.images.getFromFamily": self._family,
            "compute.images.patch": self._patch,
            "compute.images.setLabels": self._set_labels,
            "compute.images.deprecate": self._deprecate,
            "compute.images.delete": self._delete,
            "compute.images.getIamPolicy": self._policy,
            "compute.images.setIamPolicy": self._set_policy,
            "compute.globalOperations.get": self._operation,
        }
        if method.id not in answers:
            raise Refused(501, "notImplemented", f"{method.id} is not in this stand-in")
        if number := request.query.get("requestId"):
            self._check_request_id(number)
            if number in self._requests:
                return Answer(self._requests[number])
        name = next((arguments[key] for key in ("image", "resource", "family", "operation") if key in arguments), "")
        answer = answers[method.id](name, request)
        if number:
            self._requests[number] = answer.body
        return answer

    def _check_request_id(self, number: str) -> None:
        try:
            uuid.UUID(number)
        except ValueError:
            raise invalid(f"Invalid value for field 'requestId': '{number}'. Must be a UUID") from None

    # images

    def _find(self, name: str) -> dict[str, Any]:
        for image in self.images.values():
            if name in (image["name"], image["id"]):
                return image
        raise Refused(404, "notFound", f"The resource 'projects/{self.project}/global/images/{name}' was not found")

    def _insert(self, name: str, request: Request) -> Answer:
        body = request.body
        if body["name"] in self.images:
            link = f"projects/{self.project}/global/images/{body['name']}"
            raise Refused(409, "alreadyExists", f"The resource '{link}' already exists")
        if len(self.images) >= self.quota:
            raise Refused(403, "quotaExceeded", f"Quota 'IMAGES' exceeded. Limit: {float(self.quota)} globally.")
        self._check_words(body)
        source = re.fullmatch(STORES, body.get("rawDisk", {}).get("source", ""))
        if source is None:
            raise invalid(
                "Invalid value for field 'resource.rawDisk.source': not a Google Cloud Storage URL of an archive"
            )
        objects, key = self._storage.buckets.get(source[1], {}), urllib.parse.unquote(source[2])
        if key not in objects:
            raise Refused(404, "notFound", f"The resource '{body['rawDisk']['source']}' was not found")
        image = {
            "kind": "compute#image",
            "id": str(next(self._numbers)),
            "creationTimestamp": self._now().isoformat(timespec="milliseconds"),
            "sourceType": "RAW",
            "architecture": "ARCHITECTURE_UNSPECIFIED",
            "storageLocations": ["us"],
            **{key: value for key, value in body.items() if key != "params"},
            "status": "PENDING",
            "selfLink": f"{API}projects/{self.project}/global/images/{body['name']}",
            "labelFingerprint": _fingerprint(body.get("labels")),
        }
        self.images[body["name"]] = image
        return self._begin("insert", image, lambda: self._unpack(image, objects.get(key)))

    def _check_words(self, body: dict[str, Any]) -> None:
        labels = body.get("labels", {})
        if len(labels) > 64:
            raise invalid("Invalid value for field 'resource.labels': more than 64 labels")
        for key, value in labels.items():
            if not re.fullmatch(LABEL_KEY, key) or not re.fullmatch(LABEL_VALUE, value):
                raise invalid(f"Invalid value for field 'resource.labels': '{key}={value}' is not a label")
        if "family" in body and not re.fullmatch(FAMILY, body["family"]):
            raise invalid(
                f"Invalid value for field 'resource.family': '{body['family']}'. Must be a match of '{FAMILY}'"
            )
        if unknown := set(body.get("storageLocations", [])) - LOCATIONS:
            raise invalid(
                f"Invalid value for field 'resource.storageLocations[0]': '{unknown.pop()}'. Unknown location."
            )
        if len(body.get("description", "")) > 2048:
            raise invalid("Invalid value for field 'resource.description': longer than 2048 characters")

    def _unpack(self, image: dict[str, Any], stored: Object | None) -> dict[str, str] | None:
        """Make the image ready, or say why it cannot be: what Google finds out only while it unpacks."""
        if stored is None:
            return {"code": "RESOURCE_NOT_FOUND", "message": f"The archive of {image['name']} was not found"}
        archive = stored.data
        try:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
                members = tar.getmembers()
        except (OSError, EOFError, tarfile.TarError) as error:
            return {"code": "INVALID_IMAGE_ARCHIVE", "message": f"The tar archive is not a valid image: {error}"}
        if [member.name for member in members] != ["disk.raw"] or members[0].size % GIB:
            return {"code": "INVALID_IMAGE_ARCHIVE", "message": "The tar archive is not a valid image: disk.raw"}
        image |= {
            "status": "READY",
            "diskSizeGb": str(members[0].size // GIB),
            "archiveSizeBytes": str(len(archive)),
        }
        return None

    def _get(self, name: str, request: Request) -> Answer:
        image = self._find(name)
        for operation in self.operations.values():  # an image gets on with it whether its operation is asked or not
            if operation["targetId"] == image["id"]:
                self._tick(operation["name"])
        return Answer(self._find(name))

    def _list(self, name: str, request: Request) -> Answer:
        images = sorted(self.images.values(), key=lambda image: str(image["name"]))
        if text := request.query.get("filter"):
            wanted = re.fullmatch(r'labels\.([-_a-z0-9]+) ?= ?"?([-_a-z0-9]+)"?', text)
            if wanted is None:
                raise invalid(f"Invalid value for field 'filter': '{text}'")
            images = [image for image in images if image.get("labels", {}).get(wanted[1]) == wanted[2]]
        images = [image for image in images if image["name"] > request.query.get("pageToken", "")]
        page: dict[str, Any] = {"kind": "compute#imageList"}
        if images:
            page["items"] = images[:PAGE]
        if len(images) > PAGE:
            page["nextPageToken"] = images[PAGE - 1]["name"]
        return Answer(page)

    def _family(self, family: str, request: Request) -> Answer:
        used = [
            image
            for image in self.images.values()
            if image.get("family") == family
            and image["status"] == "READY"
            and image.get("deprecated", {}).get("state", "ACTIVE") == "ACTIVE"
        ]
        if not used:
            link = f"projects/{self.project}/global/images/family/{family}"
            raise Refused(404, "notFound", f"The resource '{link}' was not found")
        return Answer(
            max(used, key=lambda image: (datetime.fromisoformat(image["creationTimestamp"]), int(image["id"])))
        )

    def _patch(self, name: str, request: Request) -> Answer:
        image = self._find(name)
        if other := set(request.body) - PATCHABLE - {"name"}:
            raise invalid(f"Invalid value for field 'resource': {', '.join(sorted(other))} cannot be modified")
        self._check_words(request.body)
        return self._begin("patch", image, lambda: image.update(request.body))

    def _set_labels(self, name: str, request: Request) -> Answer:
        image = self._find(name)
        if request.body.get("labelFingerprint") != image["labelFingerprint"]:
            raise Refused(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed")
        self._check_words(request.body)
        labels = request.body.get("labels", {})
        return self._begin(
            "setLabels", image, lambda: image.update(labels=labels, labelFingerprint=_fingerprint(labels))
        )

    def _deprecate(self, name: str, request: Request) -> Answer:
        image, status = self._find(name), request.body
        for key in ("deprecated", "obsolete", "deleted"):
            if key in status and datetime.fromisoformat(status[key]).tzinfo is None:
                raise invalid(f"Invalid value for field 'resource.{key}': '{status[key]}'. Must be RFC 3339")
        if link := status.get("replacement"):
            self._find(link.rsplit("/", 1)[1])
            if not link.startswith(API):
                raise invalid(f"Invalid value for field 'resource.replacement': '{link}'. The URL is malformed.")

        def act() -> None:
            image.pop("deprecated", None)
            if status:
                image["deprecated"] = status

        return self._begin("deprecate", image, act)

    def _delete(self, name: str, request: Request) -> Answer:
        image = self._find(name)
        return self._begin("delete", image, lambda: self.images.pop(image["name"], None) and None)

    # policies

    def _policy(self, name: str, request: Request) -> Answer:
        image = self._find(name)
        return Answer(self.policies.get(image["name"], {"etag": "ACAB"}))

    def _set_policy(self, name: str, request: Request) -> Answer:
        image, policy = self._find(name), request.body.get("policy", {})
        now = self.policies.get(image["name"], {"etag": "ACAB"})
        if "etag" in policy and policy["etag"] != now["etag"]:
            raise Refused(
                409, "aborted", "There were concurrent policy changes. Please retry the whole read-modify-write."
            )
        for binding in policy.get("bindings", []):
            for member in binding["members"]:
                if not re.fullmatch(MEMBER, member):
                    raise invalid(f"Invalid value for field 'resource.policy': member '{member}'")
        tag = base64.b64encode(str(next(self._numbers)).encode()).decode()
        self.policies[image["name"]] = {**policy, "etag": tag, "version": 1}
        return Answer(self.policies[image["name"]])

    # operations

    def _begin(self, kind: str, image: dict[str, Any], act: Any) -> Answer:
        number = str(next(self._numbers))
        operation = {
            "kind": "compute#operation",
            "id": number,
            "name": f"operation-{number}",
            "operationType": kind,
            "targetLink": image["selfLink"],
            "targetId": image["id"],
            "status": "RUNNING",
            "progress": 0,
            "insertTime": self._now().isoformat(timespec="milliseconds"),
            "selfLink": f"{API}projects/{self.project}/global/operations/operation-{number}",
        }
        self.operations[operation["name"]] = operation
        self._left[operation["name"]] = self.polls
        operation_failure = self.failures.pop(0) if self.failures else None

        def finish() -> dict[str, str] | None:
            error = operation_failure or act()
            if error and kind == "insert":
                image["status"] = "FAILED"
            return error if isinstance(error, dict) else None

        self._finish[operation["name"]] = finish
        return Answer(dict(operation))

    def _operation(self, name: str, request: Request) -> Answer:
        if name not in self.operations:
            link = f"projects/{self.project}/global/operations/{name}"
            raise Refused(404, "notFound", f"The resource '{link}' was not found")
        return Answer(self._tick(name))

    def _tick(self, name: str) -> dict[str, Any]:
        operation = self.operations[name]
        if operation["status"] != "DONE":
            self._left[name] -= 1
            operation["progress"] = 100 * (self.polls - self._left[name]) // (self.polls + 1)
            if self._left[name] < 0:
                operation |= {"status": "DONE", "progress": 100}
                if error := self._finish[name]():
                    operation |= {
                        "error": {"errors": [error]},
                        "httpErrorStatusCode": 400,
                        "httpErrorMessage": "BAD REQUEST",
                    }
        return operation


def _fingerprint(labels: dict[str, str] | None) -> str:
    return base64.b64encode(hashlib.sha256(repr(sorted((labels or {}).items())).encode()).digest()[:8]).decode()
