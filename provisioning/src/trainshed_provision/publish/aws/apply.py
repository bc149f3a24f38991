"""Carrying out a plan: the home region first, then all others at once, one small function per step."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import blocklog, copies, deprecate, ebs, share, ssm
from trainshed_provision.publish.aws.blocklog import BlockLog
from trainshed_provision.publish.aws.client import AGAIN, Aws, code_of, now, told
from trainshed_provision.publish.aws.ebs import Upload
from trainshed_provision.publish.aws.plan import Do, Observed, Step
from trainshed_provision.publish.aws.register import register
from trainshed_provision.publish.aws.spec import PublishSpec, pairs
from trainshed_provision.publish.progress import Progress

TIMEOUT_MINUTES = (
    240  # without a block, AWS gives a snapshot up: time to come back to a cut upload, and then nothing is left
)

SETTLE_POLLS = 360

Report = Callable[[str], None]


@dataclass(kw_only=True)
class Job:
    """What the steps work on. images: by region, as they come to be. sent: blocks that this run sent; failed: why, by
    region that was only wanted if it could be."""

    spec: PublishSpec
    aws: Aws
    disk: Path
    logs: Path
    report: Report
    images: dict[str, str]
    snapshot: str = ""
    sent: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def log(self) -> Path:
        """Of the blocks of this image in its home region."""
        return self.logs / f"{self.spec.name}.{self.spec.home}.blocks"


def job(spec: PublishSpec, observed: Observed, aws: Aws, *, disk: Path, logs: Path, report: Report) -> Job:
    """A job over what is there."""
    images = {region: place.image for region, place in observed.places.items()}
    snapshot = observed.snapshot.id if observed.snapshot is not None else ""
    return Job(spec=spec, aws=aws, disk=disk, logs=logs, report=report, images=images, snapshot=snapshot)


def apply(steps: tuple[Step, ...], work: Job) -> None:
    """Carry out the steps. Regions do not wait for each other, nor fail each other; the first error is raised at the end.

    Nothing is undone: each step leaves something whole, or something that the next run finds and takes up.
    """
    _region(work, [step for step in steps if step.region == work.spec.home])
    others = [region for region in work.spec.regions[1:] if any(step.region == region for step in steps)]
    errors: dict[str, ShedError] = {}

    def go(region: str) -> None:
        try:
            _region(work, [step for step in steps if step.region == region])
        except ShedError as error:
            with work.lock:
                errors[region] = error

    with ThreadPoolExecutor(max(1, len(others))) as pool:
        try:
            list(pool.map(go, others))
        except BaseException:
            work.aws.stop()
            raise
    work.failed = {region: errors.pop(region).message for region in sorted(errors) if region in work.spec.best_effort}
    if errors:
        first = next(iter(errors.values()))
        message = "; ".join(f"{region}: {error.message}" for region, error in sorted(errors.items()))
        raise ShedError(message, hint=first.hint, code=first.code)


def _region(work: Job, steps: list[Step]) -> None:
    for step in steps:
        work.report(f"{step.region}: {step.text}")
        STEPS[step.do](work, step)


def _remove(work: Job, step: Step) -> None:
    ec2 = work.aws.ec2(step.region)
    with told(step.region):
        if step.what.startswith("ami-"):
            ec2.deregister_image(ImageId=step.what, DeleteAssociatedSnapshots=True)
        else:
            blocklog.forget(work.log)
            ec2.delete_snapshot(SnapshotId=step.what)
            work.snapshot = ""


def _upload(work: Job, step: Step) -> None:
    spec = work.spec
    with blocklog.opened(work.log, spec.blocks) as log:
        snapshot = work.snapshot or _start(work, log, parent=step.what)
        with blocklog.finished(work.logs, step.what) as parent:
            if step.what and parent is None:
                raise ShedError(f"the list of blocks of {step.what} has changed under our hands", hint=AGAIN)
            log.belongs_to(snapshot)
            upload = Upload(disk=work.disk, snapshot=snapshot, log=log, parent=parent, skip_zeros=spec.skip_zeros)
            progress = Progress(f"{step.region}: upload", spec.gib << 30)
            ebs.put_blocks(work.aws, upload, region=step.region, advance=progress.advance, skip=progress.skip)
            work.sent = _complete(work, upload)
            log.finish(snapshot)
            progress.done()
    work.snapshot = snapshot


def _complete(work: Job, upload: Upload) -> int:
    """Seal it. When AWS has other blocks than were noted, nothing mends it: it is removed, and the next run sends it whole."""
    try:
        return ebs.complete(work.aws, upload, region=work.spec.home)
    except ShedError as error:
        if error.__cause__ is None or code_of(error.__cause__) != "ValidationException":
            raise
        blocklog.forget(upload.log.path)
        with told(work.spec.home):
            work.aws.ec2(work.spec.home).delete_snapshot(SnapshotId=upload.snapshot)
        raise ShedError(
            f"AWS has other blocks than {upload.log.path} says, and the snapshot was removed ({error.message})",
            hint="run the same command again: the disk is uploaded anew",
            code=Exit.CORRUPT,
        ) from error


def _start(work: Job, log: BlockLog, *, parent: str) -> str:
    """Begin a snapshot, or get the one that an earlier run began and did not hear of."""
    spec = work.spec
    tags = spec.tags | ({"Parent": parent} if parent else {}) | ({"SkippedZeros": "true"} if spec.skip_zeros else {})
    with told(spec.home):
        made = work.aws.client("ebs", spec.home).start_snapshot(
            VolumeSize=spec.gib,
            Tags=pairs(tags),
            Description=spec.name,
            ClientToken=log.token(),
            Timeout=TIMEOUT_MINUTES,
            **({"ParentSnapshotId": parent} if parent else {}),
        )
    return str(made["SnapshotId"])


def _settle(work: Job, snapshot: str) -> None:
    """Wait until EC2 too knows the snapshot as completed."""
    state = ""
    for _ in range(SETTLE_POLLS):
        with told(work.spec.home):
            state = work.aws.ec2(work.spec.home).describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"]
        if state == "completed":
            return
        if state == "error":
            break
        work.report(f"{work.spec.home}: {snapshot} is {state}")
        work.aws.pause(copies.POLL_SECONDS)
    raise ShedError(f"snapshot {snapshot} in {work.spec.home} is {state}, not completed", hint=AGAIN)


def _register(work: Job, step: Step) -> None:
    _settle(work, work.snapshot)
    work.images[step.region] = register(work.spec, work.aws, region=step.region, snapshot=work.snapshot)


def _copy(work: Job, step: Step) -> None:
    home = work.images[work.spec.home]
    work.images[step.region] = copies.copy(work.spec, work.aws, region=step.region, image=home, report=work.report)


def _wait(work: Job, step: Step) -> None:
    image = work.images[step.region]
    state = copies.wait(work.aws, step.region, image, report=work.report)
    if state != "available":
        raise ShedError(f"image {image} in {step.region} is {state or 'gone'}", hint=AGAIN)


def _share(work: Job, step: Step) -> None:
    share.add(work.aws, step.region, work.images[step.region], work.spec.shared)


def _deprecate(work: Job, step: Step) -> None:
    at = deprecate.in_days(work.spec.deprecate_days, now())
    deprecate.deprecate(work.aws, step.region, work.images[step.region], at=at)


def _name(work: Job, step: Step) -> None:
    ssm.write(work.aws, step.region, work.spec.parameter(), work.images[step.region])


STEPS: dict[Do, Callable[[Job, Step], None]] = {
    "remove": _remove,
    "upload": _upload,
    "register": _register,
    "copy": _copy,
    "wait": _wait,
    "share": _share,
    "deprecate": _deprecate,
    "name": _name,
}
