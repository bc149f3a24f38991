"""`latest` leads to a version: once it holds its rules at AWS, and a machine launched from it has held its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish import tested
from trainshed_provision.publish.aws import deprecate, ssm, validate
from trainshed_provision.publish.aws.client import Aws, now, told
from trainshed_provision.publish.aws.observe import everywhere
from trainshed_provision.publish.aws.release import LATEST, Seen
from trainshed_provision.publish.aws.spec import parameter
from trainshed_provision.publish.aws.validate import Expected

SUPERSEDED_DAYS = 30  # an image that is not the latest any more is listed for so long


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do. image: to let `latest` lead to, or with `until` the one that is superseded."""

    region: str
    text: str
    image: str
    until: datetime | None = None


def plan(seen: dict[str, Seen], *, name: str, superseded: dict[str, str], at: datetime) -> tuple[Step, ...]:
    """Steps until `latest` leads there in every region. superseded: when EC2 would stop listing the image it leads to now."""
    steps: list[Step] = []
    for region, here in seen.items():
        if here.latest == here.id:
            continue
        steps.append(Step(region=region, text=f"let {name} lead to {here.id}", image=here.id))
        until = superseded.get(region, "")
        if here.latest and (not until or until > at.strftime("%Y-%m-%dT%H:%M:%S")):
            text = f"deprecate {here.latest}, which it led to, in {SUPERSEDED_DAYS} days"
            steps.append(Step(region=region, text=text, image=here.latest, until=at))
    return tuple(steps)


def check(seen: dict[str, Seen], report: Path) -> None:
    """Raise ShedError unless the images hold their rules, and the report is of a machine of this version that held all."""
    for result in validate.results(seen, Expected(shared=frozenset(), lonely={})):
        if result.rule in validate.OF_THE_IMAGE and not result.ok:
            raise _unfit(
                f"{result.file} does not hold {result.rule}, {result.title}: {result.found}, not {result.wanted}"
            )
    for here in seen.values():
        tested.check(report, commit=here.tags.get("Commit", ""))


def superseded(aws: Aws, seen: dict[str, Seen]) -> dict[str, str]:
    """By region, until when the image is listed that `latest` leads to now; "" for ever."""

    def ask(region: str) -> str:
        if seen[region].latest in ("", seen[region].id):
            return ""
        with told(region):
            found = aws.ec2(region).describe_images(
                Filters=[{"Name": "image-id", "Values": [seen[region].latest]}], IncludeDeprecated=True
            )["Images"]
        return str(found[0].get("DeprecationTime", "")) if found else "0"

    return everywhere(aws, seen, ask)


def promote(
    aws: Aws, seen: dict[str, Seen], *, prefix: str, architecture: str, report: Path, dry_run: bool
) -> tuple[Step, ...]:
    """Check, then let `latest` lead to these images; return the steps. Safe to repeat."""
    check(seen, report)
    name = parameter(prefix, architecture, LATEST)
    steps = plan(seen, name=name, superseded=superseded(aws, seen), at=now() + timedelta(days=SUPERSEDED_DAYS))
    if not dry_run:
        for step in steps:  # the old one first: after a cut, the name still says what is left to do
            if step.until:
                deprecate.deprecate(aws, step.region, step.image, at=step.until)
        news = {step.region: step.image for step in steps if not step.until}
        everywhere(aws, news, lambda region: ssm.write(aws, region, name, news[region]))
    return steps


def _unfit(message: str) -> ShedError:
    return ShedError(
        message,
        hint=tested.HINT,
        code=Exit.UNHEALTHY,
    )
