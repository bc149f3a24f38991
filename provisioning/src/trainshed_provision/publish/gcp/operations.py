"""Waits for what Compute Engine does in its own time, and says how far it is."""

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, FREE_QUOTA, QUOTA, Client, Json
from trainshed_provision.publish.progress import Progress

POLL_SECONDS = 2.0
PATIENCE = 900  # polls: half an hour; an image of 10 GB takes Google a few minutes


def wait(client: Client, operation: Json, *, title: str = "") -> None:
    """Return when it is done. Raises ShedError with Google's own words when it failed, or when it takes half an hour.

    title: shown with a share and the time that is left; without one nothing is shown.
    """
    progress = Progress(title, 100, unit="%", scale=1) if title else None
    url, seen = f"{client.compute}projects/{client.project}/global/operations/{operation['name']}", 0
    for _ in range(PATIENCE):
        if operation["status"] == "DONE":
            _refuse_failed(operation)
            if progress:
                progress.done()
            return
        client.sleep(POLL_SECONDS)
        operation = client.call("GET", url)
        if progress:
            progress.advance(operation.get("progress", 0) - seen)
            seen = operation.get("progress", 0)
    raise ShedError(f"Google still works on {operation['operationType']} {operation['targetLink']}", hint=AGAIN)


def _refuse_failed(operation: Json) -> None:
    for error in operation.get("error", {}).get("errors", []):
        quota = error.get("code") in QUOTA
        raise ShedError(
            f"Google could not {operation['operationType']} the image: {error.get('message') or error.get('code')}",
            hint=FREE_QUOTA if quota else AGAIN,
            code=Exit.NO_SPACE if quota else Exit.FAILED,
        )
