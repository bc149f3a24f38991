"""The one way to AWS: boto3's own chain of credentials, shared clients with time limits, and its errors in our words.

Nothing here takes a key or an address: profiles, roles, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and the rest are boto3's.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from trainshed_provision.errors import Exit, ShedError

CONNECT_SECONDS, READ_SECONDS = 5, 30  # a call takes milliseconds; one that hangs is made again
ATTEMPTS = 8
AGAIN = "what is done stays; run the same command again and it goes on from there"

THROTTLED = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "BandwidthLimitExceeded",
    }
)  # fmt: skip
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN_KEYS = frozenset(
    {
        "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
        "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature",
    }
)  # fmt: skip
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
QUOTA = frozenset(
    {
        "ResourceLimitExceeded", "SnapshotLimitExceeded", "PendingSnapshotLimitExceeded", "ServiceQuotaExceededException",
        "ConcurrentLimitExceededException", "ConcurrentSnapshotLimitExceeded", "PublicImageLimitExceeded", "AMIQuotaExceeded",
        "ParameterLimitExceeded", "MaxImageLimitExceeded",
    }
)  # fmt: skip

NETWORK = (exceptions.ConnectionError, exceptions.HTTPClientError)


class Aws:
    """Clients of the account that the credentials are of. Safe from many threads.

    region: the one to begin with, "" for that of boto3's chain. workers: how many calls at a time. attempts: per call,
    before its error is believed. retries: botocore's mode; adaptive slows all workers down together when AWS asks for it.
    pause: sleeps; tests hand in one that does not.
    """

    def __init__(
        self,
        region: str = "",
        *,
        workers: int = 16,
        attempts: int = ATTEMPTS,
        retries: str = "adaptive",
        pause: Callable[[float], None] | None = None,
    ) -> None:
        with told():
            self._session = boto3.Session(region_name=region or None)
        if not self._session.region_name:
            raise ShedError(
                "no region to publish from",
                hint="give one with --region, or set AWS_DEFAULT_REGION or a profile's region",
                code=Exit.USAGE,
            )
        self.region = str(self._session.region_name)
        self.workers = workers
        self._stop = threading.Event()
        self.pause = pause or self._pause
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": retries, "total_max_attempts": attempts},
            max_pool_connections=max(10, workers),
            user_agent_appid="trainshed",
        )
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = "") -> Any:
        """The shared client of a service in a region."""
        key = (service, region or self.region)
        with self._lock, told(key[1]):
            if key not in self._clients:
                self._clients[key] = self._session.client(service, region_name=key[1], config=self._config)
            return self._clients[key]

    def ec2(self, region: str = "") -> Any:
        """EC2's client."""
        return self.client("ec2", region)

    def stop(self) -> None:
        """End all pauses at once: the person has pressed ctrl-c."""
        self._stop.set()

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise KeyboardInterrupt


def now() -> datetime:
    """The present, in UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def code_of(error: BaseException) -> str:
    """AWS's code of an error, "" for any other."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, exceptions.ClientError) else ""


def passing(error: BaseException) -> bool:
    """Whether the same call may succeed later: throttled, a fault of the server, or of the network."""
    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in THROTTLED or status >= 500
    return isinstance(error, NETWORK)


@contextmanager
def told(region: str = "") -> Iterator[None]:
    """Raise what boto3 raises as a ShedError that names region, call and remedy."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _answer(error, f" in {region}" if region else "") from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise ShedError(
            f"no credentials for AWS: {error}",
            hint="log in with: aws configure sso   (or set AWS_PROFILE, or run where a role is attached)",
            code=Exit.MISSING,
        ) from error
    except (exceptions.ProfileNotFound, exceptions.ConfigParseError) as error:
        raise ShedError(str(error), hint="see ~/.aws/config and AWS_PROFILE", code=Exit.USAGE) from error
    except (exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.CredentialRetrievalError) as error:
        raise _expired(str(error)) from error
    except exceptions.InvalidRegionError as error:
        raise wrong_region(region) from error
    except NETWORK as error:
        raise ShedError(
            f"cannot reach AWS{f' in {region}' if region else ''}: {error}",
            hint=f"is there a network, and is '{region}' a region? {AGAIN}",
        ) from error


def wrong_region(region: str, hint: str = "") -> ShedError:
    """Raised for a region that AWS does not have, or that this account has not enabled."""
    return ShedError(f"'{region}' is not a region of this account", hint=hint or "see --region", code=Exit.USAGE)


def _answer(error: exceptions.ClientError, where: str) -> ShedError:
    code, what = code_of(error), error.operation_name
    message = " ".join(str(error.response["Error"].get("Message", "")).split())
    if code in EXPIRED:
        return _expired(f"{what}{where}: {message}")
    if code in UNKNOWN_KEYS:
        return ShedError(
            f"AWS does not accept the credentials ({what}{where}: {code})",
            hint="see which are used with: aws sts get-caller-identity",
            code=Exit.MISSING,
        )
    if code in DENIED:
        return ShedError(
            f"the right to call {what}{where} is missing: {message}",
            hint=f"docs/publishing-aws.md has the policy that it needs; {AGAIN}",
            code=Exit.MISSING,
        )
    if code in THROTTLED:
        return ShedError(
            f"AWS slows {what}{where} down ({code}) for longer than we wait", hint=f"{AGAIN}, with fewer --workers"
        )
    if code in QUOTA:
        return ShedError(
            f"a quota is used up ({what}{where}: {code}: {message})",
            hint=f"raise it in Service Quotas, or remove old images with: shed gc aws --delete; {AGAIN}",
            code=Exit.CONFLICT,
        )
    if code == "OptInRequired":
        return wrong_region(where.removeprefix(" in "), "enable it in the account's settings, or leave it out")
    return ShedError(f"{what}{where} failed: {code}: {message}", hint=AGAIN)


def _expired(message: str) -> ShedError:
    return ShedError(
        f"the credentials for AWS have expired ({message})", hint=f"log in again; {AGAIN}", code=Exit.MISSING
    )
