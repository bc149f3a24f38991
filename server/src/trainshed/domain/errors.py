"""Every error a caller can meet, in one table: symbol -> (code, subcode, message).

The pair (code, subcode) is what clients judge by; the name is the contract's. The HTTP status equals the code. 501 and
above never appear in the API: the client would repeat such a call for ever without a pause. The file server has them.
"""

from enum import Enum
from typing import Any, NamedTuple


class _Row(NamedTuple):
    code: int
    subcode: int
    message: str


class Fault(Enum):
    """The errors of the contract that this server raises."""

    NOT_SUPPORTED = _Row(400, 1, "this endpoint is not supported for the requested version")
    INVALID_PATH_VERSION = _Row(400, 2, "the version in the request path is not valid")
    INVALID_HEADERS = _Row(400, 5, "invalid headers")
    IMPERSONATION_ERROR = _Row(400, 6, "this user may not act as another")
    INVALID_ID = _Row(400, 10, "invalid id")
    BAD_REQUEST = _Row(400, 0, "bad request")
    VALIDATION_ERROR = _Row(400, 12, "the request does not validate")
    INVALID_REGEX = _Row(400, 21, "invalid regular expression")
    BATCH_EMPTY = _Row(400, 17, "the batch contains no items")
    INVALID_ACCESS_KEY = _Row(400, 75, "access key not found for this user")
    INVALID_TASK_ID = _Row(400, 101, "invalid task id")
    INVALID_TASK_STATUS = _Row(400, 110, "the task's status does not allow this")
    TASK_CANNOT_BE_DELETED = _Row(400, 123, "the task cannot be deleted")
    EVENTS_NOT_ADDED = _Row(400, 131, "no event was added")
    OPERATION_SUPPORTED_ON_REPORTS_ONLY = _Row(400, 150, "this works on reports only")
    CANNOT_REMOVE_ALL_RUNS = _Row(400, 160, "one run of a pipeline has to stay")
    INVALID_MODEL_ID = _Row(400, 201, "invalid model id")
    MODEL_IS_READY = _Row(400, 203, "the model is published")
    MODEL_CREATING_TASK_EXISTS = _Row(400, 206, "the task that created the model is published")
    INVALID_EMAIL = _Row(400, 22, "invalid email address")
    INVALID_USER_ID = _Row(400, 301, "invalid user id")
    USER_ID_EXISTS = _Row(400, 302, "the user id exists already")
    INVALID_PROJECT_ID = _Row(400, 401, "invalid project id")
    PROJECT_HAS_TASKS = _Row(400, 402, "the project has tasks")
    PROJECT_HAS_MODELS = _Row(400, 405, "the project has models")
    PROJECT_HAS_DATASETS = _Row(400, 406, "the project has datasets")
    INVALID_PROJECT_NAME = _Row(400, 407, "invalid project name")
    CANNOT_UPDATE_PROJECT_LOCATION = _Row(400, 408, "an update cannot move a project: use projects.move")
    PROJECT_PATH_TOO_DEEP = _Row(400, 409, "the project is nested too deeply")
    PROJECT_SOURCE_AND_DESTINATION_ARE_THE_SAME = _Row(400, 410, "the project is there already")
    PROJECT_CANNOT_BE_MOVED_UNDER_ITSELF = _Row(400, 411, "a project cannot be moved under itself")
    PROJECT_CANNOT_BE_MERGED_INTO_ITS_CHILD = _Row(400, 412, "a project cannot be merged into one below it")
    PROJECT_HAS_PIPELINES = _Row(400, 413, "the project has pipelines")
    PUBLIC_PROJECT_EXISTS = _Row(400, 414, "a public project has that name")
    INVALID_QUEUE_ID = _Row(400, 701, "invalid queue id")
    QUEUE_NOT_EMPTY = _Row(400, 702, "the queue is not empty")
    INVALID_QUEUE_OR_TASK_NOT_QUEUED = _Row(400, 703, "the queue does not have this task")
    TASK_ALREADY_QUEUED = _Row(400, 706, "the queue has this task already")
    MULTIPLE_DEFAULT_QUEUES = _Row(400, 708, "several queues have the system tag default")
    DATA_VALIDATION_ERROR = _Row(400, 800, "the data does not validate")
    NOT_UNIQUE = _Row(400, 801, "a unique value exists already")
    WORKER_NOT_REGISTERED = _Row(400, 1004, "no such worker is registered")
    WORKER_STATS_NOT_FOUND = _Row(400, 1005, "no worker has reported any figures")
    CONTAINER_NOT_REGISTERED = _Row(400, 1051, "no such container is registered")
    NO_CONTAINERS_FOR_URL = _Row(400, 1052, "no container serves this url")
    INVALID_SCROLL_ID = _Row(400, 1104, "invalid scroll id")
    INVALID_TICKET = _Row(401, 0, "this one-time token is used up, too old, or was never given")
    NOT_AUTHORIZED = _Row(401, 1, "this user may not log in")
    BAD_AUTH_TYPE = _Row(401, 10, "this kind of authorization is not supported")
    NO_CREDENTIALS = _Row(401, 20, "no credentials were sent")
    BAD_CREDENTIALS = _Row(401, 21, "the credentials cannot be read")
    INVALID_CREDENTIALS = _Row(401, 22, "the credentials are wrong")
    INVALID_TOKEN = _Row(401, 30, "the token is not valid")
    BLOCKED_TOKEN = _Row(401, 31, "the token was revoked")
    INVALID_FIXED_USER = _Row(401, 40, "only the users of the configuration may log in")
    CROSS_SITE = _Row(
        403, 0, "a browser's cookie alone does not allow this: the call has to come from a page of this server"
    )
    ROLE_NOT_ALLOWED = _Row(403, 20, "this role may not call this endpoint")
    NO_WRITE_PERMISSION = _Row(403, 21, "public objects cannot be changed")
    SWITCHED_OFF = _Row(403, 0, "the configuration has this switched off")
    UNKNOWN_ENDPOINT = _Row(404, 0, "no such endpoint")
    NOT_FOUND = _Row(404, 0, "not found")
    UPLOAD_CONFLICT = _Row(409, 0, "this part does not continue the upload")
    PRECONDITION_FAILED = _Row(412, 0, "the file is not as the request requires")
    TOO_LARGE = _Row(413, 0, "the request is too large")
    RANGE_NOT_SATISFIABLE = _Row(416, 0, "the file has no such range")
    # Clients repeat a 429 after pauses that grow; a 408, which the first one is, they would not.
    TOO_SLOW = _Row(429, 2, "the request's body came too slowly; try again")
    TOO_MANY_REQUESTS = _Row(429, 1, "too many requests of this address run at once; try again")
    BUSY = _Row(429, 3, "too many large requests are here at once; try again")
    TOO_MANY_LOGINS = _Row(429, 0, "too many logins were tried")
    INTERNAL = _Row(500, 0, "an internal error; its details are in the server's log")
    LOW_DISK_SPACE = _Row(500, 4, "the disk is full: nothing was written; reading goes on")
    UNAVAILABLE = _Row(500, 102, "the store is not available")
    MAINTENANCE = _Row(503, 0, "the server is in maintenance; try again later")
    STOPPING = _Row(503, 0, "the server is stopping; try again in a moment")
    NO_ROOM = _Row(507, 0, "there is no room for the file: nothing was written; reading and deleting go on")

    @property
    def code(self) -> int:
        return self.value.code

    @property
    def subcode(self) -> int:
        return self.value.subcode


