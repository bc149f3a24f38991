"""Google's own clients, with the credential of the environment; one set of retries, one table from their errors to ours.

They are imported where Google is really asked, as Compute's alone takes seconds of processor time (docs/adr/016).
"""

import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from os import environ
from typing import TYPE_CHECKING, Any, Self

import google.auth
from google.auth import exceptions
from google.auth.credentials import AnonymousCredentials, Credentials

from trainshed_provision.errors import Exit, ShedError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.compute_v1 import GlobalOperationsClient, ImagesClient
    from google.cloud.storage import Client as StorageClient

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# An address for tests, as Google's own programs take it. No credential is ever sent to such an address.
COMPUTE_VARIABLE, STORAGE_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "STORAGE_EMULATOR_HOST"
COMPUTE_PATH = "/compute/v1"  # is in the variable, and is not in what Google's client takes
# Without it the client looks at the bucket in a thread of its own, for traces that nobody asked for and with one right more.
NO_LOOK_AT_BUCKETS = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"

TIMEOUT = 60.0  # seconds to connect, and between two bytes of an answer
# Seconds before the second try, at most before any, and in all: then a person should know.
PATIENCE: dict[str, Any] = {"initial": 1.0, "multiplier": 2.0, "maximum": 32.0, "timeout": 120.0}
BUSY = {0, 408, 429, 500, 502, 503, 504}
SLOW_DOWN = {"rateLimitExceeded", "userRateLimitExceeded"}  # come with 403 too, where they do not mean a missing right
QUOTA = {"quotaExceeded", "QUOTA_EXCEEDED", "limitExceeded"}

LOGIN = "log in again: gcloud auth application-default login   (or renew what GOOGLE_APPLICATION_CREDENTIALS names)"
AGAIN = "run the same command again: it goes on from where it was"
PERMISSIONS = "docs/publishing-gcp.md lists what the account needs; the owner of the project grants it"
FREE_QUOTA = "remove old images (shed gc gcp), or ask for more at console.cloud.google.com/iam-admin/quotas"


class Refused(ShedError):
    """Google said no, or nothing. status: of HTTP, 0 when no answer came; passes: it may be another one in a while."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        code, hint = _kind(status, reason)
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.passes = reason not in QUOTA and (status in BUSY or reason in SLOW_DOWN)


def _kind(status: int, reason: str) -> tuple[Exit, str]:
    if reason in QUOTA:
        return Exit.NO_SPACE, FREE_QUOTA
    if reason in {"accessNotConfigured", "SERVICE_DISABLED"}:
        return Exit.MISSING, "switch it on: gcloud services enable compute.googleapis.com storage.googleapis.com"
    kinds: dict[int, tuple[Exit, str]] = {
        HTTPStatus.BAD_REQUEST: (Exit.USAGE, "nothing was made of it; change what it names, and run it again"),
        HTTPStatus.UNAUTHORIZED: (Exit.MISSING, LOGIN),
        HTTPStatus.FORBIDDEN: (Exit.MISSING, PERMISSIONS),
        HTTPStatus.NOT_FOUND: (Exit.NOT_FOUND, "look at --project, --bucket and the name"),
        HTTPStatus.CONFLICT: (Exit.CONFLICT, "somebody else works on the same thing; " + AGAIN),
        HTTPStatus.GONE: (Exit.FAILED, AGAIN),
        HTTPStatus.PRECONDITION_FAILED: (Exit.CONFLICT, "somebody else works on the same thing; " + AGAIN),
    }
    return kinds.get(status, (Exit.FAILED, AGAIN if status in BUSY else ""))


@contextmanager
def told() -> Iterator[None]:
    """Raises Google's errors, and those of the way to it, as ours."""
    from google.api_core.exceptions import GoogleAPIError
    from requests import RequestException

    try:
        yield
    except (GoogleAPIError, RequestException, exceptions.TransportError) as error:
        raise _refused(error) from error
    except exceptions.GoogleAuthError as error:
        raise _logged_out(f"Google does not renew the credential: {_first_line(error)}") from error


def _refused(error: Exception) -> Refused:
    error = getattr(error, "cause", None) or error  # of a RetryError: why it was tried again
    answer = getattr(error, "response", None)
    if answer is None:
        return Refused(f"the line to Google broke: {_first_line(error)}")
    try:
        said = answer.json()["error"]
        message, details = str(said["message"]), said.get("errors") or [{}]
        reason = str(details[0].get("reason", ""))
    except (ValueError, KeyError, TypeError, IndexError):
        message, reason = f"{answer.status_code} {answer.reason} for {answer.request.method} {answer.url}", ""
    return Refused(f"Google refused: {message}", status=answer.status_code, reason=reason)


def _logged_out(message: str) -> ShedError:
    return ShedError(message, hint=LOGIN, code=Exit.MISSING)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _retry() -> "Retry":
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.api_core.retry import Retry
    from google.cloud.storage.exceptions import InvalidResponse

    cut = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        exceptions.TransportError,
    )
    answered = (GoogleAPICallError, InvalidResponse)
    return Retry(predicate=lambda error: isinstance(error, cut + answered) and _refused(error).passes, **PATIENCE)


@dataclass(frozen=True, kw_only=True)
class Client:
    """One project, as one account sees it, by Google's own clients. retry: for each of their calls."""

    project: str
    images: "ImagesClient"
    operations: "GlobalOperationsClient"
    storage: "StorageClient"
    retry: "Retry"

    @classmethod
    def from_environment(cls, project: str | None) -> Self:
        """With Application Default Credentials; their project unless one is named. Raises ShedError(MISSING)."""
        compute = environ.get(COMPUTE_VARIABLE, "")
        credentials: Credentials
        if compute or environ.get(STORAGE_VARIABLE):
            credentials, named = AnonymousCredentials(), environ.get("GOOGLE_CLOUD_PROJECT")  # type: ignore[no-untyped-call]  # Google gives no types
        else:
            try:
                credentials, named = google.auth.default(scopes=[SCOPE])
            except exceptions.GoogleAuthError as error:
                raise _logged_out(f"no credential for Google: {error}") from error
        if not (project or named):
            raise ShedError("no project is named", hint="name one: --project PROJECT", code=Exit.USAGE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that it will not run on Python 3.11 one day
            from google.cloud import compute_v1, storage

        environ.setdefault(NO_LOOK_AT_BUCKETS, "true")
        there: dict[str, Any] = {"credentials": credentials}
        if compute:  # Cloud Storage's client knows its variable itself
            there["client_options"] = {"api_endpoint": compute.rstrip("/").removesuffix(COMPUTE_PATH)}
        return cls(
            project=project or named or "",
            images=compute_v1.ImagesClient(**there),
            # Ours, as what the other makes for itself asks Google whatever its address is.
            operations=compute_v1.GlobalOperationsClient(**there),
            storage=storage.Client(project=project or named, credentials=credentials),
            retry=_retry(),
        )

    @property
    def patience(self) -> dict[str, Any]:
        """What each call of Google's clients is given: when to try again, and how long to wait for an answer."""
        return {"retry": self.retry, "timeout": TIMEOUT}

    @told()
    def call(self, method: Callable[..., Any], **request: Any) -> Any:
        """Call a method of `images` or `operations` for the project. Raises as `told`.

        A call is made again when the line breaks, so whatever changes something has to bear that: by a precondition, or by
        `change`.
        """
        return method({"project": self.project, **request}, **self.patience)

    def change(self, method: Callable[..., Any], **request: Any) -> Any:
        """Call a method that begins an operation; made twice, it counts once, by its request id."""
        return self.call(method, request_id=str(uuid.uuid4()), **request)
