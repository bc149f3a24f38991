"""The wheels an image installs the server from: its own, built from the checkout, and the locked ones it needs."""

import hashlib
import re
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import parse_wheel_filename

from trainshed_provision import process
from trainshed_provision.architecture import Architecture
from trainshed_provision.bake.context import PYTHON, Bake
from trainshed_provision.errors import Exit, ShedError

# What the image's Python says of itself, as far as the markers in a lock ask.
TARGET = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "os_name": "posix",
    "sys_platform": "linux",
}

# pip takes a platform literally: a wheel for an older C library has to be named. The suite's is 2.41.
PLATFORMS = ("manylinux2014", *(f"manylinux_2_{n}" for n in range(17, 42)), "linux")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """One entry of the lock. needed_by: distributions that ask for it. hashes: as in `sha256:...`."""

    name: str
    version: str
    marker: str
    needed_by: frozenset[str]
    hashes: tuple[str, ...]

    def requirement(self) -> str:
        """The entry for pip, without its marker: pip would ask the Python it runs on, not the image's."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={h}" for h in self.hashes)])


def parse_lock(lock: str) -> list[Locked]:
    """The entries of a requirements.lock as `uv pip compile` writes it, with its `# via` comments."""
    entries = []
    for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        head = re.match(
            r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?: *; *([^\\\n]+?))? *\\?$", block, flags=re.MULTILINE
        )
        if not head:
            continue
        lines = block.splitlines()
        comments = " ".join(line.strip().lstrip("#") for line in lines if line.lstrip().startswith("#"))
        via = re.sub(r"\([^)]*\)|-r \S+|\bvia\b", " ", comments)
        entries.append(
            Locked(
                name=head[1],
                version=head[2],
                marker=head[3] or "",
                needed_by=frozenset(via.split()),
                hashes=tuple(re.findall(r"--hash=(\S+)", block)),
            )
        )
    return entries


def needed(lock: str, distribution: str, architecture: Architecture) -> list[Locked]:
    """What `distribution` needs on the image, directly and by way of others, in the order of the lock."""
    target = {**TARGET, "platform_machine": architecture.machine}
    entries = [e for e in parse_lock(lock) if not e.marker or Marker(e.marker).evaluate(target)]
    names = {distribution}
    while more := {e.name for e in entries if e.needed_by & names} - names:
        names |= more
    chosen = [e for e in entries if e.name in names]
    if not chosen:
        raise ShedError(
            f"requirements.lock names nothing that {distribution} needs", hint="run: make lock", code=Exit.CORRUPT
        )
    return chosen


def download_argv(requirements: Path, target: Path, architecture: Architecture) -> list[str | Path]:
    """pip's command that fetches exactly the locked wheels for the image's Python, whatever runs here."""
    tags = [*(f"{platform}_{architecture.machine}" for platform in PLATFORMS), "any"]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    return [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--only-binary=:all:"),
        *("--require-hashes", "--python-version", PYTHON, "--implementation", "cp", *platforms),
        *("--dest", target, "--requirement", requirements),
    ]


def fetch(bake: Bake, text: str) -> Path:
    """The folder of the locked wheels, from the cache when the same ones were fetched before."""
    target = bake.cache / f"wheels-{bake.architecture.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not target.is_dir():
        requirements, partial = bake.work / "needed.txt", bake.work / "wheels"
        requirements.write_text(text)
        process.run(download_argv(requirements, partial, bake.architecture), log_to=bake.log)
        bake.cache.mkdir(exist_ok=True)
        partial.rename(target)
    return target


def build_wheel(bake: Bake) -> Path:
    """The server's own wheel."""
    folder = bake.work / "server-wheel"
    process.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, bake.checkout / "server"],
        env=bake.environment,
        log_to=bake.log,
    )
    return next(folder.glob("*.whl"))


def make(bake: Bake) -> Path:
    """Write work/wheelhouse.tar: the wheels and a requirements.txt with the hash of each."""
    lock = needed((bake.checkout / "requirements.lock").read_text(), "trainshed", bake.architecture)
    text = "".join(f"{entry.requirement()}\n" for entry in lock)
    own = build_wheel(bake)
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    requirements = bake.work / "requirements.txt"
    requirements.write_text(f"{text}trainshed=={bake.version} --hash=sha256:{digest}\n")
    archive = bake.work / "wheelhouse.tar"
    with tarfile.open(archive, "w") as tar:
        for path in (requirements, own, *sorted(fetch(bake, text).glob("*.whl"))):
            tar.add(path, arcname=path.name)
    return archive


def digests(archive: Path) -> dict[str, str]:
    """sha256 of each wheel in a wheelhouse.tar, by `pypi/<name>`."""
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.endswith(".whl"):
                name = parse_wheel_filename(member.name)[0]
                found[f"pypi/{name}"] = hashlib.sha256(file.read()).hexdigest()
    return found
