"""The job that makes the announced dates true: Google shows the dates of an image, and changes no state by itself."""

from collections.abc import Iterable
from datetime import datetime

from trainshed_provision.publish.gcp import steps
from trainshed_provision.publish.gcp.images import Image, State
from trainshed_provision.publish.gcp.steps import Ages, Step


def plan(ours: Iterable[Image], *, now: datetime, ages: Ages) -> tuple[Step, ...]:
    """Steps of today. The newest of a family is never touched; no image moves by more than one state a run.

    One that was superseded becomes DEPRECATED; from its announced dates on OBSOLETE, then DELETED. A state that somebody
    set without dates gets them now.
    """
    there = [image for image in ours if image.status == "READY"]
    made: list[Step] = []
    for family in sorted({image.family for image in there}):
        members = [image for image in there if image.family == family]
        first = newest(members)
        for image in members:
            if image is not first and (step := _step(image, first, now=now, ages=ages)):
                made.append(step)
    return tuple(made)


def newest(members: list[Image]) -> Image | None:
    """What the family resolves to; where it resolves to nothing, the newest that was not revoked. None without a family."""
    named = [image for image in members if image.family and not image.revoked]
    active = [image for image in named if image.state == "ACTIVE"]
    return max(active or named, key=lambda image: image.created, default=None)


def _step(image: Image, first: Image | None, *, now: datetime, ages: Ages) -> Step | None:
    state = _next(image, now) if image.state != "ACTIVE" or first else None
    if state is None:
        return None
    replacement = image.replacement or (first.link if first else "")
    return steps.deprecate(image, state, replacement=replacement, now=now, ages=ages)


def _next(image: Image, now: datetime) -> State | None:
    """The state it should be in, None when that is the one it is in with dates."""
    match image.state:
        case "ACTIVE":
            return "DEPRECATED"
        case "DEPRECATED":
            if image.obsolete is None or image.deleted is None:
                return "DEPRECATED"
            return "OBSOLETE" if image.obsolete <= now else None
        case "OBSOLETE":
            if image.deleted is None:
                return "OBSOLETE"
            return "DELETED" if image.deleted <= now else None
    return None