class ApiError(Exception):
    """A call that fails by the contract.

    detail: added to the fault's message, for people. data: the `error_data` object of the reply.
    """

    def __init__(self, fault: Fault, detail: str = "", **data: Any) -> None:
        super().__init__(f"{fault.value.message}: {detail}" if detail else fault.value.message)
        self.fault = fault
        self.data = data

    @property
    def message(self) -> str:
        return str(self)


class ProviderError(Exception):
    """A login elsewhere failed: its provider does not answer, or says what cannot be believed. The text holds no secret."""


class StoreError(Exception):
    """An engine failed. Ports promise that nothing else of an engine's errors comes out of them."""


class NotFound(StoreError):
    """The document or blob is not there."""


class Duplicate(StoreError):
    """The id, or a value that must be unique, exists already."""


class StoreFull(StoreError):
    """No space is left: nothing was written."""


class Busy(StoreError):
    """Somebody else is writing this at the moment."""


class WrongOffset(StoreError):
    """The part of an upload does not begin where the one before ended. held: the bytes that are there."""

    def __init__(self, held: int) -> None:
        super().__init__(f"{held} bytes are held: go on from there")
        self.held = held


class InvalidKey(StoreError):
    """No file can have this key: it names a folder, or runs through a file, or the engine cannot hold the name."""


class InvalidRegex(StoreError):
    """A Regex filter's pattern cannot be compiled."""
