"""What nobody needs any more and still costs money: images marked DELETED, failed ones, archives and parts left over."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trainshed_provision.publish.gcp.bucket import MANAGED
from trainshed_provision.publish.gcp.images import Image
from trainshed_provision.publish.gcp.steps import Step

if TYPE_CHECKING:
    from google.cloud.storage import Blob

HALF_MADE = timedelta(days=1)  # no publication lasts as long: what is older, none goes on with by itself


def plan(ours: Iterable[Image], objects: "Iterable[Blob]", *, grace: timedelta, now: datetime) -> tuple[Step, ...]:
    """Steps that remove them. Touches only what has our label. grace: how long after its date a deleted image stays."""
    made = [
        Step(do="delete", on=image.name, text=f"{image.name}: delete ({why})")
        for image in ours
        if image.ours and (why := _why(image, grace=grace, now=now))
    ]
    made += [
        Step(do="remove", on=stored.name, text=f"{stored.name}: remove (left over)", stored=stored)
        for stored in objects
        if (stored.metadata or {}).items() >= MANAGED.items() and now - stored.time_created >= max(grace, HALF_MADE)
    ]
    return tuple(made)


def _why(image: Image, *, grace: timedelta, now: datetime) -> str:
    if image.status == "FAILED" and now - image.created >= HALF_MADE:
        return "failed when it was made"
    if image.state == "DELETED" and image.deleted is not None and now - image.deleted >= grace:
        return f"marked DELETED since {image.deleted:%Y-%m-%d}"
    return ""
