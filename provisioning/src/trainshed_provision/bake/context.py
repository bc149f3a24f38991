"""What one bake works on: the checkout, its folders and the facts that every stage shares."""

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, ARCHITECTURES, Architecture
from trainshed_provision.errors import Exit, ShedError

SUITE = "trixie"
PYTHON = "3.13"  # of the suite; the wheels are for it

# What an image is made from: a change of one of these makes a new image, a change of anything else does not.
INPUTS = (
    "server/src",
    "server/pyproject.toml",
    "requirements.lock",
    "roles",
    "ansible.cfg",
    "playbooks/bake.yml",
    "images",
)
INPUT_CODE = ("architecture.py", "bake", "formats", "assertions")  # of this package


@dataclass(frozen=True, kw_only=True)
class Bake:
    """One run. epoch: time of the commit in seconds; no file of the image is younger. strict: the lock's packages or none."""

    checkout: Path
    work: Path
    version: str
    commit: str
    epoch: int
    inputs: str
    strict: bool = False
    architecture: Architecture = AMD64

    @property
    def build(self) -> Path:
        """All that baking writes is below here."""
        return self.checkout / "build"

    @property
    def cache(self) -> Path:
        """Downloads and the base root, kept between bakes."""
        return self.build / "cache"

    @property
    def kept(self) -> Path:
        """Debian packages, as they were downloaded."""
        return self.cache / "apt"

    @property
    def root(self) -> Path:
        """The finished root as a tar, from which every image is made; kept for the next bake of the same inputs and commit."""
        key = hashlib.sha256(f"{self.inputs} {self.commit} {self.epoch}".encode()).hexdigest()[:16]
        return self.cache / f"root-{self.architecture.name}-{key}.tar"

    @property
    def root_lock(self) -> Path:
        """The lock of the packages in it."""
        return self.root.with_suffix(".lock")

    @property
    def root_inventory(self) -> Path:
        """What is in it, package by package."""
        return self.root.with_suffix(".packages.json")

    def is_rooted(self, committed: str) -> bool:
        """Whether the root is there; for a strict bake it has to be of the packages in the `committed` lock."""
        there = all(path.is_file() for path in (self.root, self.root_lock, self.root_inventory))
        return there and (not self.strict or self.root_lock.read_text() == committed)

    @property
    def images(self) -> Path:
        """Finished images."""
        return self.build / "images"

    @property
    def log(self) -> Path:
        """Output of the external programs of the last bake."""
        return self.build / "bake.log"

    @property
    def tree(self) -> Path:
        """The root file system being made."""
        return self.work / "root"

    @property
    def name(self) -> str:
        """The image's file name without its ending."""
        return f"trainshed-{self.version}-{self.architecture.name}"

    @property
    def environment(self) -> dict[str, str]:
        """What external programs are told, so that the same inputs give the same files; QEMU too, where it runs them."""
        same = {"SOURCE_DATE_EPOCH": str(self.epoch), "TZ": "UTC", "LC_ALL": "C.UTF-8", "TMPDIR": str(self.work)}
        return {**same, "QEMU_CPU": self.architecture.cpu}


def checkout() -> Path:
    """The source tree this package runs from. MISSING when it was installed without one: roles and images are there."""
    root = Path(__file__).resolve().parents[4]
    if not (root / "images" / "common").is_dir():
        raise ShedError(
            "baking needs a source checkout of Trainshed",
            hint="clone the repository and run ./bootstrap up in it",
            code=Exit.MISSING,
        )
    return root


def server_version(root: Path) -> str:
    """The version in server/pyproject.toml."""
    return str(tomllib.loads((root / "server" / "pyproject.toml").read_text())["project"]["version"])


def commit(root: Path) -> tuple[str, int]:
    """The checked-out commit, and its time in seconds unless SOURCE_DATE_EPOCH states another."""
    # The bake runs as root on somebody's checkout, which git would refuse.
    out = process.run(["git", "-c", "safe.directory=*", "-C", root, "log", "-1", "--format=%H %ct"])
    commit_id, seconds = out.decode().split()
    return commit_id, int(os.environ.get("SOURCE_DATE_EPOCH") or seconds)


def input_digest(root: Path, architecture: Architecture) -> str:
    """sha256 of the names and contents of all that an image is made from, but for what is another architecture's alone."""
    others = tuple(f"packages.{name}." for name in ARCHITECTURES if name != architecture.name)
    code = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for top in [*(root / i for i in INPUTS), *(code / i for i in INPUT_CODE)]:
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(others):
                total.update(f"{path.relative_to(root)}\0{path.stat().st_mode:o}\0{path.stat().st_size}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()
