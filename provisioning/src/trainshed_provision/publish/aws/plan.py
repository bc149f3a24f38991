"""From what is wanted and what is there to the steps between: pure, so the same input gives the same plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws.spec import PublishSpec

Do = Literal["remove", "upload", "register", "copy", "wait", "share", "deprecate", "name"]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What an earlier run left in the home region. state: pending, completed or error, as EC2 says. parent: as tagged."""

    id: str
    state: str
    parent: str = ""
    skip_zeros: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one region has of this image.

    image: its id, "" for none; state: pending, available, failed or disabled. revoked: why, if it was. shared: who may launch
    it. deprecation: when, "" for never. named: the image that the version's parameter leads to. walled: the account blocks
    public images here; encrypts: it encrypts whatever is made here.
    """

    image: str = ""
    state: str = ""
    revoked: str = ""
    shared: frozenset[str] = frozenset()
    deprecation: str = ""
    named: str = ""
    walled: bool = False
    encrypts: bool = False


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is there now. parent: a snapshot whose blocks we know, to send the difference from; "" for none."""

    places: Mapping[str, Place]
    snapshot: Snapshot | None = None
    parent: str = ""
    logged: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do in one region. text: for a person. what: the id of a thing that is there, e.g. of the parent."""

    do: Do
    region: str
    text: str
    what: str = ""


def plan(spec: PublishSpec, observed: Observed) -> tuple[Step, ...]:
    """Steps to the image in all regions, home first; none when it is there. Raises ShedError for what must not be done."""
    for region, place in observed.places.items():
        _refuse(spec, region, place)
    steps = _home(spec, observed)
    for region in spec.regions[1:]:
        steps += _copy(spec, region, observed.places[region])
    return steps


def upload(spec: PublishSpec, observed: Observed) -> tuple[Step, ...]:
    """The step to a completed snapshot, after one that clears away what cannot become it."""
    left = observed.snapshot
    if left is not None and _hopeless(spec, left, observed.logged):
        text = f"remove the snapshot {left.id}, which cannot be completed ({left.state})"
        clear: tuple[Step, ...] = (Step(do="remove", region=spec.home, text=text, what=left.id),)
        left = None
    else:
        clear = ()
    if left is not None and left.state == "completed":
        return clear
    parent = left.parent if left is not None else observed.parent
    how = f"what differs from {parent}" if parent else f"{spec.blocks} blocks of 512 KiB"
    text = f"go on with the upload into {left.id}" if left is not None else f"upload {how} into a new snapshot"
    return (*clear, Step(do="upload", region=spec.home, text=text, what=parent))


def _hopeless(spec: PublishSpec, left: Snapshot, logged: frozenset[str]) -> bool:
    """Timed out; or begun from a parent whose blocks we do not know; or begun with other blocks left out."""
    unknown = bool(left.parent) and left.parent not in logged
    return left.state == "error" or (left.state == "pending" and (unknown or left.skip_zeros != spec.skip_zeros))


def _home(spec: PublishSpec, observed: Observed) -> tuple[Step, ...]:
    place = observed.places[spec.home]
    if place.image and place.state != "failed":
        made: tuple[Step, ...] = ()
    else:
        register = Step(do="register", region=spec.home, text=f"register the image {spec.name} ({spec.boot_mode})")
        made = (*upload(spec, observed), *_failed(spec.home, place), register)
    return made + _finish(spec, spec.home, place, new=bool(made), wait=bool(made))


def _copy(spec: PublishSpec, region: str, place: Place) -> tuple[Step, ...]:
    if place.image and place.state != "failed":
        return _finish(spec, region, place, new=False, wait=False)
    copy = Step(do="copy", region=region, text=f"copy it from {spec.home}, and wait until it is available")
    return (*_failed(region, place), copy, *_finish(spec, region, place, new=True, wait=False))


def _failed(region: str, place: Place) -> tuple[Step, ...]:
    if place.state != "failed":
        return ()
    return (Step(do="remove", region=region, text=f"remove the failed image {place.image}", what=place.image),)


def _finish(spec: PublishSpec, region: str, place: Place, *, new: bool, wait: bool) -> tuple[Step, ...]:
    """What comes after an image is there: waiting, sharing, its deprecation, its name."""
    steps: list[Step] = []
    if wait or place.state == "pending":
        steps.append(Step(do="wait", region=region, text="wait until it is available"))
    missing = spec.shared - (frozenset() if new else place.shared)
    if missing:
        steps.append(Step(do="share", region=region, text=f"share it with {', '.join(sorted(missing))}"))
    if spec.deprecate_days and (new or not place.deprecation):
        steps.append(Step(do="deprecate", region=region, text=f"deprecate it in {spec.deprecate_days} days"))
    if new or place.named != place.image:
        steps.append(Step(do="name", region=region, text=f"let {spec.parameter()} lead to it"))
    return tuple(steps)


def _refuse(spec: PublishSpec, region: str, place: Place) -> None:
    if place.revoked or place.state == "disabled":
        raise ShedError(
            f"{spec.name} was revoked in {region}: {place.revoked or 'it is disabled'}",
            hint="a revoked image is not published again: mend it, raise the version and bake",
            code=Exit.REFUSED,
        )
    if place.named and place.named != place.image:
        raise ShedError(
            f"{spec.parameter()} leads to {place.named} in {region}, which is another image of version {spec.version}",
            hint="a published version never changes: raise the version in server/pyproject.toml and bake again",
            code=Exit.CONFLICT,
        )
    if spec.public and "all" not in place.shared and place.walled:
        raise ShedError(
            f"this account blocks public images in {region}",
            hint=f"allow them with: aws ec2 disable-image-block-public-access --region {region}",
            code=Exit.MISSING,
        )
    if spec.shared and place.encrypts and not place.image:
        raise ShedError(
            f"this account encrypts every snapshot in {region} with a key of its own: nobody else could launch the image",
            hint=f"publish without shares, or: aws ec2 disable-ebs-encryption-by-default --region {region}",
            code=Exit.CONFLICT,
        )
