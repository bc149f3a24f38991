"""Waits for what Compute Engine does in its own time, and says how far it is."""

import time
from typing import TYPE_CHECKING

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, FREE_QUOTA, QUOTA, Client
from trainshed_provision.publish.progress import Progress

if TYPE_CHECKING:
    from google.cloud.compute_v1 import Operation

POLL_SECONDS = 2.0
PATIENCE = 900  # polls: half an hour; an image of 10 GB takes Google a few minutes


def wait(client: Client, operation: "Operation", *, title: str = "") -> None:
    """Return when it is done. Raises ShedError with Google's own words when it failed, or when it takes half an hour.

    title: shown with a share and the time that is left; without one nothing is shown.
    """
    progress = Progress(title, 100, unit="%", scale=1) if title else None
    seen = 0
    for _ in range(PATIENCE):
        if operation.status.name == "DONE":
            _refuse_failed(operation)
            if progress:
                progress.done()
            return
        time.sleep(POLL_SECONDS)
        operation = client.call(client.operations.get, operation=operation.name)
        if progress:
            progress.advance(operation.progress - seen)
            seen = operation.progress
    raise ShedError(f"Google still works on {operation.operation_type} {operation.target_link}", hint=AGAIN)


def _refuse_failed(operation: "Operation") -> None:
    for error in operation.error.errors:
        quota = error.code in QUOTA
        raise ShedError(
            f"Google could not {operation.operation_type} the image: {error.message or error.code}",
            hint=FREE_QUOTA if quota else AGAIN,
            code=Exit.NO_SPACE if quota else Exit.FAILED,
        )
