"""Withdrawing a version: names lead elsewhere first, then nobody can launch it. Machines that run stay as they are."""

from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError

from trainshed_provision.publish.aws import ssm
from trainshed_provision.publish.aws.client import Aws, code_of, now, told
from trainshed_provision.publish.aws.observe import everywhere
from trainshed_provision.publish.aws.release import LATEST, Seen
from trainshed_provision.publish.aws.spec import pairs, parameter

TAG_CHARACTERS = 256

Do = Literal["tag", "name", "unname", "disable", "deregister"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do in one region. what: a parameter's name, for name and unname; image: that it is about."""

    do: Do
    region: str
    text: str
    image: str
    what: str = ""


def plan(seen: dict[str, Seen], *, prefix: str, version: str, architecture: str, deregister: bool) -> tuple[Step, ...]:
    """Steps until it is gone, region by region. It is marked first, so that no publication takes it up meanwhile."""
    steps: list[Step] = []
    for region, here in seen.items():
        if "Revoked" not in here.tags:
            steps.append(Step(do="tag", region=region, text=f"mark {here.id} as revoked", image=here.id))
        steps += _names(here, prefix, version, architecture)
        if deregister:
            text = f"deregister {here.id} and delete its snapshot"
            steps.append(Step(do="deregister", region=region, text=text, image=here.id))
        elif here.image["State"] != "disabled":
            text = f"disable {here.id}: nobody can launch it, its shares end"
            steps.append(Step(do="disable", region=region, text=text, image=here.id))
    return tuple(steps)


def _names(here: Seen, prefix: str, version: str, architecture: str) -> list[Step]:
    steps: list[Step] = []
    if here.latest == here.id:
        latest = parameter(prefix, architecture, LATEST)
        if here.before:
            back = here.before[0]
            steps.append(_step("name", here, f"let {latest} lead to {back} again", image=back, what=latest))
        else:
            steps.append(_step("unname", here, f"remove {latest}: there is no good image before", what=latest))
    if here.named == here.id:
        name = parameter(prefix, architecture, version)
        steps.append(_step("unname", here, f"remove {name}", what=name))
    return steps


def _step(do: Do, here: Seen, text: str, *, what: str, image: str = "") -> Step:
    return Step(do=do, region=here.region, text=text, image=image or here.id, what=what)


def apply(aws: Aws, steps: tuple[Step, ...], *, reason: str) -> None:
    """Carry the steps out, all regions at once, each in order."""

    def go(region: str) -> None:
        for step in steps:
            if step.region == region:
                _do(aws, step, reason)

    everywhere(aws, dict.fromkeys(step.region for step in steps), go)


def _do(aws: Aws, step: Step, reason: str) -> None:
    ec2 = aws.ec2(step.region)
    if step.do == "name":
        ssm.write(aws, step.region, step.what, step.image)
    elif step.do == "unname":
        ssm.remove(aws, step.region, step.what)
    else:
        with told(step.region):
            if step.do == "tag":
                tags = {"RevokedAt": now().isoformat(), "Revoked": reason[:TAG_CHARACTERS]}
                ec2.create_tags(Resources=[step.image], Tags=pairs(tags))
            elif step.do == "disable":
                ec2.disable_image(ImageId=step.image)
            else:
                deregister(aws, step.region, step.image)


def deregister(aws: Aws, region: str, image: str) -> None:
    """Remove an image with its snapshots; those that another image has too stay. Gone already is as good."""
    with told(region):
        try:
            aws.ec2(region).deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
        except ClientError as error:
            if code_of(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                raise
