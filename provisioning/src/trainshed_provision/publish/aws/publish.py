"""Publishing as a whole: look, plan, do, and say what is there now."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed_provision.publish.aws import prices
from trainshed_provision.publish.aws.apply import apply, job
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.observe import observe
from trainshed_provision.publish.aws.plan import Step, plan
from trainshed_provision.publish.aws.prices import Cost
from trainshed_provision.publish.aws.spec import PublishSpec

LOGS = "aws"  # folder beside the disk, of what has been uploaded


@dataclass(frozen=True, kw_only=True)
class Published:
    """What came of it. images: by region; sent: blocks of 512 KiB; failed: why, by best-effort region."""

    spec: PublishSpec
    steps: tuple[Step, ...]
    cost: Cost
    images: dict[str, str]
    sent: int
    failed: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Ready for json.dumps."""
        return {
            "name": self.spec.name,
            "version": self.spec.version,
            "parameter": self.spec.parameter(),
            "steps": [{"do": step.do, "region": step.region, "text": step.text} for step in self.steps],
            "cost": {"once": self.cost.once, "monthly": self.cost.monthly, "currency": "USD", "as_of": prices.AS_OF},
            "images": self.images,
            "blocks_sent": self.sent,
            "failed": self.failed,
        }


def publish(
    spec: PublishSpec,
    aws: Aws,
    *,
    disk: Path,
    dry_run: bool,
    verify: Callable[[], None],
    report: Callable[[str], None],
) -> Published:
    """Bring the disk to all regions, or only tell the steps (dry_run). Safe to repeat, also after a kill at any moment.

    verify: raises unless the disk is what its manifest says; asked only before an upload.
    """
    logs = disk.parent / LOGS
    observed = observe(spec, aws, logs=logs)
    steps = plan(spec, observed)
    work = job(spec, observed, aws, disk=disk, logs=logs, report=report)
    if not dry_run:
        if any(step.do == "upload" for step in steps):
            verify()
        apply(steps, work)
    images = {region: image for region, image in work.images.items() if image}
    cost = prices.cost(spec, steps)
    return Published(spec=spec, steps=steps, cost=cost, images=images, sent=work.sent, failed=work.failed)
