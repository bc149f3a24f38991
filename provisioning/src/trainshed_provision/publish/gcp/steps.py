"""Changes to images that are there: planned as values, so that a dry run shows what a real one does, then carried out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from trainshed_provision.publish.gcp import operations, share
from trainshed_provision.publish.gcp.api import Client
from trainshed_provision.publish.gcp.bucket import Bucket
from trainshed_provision.publish.gcp.images import Image, State

if TYPE_CHECKING:
    from google.cloud.storage import Blob

Do = Literal["deprecate", "patch", "label", "delete", "share", "unshare", "remove"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do. on: an image's name; text: for a person; body: what it sets; who: of a share; stored: to be removed."""

    do: Do
    on: str
    text: str
    body: dict[str, Any] = field(default_factory=dict)
    who: tuple[str, ...] = ()
    stored: "Blob | None" = None


@dataclass(frozen=True, kw_only=True)
class Ages:
    """How long after its deprecation an image can be launched, and how long it is kept."""

    obsolete: timedelta = timedelta(days=90)
    deleted: timedelta = timedelta(days=180)


def deprecate(image: Image, state: State, *, replacement: str, now: datetime, ages: Ages) -> Step:
    """Move an image to a state; the dates of the later ones are announced once, and then kept to."""
    obsolete = image.obsolete or now + (ages.obsolete if state == "DEPRECATED" else timedelta())
    deleted = image.deleted or max(obsolete, now) + ages.deleted - ages.obsolete
    body = {"state": state, "obsolete": _text(obsolete), "deleted": _text(deleted)}
    replacement = replacement or image.replacement
    if replacement:
        body["replacement"] = replacement
    instead = f", instead: {replacement.rsplit('/', 1)[1]}" if replacement else ""
    until = {"DEPRECATED": f", obsolete from {obsolete:%Y-%m-%d}", "OBSOLETE": f", deleted from {deleted:%Y-%m-%d}"}
    text = f"{image.name}: {image.state} -> {state}{until.get(state, '')}{instead}"
    return Step(do="deprecate", on=image.name, text=text, body=body)


def activate(image: Image) -> Step:
    """Make an image one that a family may resolve to again. An empty body clears the state."""
    return Step(do="deprecate", on=image.name, text=f"{image.name}: {image.state} -> ACTIVE")


def carry_out(
    client: Client, steps: Iterable[Step], *, tell: Callable[[str], None], bucket: Bucket | None = None
) -> None:
    """Do them in order, each to its end, telling each when it is done."""
    for step in steps:
        _one(client, step, bucket)
        tell(step.text)


def _one(client: Client, step: Step, bucket: Bucket | None) -> None:
    images = client.images
    match step.do:
        case "deprecate":
            body = {"image": step.on, "deprecation_status_resource": step.body}
            operations.wait(client, client.change(images.deprecate_unary, **body))
        case "patch":
            operations.wait(client, client.change(images.patch_unary, image=step.on, image_resource=step.body))
        case "label":
            # Not by request id: setLabels has a precondition of its own, the fingerprint.
            body = {"resource": step.on, "global_set_labels_request_resource": step.body}
            operations.wait(client, client.call(images.set_labels_unary, **body))
        case "delete":
            operations.wait(client, client.change(images.delete_unary, image=step.on))
        case "share":
            share.change(client, step.on, add=step.who)
        case "unshare":
            share.change(client, step.on, remove=step.who)
        case "remove":
            assert bucket is not None
            assert step.stored is not None
            bucket.remove(step.stored)


def _text(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
