"""What a publication costs, about: list prices in US dollars before tax, typed in by hand and not asked of anybody."""

from dataclasses import dataclass

from trainshed_provision.publish.aws.plan import Step
from trainshed_provision.publish.aws.spec import PublishSpec

AS_OF = "2026-11"  # estimates; AWS's price pages are what counts
SNAPSHOT_GB_MONTH = {
    "us-east-1": 0.05,
    "us-east-2": 0.05,
    "us-west-2": 0.05,
    "us-west-1": 0.055,
    "ca-central-1": 0.055,
    "eu-west-1": 0.05,
    "eu-west-2": 0.053,
    "eu-west-3": 0.053,
    "eu-central-1": 0.054,
    "ap-southeast-1": 0.05,
    "ap-southeast-2": 0.055,
    "ap-northeast-1": 0.05,
    "ap-south-1": 0.05,
    "sa-east-1": 0.068,
}
OTHER_GB_MONTH = 0.06  # of a region that is not in the table
PUT_PER_THOUSAND = 0.006
COPY_GB = 0.02  # between regions


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Dollars: once, and for each month that the images are kept."""

    once: float
    monthly: float

    def line(self, spec: PublishSpec) -> str:
        """For a person."""
        return (
            f"about ${self.monthly:.2f} a month for {spec.gib} GiB of snapshot in {len(spec.regions)} regions, "
            f"and ${self.once:.2f} once for requests and copies (estimates by list prices of {AS_OF})"
        )


def cost(spec: PublishSpec, steps: tuple[Step, ...]) -> Cost:
    """Of all regions per month, as if each kept the whole volume; and of these steps."""
    monthly = sum(spec.gib * SNAPSHOT_GB_MONTH.get(region, OTHER_GB_MONTH) for region in spec.regions)
    puts = sum(step.do == "upload" for step in steps) * spec.blocks / 1000 * PUT_PER_THOUSAND
    copied = sum(step.do == "copy" for step in steps) * spec.gib * COPY_GB
    return Cost(once=round(puts + copied, 4), monthly=round(monthly, 4))
