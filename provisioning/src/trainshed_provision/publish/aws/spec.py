"""What is to be published, where, and for whom: plain values, and the names that follow from them."""

import re
from dataclasses import dataclass
from typing import Literal

from trainshed_provision.architecture import AMD64, ARCHITECTURES
from trainshed_provision.errors import Exit, ShedError

GIB = 1 << 30
BLOCK = 512 * 1024  # EBS direct knows no other size
LARGEST_GIB = 16384  # of a gp3 volume
MANAGED_BY = "trainshed"  # garbage collection and revocation touch nothing without this tag
ROOT_DEVICE = "/dev/xvda"

ACCOUNT = re.compile(r"\d{12}")
ARN = re.compile(r"arn:aws[a-z-]*:organizations::\d{12}:(organization|ou)/o-[a-z0-9]{10,32}(/ou-[a-z0-9-]+)?")
PREFIX = re.compile(r"(/[A-Za-z0-9_.-]+)+")
NAME = re.compile(rf"trainshed-(?P<version>.+)-(?P<architecture>{'|'.join(ARCHITECTURES)})-(?P<disk>[0-9a-f]{{12}})")

BootMode = Literal["uefi-preferred", "uefi"]


@dataclass(frozen=True, kw_only=True)
class PublishSpec:
    """One disk image in the regions of one account.

    size: bytes of the disk. home: the region that is uploaded to; regions: all of them, home first. best_effort: regions
    whose failure is told and does not fail the rest. accounts, arns: who may launch it, beside this account; arns: of
    organisations and organisational units. deprecate_days: after which EC2 no longer lists it; 0 for never. prefix: of the
    SSM parameters. skip_zeros: do not send blocks of zeros; an encrypted launch reads noise in their place.
    Raises ShedError(USAGE) for what EC2 would refuse later.
    """

    version: str
    commit: str
    tree: str
    sha256: str
    size: int
    architecture: str
    home: str
    regions: tuple[str, ...]
    best_effort: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    public: bool = False
    boot_mode: BootMode = "uefi-preferred"
    tpm: bool = False
    deprecate_days: int = 90
    prefix: str = "/trainshed"
    sbom: str = ""
    skip_zeros: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never become an image."""
        wrong = [name for name in self.accounts if not ACCOUNT.fullmatch(name)]
        wrong += [arn for arn in self.arns if not ARN.fullmatch(arn)]
        if wrong:
            raise _usage(
                f"cannot be shared with: {', '.join(sorted(wrong))}",
                "an account has 12 digits; organisations and units are given by their ARN",
            )
        if self.architecture not in ARCHITECTURES:
            raise _usage(f"EC2 has no machines for '{self.architecture}'", f"it has {', '.join(ARCHITECTURES)}")
        if self.boot_mode not in boot_modes(self.architecture):
            raise _usage(
                f"EC2 starts {self.architecture} by UEFI alone", "add --boot-mode uefi, or leave --boot-mode out"
            )
        if self.tpm and (self.boot_mode != "uefi" or self.architecture != "amd64"):
            raise _usage("a TPM needs UEFI on amd64", "add --boot-mode uefi, or leave --tpm out")
        if not 0 < self.size <= LARGEST_GIB * GIB:
            raise _usage(f"a disk of {self.size} bytes cannot be an image", f"gp3 volumes have 1 to {LARGEST_GIB} GiB")
        if not 0 <= self.deprecate_days <= (730 if self.public else 3650):
            raise _usage(
                f"an image cannot be deprecated after {self.deprecate_days} days",
                "EC2 takes up to 3650, for public images up to 730, and 0 is for never",
            )
        if not PREFIX.fullmatch(self.prefix) or self.prefix.lower().startswith(("/aws", "/ssm")):
            raise _usage(f"'{self.prefix}' cannot begin the name of a parameter", "for example: /trainshed")

    @property
    def name(self) -> str:
        """Of the AMI and its snapshots: the same bytes have the same name, other bytes another one."""
        return f"trainshed-{self.version}-{self.architecture}-{self.sha256[:12]}"

    @property
    def gib(self) -> int:
        """Of the volume: whole GiB."""
        return -(-self.size // GIB)

    @property
    def blocks(self) -> int:
        """Of the volume, those after the end of the disk too: an absent block reads as noise in an encrypted launch."""
        return self.gib * GIB // BLOCK

    @property
    def shared(self) -> frozenset[str]:
        """All who may launch it: accounts, ARNs, and "all"."""
        return self.accounts | self.arns | (frozenset({"all"}) if self.public else frozenset())

    @property
    def tags(self) -> dict[str, str]:
        """On every image and snapshot."""
        tags = {
            "Name": self.name,
            "Product": "trainshed",
            "Version": self.version,
            "Architecture": self.architecture,
            "Commit": self.commit,
            "Tree": self.tree,
            "Disk": self.sha256,
            "ManagedBy": MANAGED_BY,
        }
        return {**tags, "Sbom": self.sbom} if self.sbom else tags

    def parameter(self, which: str = "") -> str:
        """The SSM parameter that leads to the image: of this version, or "latest"."""
        return parameter(self.prefix, self.architecture, which or self.version)


def boot_modes(architecture: str) -> tuple[BootMode, ...]:
    """What EC2 can start it by; the first one is ours."""
    return ("uefi-preferred", "uefi") if architecture == AMD64.name else ("uefi",)


def parameter(prefix: str, architecture: str, which: str) -> str:
    """The name of the SSM parameter of a version, or of "latest"."""
    return f"{prefix}/{architecture}/{which}/image_id"


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _usage(message: str, hint: str) -> ShedError:
    return ShedError(message, hint=hint, code=Exit.USAGE)
