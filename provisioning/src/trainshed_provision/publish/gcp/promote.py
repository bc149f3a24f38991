"""Make a family resolve to an image. A family is its newest active image, so rolling back is deprecating what is newer."""

from collections.abc import Iterable
from datetime import datetime

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp import images, steps
from trainshed_provision.publish.gcp.api import AGAIN, Client
from trainshed_provision.publish.gcp.images import CANDIDATE, Image
from trainshed_provision.publish.gcp.steps import Ages, Step


def plan(
    chosen: Image, ours: Iterable[Image], *, now: datetime, ages: Ages, share: Iterable[str] = ()
) -> tuple[Step, ...]:
    """Steps until the family resolves to the chosen one and to no other; none when it does.

    The chosen one is made ready first and the others go after it: at no moment does the family resolve to nothing.
    """
    _refuse(chosen)
    family = chosen.family.removesuffix(CANDIDATE)
    others = [image for image in ours if image.family == family and image.name != chosen.name]
    made: tuple[Step, ...] = ()
    if who := tuple(sorted(share)):
        made += (Step(do="share", on=chosen.name, text=f"{chosen.name}: shared with {', '.join(who)}", who=who),)
    if chosen.state != "ACTIVE":
        made += (steps.activate(chosen),)
    if chosen.family != family:
        text = f"{chosen.name}: family {chosen.family} -> {family}"
        made += (Step(do="patch", on=chosen.name, text=text, body={"family": family}),)
    return made + tuple(
        steps.deprecate(image, "DEPRECATED", replacement=chosen.link, now=now, ages=ages)
        for image in others
        if image.state == "ACTIVE"
    )


def confirm(client: Client, chosen: Image) -> str:
    """The family, after Google was asked what it resolves to. Raises UNHEALTHY when that is another image."""
    family = chosen.family.removesuffix(CANDIDATE)
    if (found := images.resolved(client, family)) != chosen.name:
        raise ShedError(
            f"the family {family} resolves to {found or 'nothing'}, not to {chosen.name}",
            hint="somebody else promotes in the same family; " + AGAIN,
            code=Exit.UNHEALTHY,
        )
    return family


def _refuse(chosen: Image) -> None:
    if chosen.revoked:
        raise ShedError(
            f"{chosen.name} was revoked: {chosen.description}",
            hint="publish a new version, and promote that",
            code=Exit.REFUSED,
        )
    if chosen.status != "READY" or not chosen.family:
        raise ShedError(
            f"{chosen.name} cannot be promoted: {chosen.status}, family '{chosen.family}'",
            hint="finish it first: shed publish gcp",
            code=Exit.CONFLICT,
        )
