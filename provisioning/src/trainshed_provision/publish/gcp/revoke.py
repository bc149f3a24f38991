"""Withdraw an image: nobody can launch it from now on, and its family resolves to the one before."""

from collections.abc import Iterable
from datetime import datetime

from trainshed_provision.publish.gcp import steps
from trainshed_provision.publish.gcp.images import REVOKED, Image
from trainshed_provision.publish.gcp.steps import Ages, Step

DESCRIPTION_LETTERS = 2048
WITHDRAWN = "REVOKED"  # what the description begins with


def plan(
    bad: Image, ours: Iterable[Image], *, reason: str, shared: Iterable[str], now: datetime, ages: Ages
) -> tuple[Step, ...]:
    """Steps until it is withdrawn; none when it is. The former image is made the family's first."""
    former = _former(bad, ours)
    made: tuple[Step, ...] = ()
    if former and bad.state == "ACTIVE" and former.state != "ACTIVE":
        made += (steps.activate(former),)
    if bad.state not in ("OBSOLETE", "DELETED"):
        made += (steps.deprecate(bad, "OBSOLETE", replacement=former.link if former else "", now=now, ages=ages),)
    if who := tuple(sorted(shared)):
        made += (Step(do="unshare", on=bad.name, text=f"{bad.name}: no longer shared with {', '.join(who)}", who=who),)
    if not bad.description.startswith(WITHDRAWN):
        text = f"{WITHDRAWN} {now:%Y-%m-%d}: {reason}. {bad.description}"[:DESCRIPTION_LETTERS]
        made += (Step(do="patch", on=bad.name, text=f"{bad.name}: {text}", body={"description": text}),)
    if not bad.revoked:  # the label last: what has it is withdrawn whole
        body = {"labels": {**bad.labels, REVOKED: f"{now:%Y-%m-%d}"}, "label_fingerprint": bad.fingerprint}
        made += (Step(do="label", on=bad.name, text=f"{bad.name}: labelled {REVOKED}", body=body),)
    return made


def _former(bad: Image, ours: Iterable[Image]) -> Image | None:
    """The newest other image of the family that can be launched: an active one at best."""
    others = [
        i for i in ours if i.family == bad.family and i.name != bad.name and i.status == "READY" and not i.revoked
    ]
    active = [image for image in others if image.state == "ACTIVE"]
    usable = active or [image for image in others if image.state == "DEPRECATED" and image.created < bad.created]
    return max(usable, key=lambda image: image.created, default=None)
