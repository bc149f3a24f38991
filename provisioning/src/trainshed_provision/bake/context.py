"""What one bake works on: the checkout, its folders and the facts that every stage shares."""

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError

SUITE = "trixie"
PYTHON = "3.13"  # of the suite; the wheels are for it
ARCHITECTURE = "amd64"

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
INPUT_CODE = ("bake", "assertions")  # of this package


@dataclass(frozen=True, kw_only=True)
class Bake:
    """One run. epoch: time of the commit in seconds; no file of the image is younger."""

    checkout: Path
    work: Path
    version: str
    commit: str
    epoch: int
    inputs: str

    @property
    def build(self) -> Path:
        """All that baking writes is below here."""
        return self.checkout / "build"

    @property
    def cache(self) -> Path:
        """Downloads and the base root, kept between bakes."""
        return self.build / "cache"

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
        return f"trainshed-{self.version}-{ARCHITECTURE}"

    @property
    def environment(self) -> dict[str, str]:
        """What external programs are told, so that the same inputs give the same files."""
        return {"SOURCE_DATE_EPOCH": str(self.epoch), "TZ": "UTC", "LC_ALL": "C.UTF-8", "TMPDIR": str(self.work)}


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
    """The checked-out commit and its time in seconds."""
    # The bake runs as root on somebody's checkout, which git would refuse.
    out = process.run(["git", "-c", "safe.directory=*", "-C", root, "log", "-1", "--format=%H %ct"])
    commit_id, seconds = out.decode().split()
    return commit_id, int(seconds)


def week() -> str:
    """The ISO week, as in 2026-W47. It is an input: an image is made anew each week, with that week's security updates."""
    year, number, _ = datetime.now(UTC).isocalendar()
    return f"{year}-W{number:02}"


def input_digest(root: Path, *, week: str) -> str:
    """sha256 of the names and contents of all that an image is made from."""
    code = Path(__file__).resolve().parents[1]
    total = hashlib.sha256(week.encode())
    for top in [*(root / i for i in INPUTS), *(code / i for i in INPUT_CODE)]:
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(root)}\0{path.stat().st_mode:o}\0{path.stat().st_size}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()
