"""Google's REST APIs: one way to call, one set of retries, one table from Google's errors to ours.

Google's own client for Compute takes five seconds to import (docs/adr/016); what is used of both APIs is a dozen methods.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from os import environ
from typing import Any, Self

import google.auth
import requests
from google.auth import exceptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import AuthorizedSession

from trainshed_provision.errors import Exit, ShedError

COMPUTE = "https://compute.googleapis.com/compute/v1/"
STORAGE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# An address for tests, as Google's own programs take it. No credential is ever sent to such an address.
COMPUTE_VARIABLE, STORAGE_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "STORAGE_EMULATOR_HOST"

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes of an answer
WAITS = (1, 2, 4, 8, 16, 32)  # seconds before each new try: a minute in all, then a person should know
SPREAD = random.SystemRandom()  # so that many clients do not come back at once
BUSY = {408, 429, 500, 502, 503, 504}
SLOW_DOWN = {"rateLimitExceeded", "userRateLimitExceeded"}  # come with 403 too, where they do not mean a missing right
QUOTA = {"quotaExceeded", "QUOTA_EXCEEDED", "limitExceeded"}

LOGIN = "log in again: gcloud auth application-default login   (or renew what GOOGLE_APPLICATION_CREDENTIALS names)"
AGAIN = "run the same command again: it goes on from where it was"
PERMISSIONS = "docs/publishing-gcp.md lists what the account needs; the owner of the project grants it"
FREE_QUOTA = "remove old images (shed gc gcp), or ask for more at console.cloud.google.com/iam-admin/quotas"

Json = dict[str, Any]


class Refused(ShedError):
    """Google said no. status: of HTTP; reason: Google's word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        code, hint = _kind(status, reason, message)
        super().__init__(f"Google refused: {message}", hint=hint, code=code)
        self.status, self.reason = status, reason


class Broken(ShedError):
    """The line broke, or Google was busy for longer than we wait."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=AGAIN, code=Exit.FAILED)


def _kind(status: int, reason: str, message: str) -> tuple[Exit, str]:
    if reason in QUOTA:
        return Exit.NO_SPACE, FREE_QUOTA
    if reason in {"accessNotConfigured", "SERVICE_DISABLED"}:
        return Exit.MISSING, "switch it on: gcloud services enable compute.googleapis.com storage.googleapis.com"
    kinds = {
        HTTPStatus.BAD_REQUEST: (Exit.USAGE, "nothing was made of it; change what it names, and run it again"),
        HTTPStatus.UNAUTHORIZED: (Exit.MISSING, LOGIN),
        HTTPStatus.FORBIDDEN: (Exit.MISSING, PERMISSIONS),
        HTTPStatus.NOT_FOUND: (Exit.NOT_FOUND, "look at --project, --bucket and the name"),
        HTTPStatus.CONFLICT: (Exit.CONFLICT, "somebody else works on the same thing; " + AGAIN),
        HTTPStatus.PRECONDITION_FAILED: (Exit.CONFLICT, "somebody else works on the same thing; " + AGAIN),
    }
    return kinds.get(HTTPStatus(status), (Exit.FAILED, AGAIN if status in BUSY else ""))


@dataclass(frozen=True, kw_only=True)
class Client:
    """One project, as one account sees it. sleep: waits so many seconds; session: carries the credential."""

    project: str
    session: requests.Session
    compute: str = COMPUTE
    storage: str = STORAGE
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def from_environment(cls, project: str | None) -> Self:
        """With Application Default Credentials; their project unless one is named. Raises ShedError(MISSING)."""
        compute, storage = environ.get(COMPUTE_VARIABLE), environ.get(STORAGE_VARIABLE)
        credentials: Credentials
        if compute or storage:
            credentials, named = _anonymous(), environ.get("GOOGLE_CLOUD_PROJECT")
        else:
            try:
                credentials, named = google.auth.default(scopes=[SCOPE])
            except exceptions.GoogleAuthError as error:
                raise ShedError(f"no credential for Google: {error}", hint=LOGIN, code=Exit.MISSING) from error
        if not (project or named):
            raise ShedError("no project is named", hint="name one: --project PROJECT", code=Exit.USAGE)
        if storage and "://" not in storage:
            storage = f"http://{storage}"
        return cls(
            project=project or named or "",
            session=authorized(credentials),
            compute=(compute or COMPUTE).rstrip("/") + "/",
            storage=(storage or STORAGE).rstrip("/"),
        )

    def images(self, rest: str = "") -> str:
        """The address of the project's images, or of what is below."""
        return f"{self.compute}projects/{self.project}/global/images{rest}"

    def call(self, http: str, url: str, *, body: Json | None = None, query: Mapping[str, str] | None = None) -> Json:
        """Call and return the answer's JSON. Raises Refused; Broken after a minute of trying.

        A call is made again when the line breaks, so whatever changes something has to bear that: by a precondition, or by
        `changing`.
        """
        answer = self.send(http, url, json=body, params=query)
        return dict(answer.json()) if answer.content else {}

    def send(self, http: str, url: str, *, waits: Sequence[float] = WAITS, **arguments: Any) -> requests.Response:
        """As call, for what is not JSON: the whole answer. 308 is one. waits: seconds before each new try."""
        for wait in (*waits, None):
            problem: ShedError | None
            try:
                answer = self.session.request(http, url, timeout=TIMEOUT, allow_redirects=False, **arguments)
                if not (problem := _problem(answer)):
                    return answer
            except (requests.RequestException, exceptions.TransportError) as error:
                problem = Broken(f"the line to Google broke: {_first_line(error)}")
            except exceptions.GoogleAuthError as error:
                raise ShedError(
                    f"Google does not renew the credential: {_first_line(error)}", hint=LOGIN, code=Exit.MISSING
                ) from error
            if wait is None or not passes(problem):
                raise problem
            self.sleep(wait * SPREAD.uniform(0.75, 1.25))
        raise AssertionError("the last wait is None, and raises")

    def changing(self, http: str, url: str, *, body: Json | None = None) -> Json:
        """Call a method of Compute that begins an operation; made twice, it counts once, by its request id."""
        return self.call(http, url, body=body, query={"requestId": str(uuid.uuid4())})

    def pages(self, url: str, **query: str) -> Iterator[Json]:
        """Every item of a list."""
        token: Mapping[str, str] = {}
        while True:
            page = self.call("GET", url, query={**query, **token})
            yield from page.get("items", [])
            if not (next_token := page.get("nextPageToken")):
                return
            token = {"pageToken": next_token}


def authorized(credentials: Credentials) -> requests.Session:
    """A session that carries the credential, and renews it."""
    session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # Google gives no types
    return session


def _anonymous() -> Credentials:
    return AnonymousCredentials()  # type: ignore[no-untyped-call]  # Google gives no types


def _problem(answer: requests.Response) -> Refused | None:
    if answer.ok:  # 308, "go on", too
        return None
    try:
        error = answer.json()["error"]
        message, details = str(error["message"]), error.get("errors") or [{}]
        reason = str(details[0].get("reason", ""))
    except (ValueError, KeyError, TypeError, IndexError):
        message, reason = f"{answer.status_code} {answer.reason} for {answer.request.method} {answer.url}", ""
    return Refused(answer.status_code, reason, message)


def passes(problem: ShedError) -> bool:
    """Whether it may be gone in a while."""
    if isinstance(problem, Refused):
        return problem.reason not in QUOTA and (problem.status in BUSY or problem.reason in SLOW_DOWN)
    return isinstance(problem, Broken)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
