"""The Debian packages of an image: a lock of exact versions and hashes, and the packages themselves, kept between bakes.

The lock is resolved and its packages are fetched by the host's apt, with folders of its own, from the mirrors that the image
has too: those of the suite that mmdebstrap knows. What is made from them later sees one repository with the locked packages
and nothing else, so a bake whose packages are all kept needs no network and no mirror can change it.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, Architecture
from trainshed_provision.bake.context import SUITE, Bake
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.errors import Exit, ShedError

REFRESH = "shed bake --update-lock"
# What mmdebstrap installs before anything it is asked for.
MINIMAL = ("?essential", "?priority(required)", "apt")
TARGETS = ("common", "vm")  # folders of images/ that name packages

HEAD = f"# Debian packages of an image, exact versions and hashes. Written by `{REFRESH}`.\n"


@dataclass(frozen=True, kw_only=True, order=True)
class Package:
    """One line of a lock: one .deb."""

    name: str
    version: str
    architecture: str
    sha256: str

    @property
    def file(self) -> str:
        """Its name in apt's archives."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    def line(self) -> str:
        """As it stands in a lock."""
        return f"{self.name} {self.version} {self.architecture} {self.sha256}\n"


class Gone(ShedError):
    """The mirrors do not have what the lock names."""


def lock_of(architecture: Architecture) -> Path:
    """Its lock, in the checkout."""
    return Path("images") / f"packages.{architecture.name}.lock"


def refresh(architecture: Architecture) -> str:
    """The command that writes its lock."""
    return REFRESH if architecture == AMD64 else f"{REFRESH} --architecture {architecture.name}"


def asked(checkout: Path, *targets: str, architecture: Architecture) -> list[str]:
    """The packages in images/<target>/packages.txt and packages.<architecture>.txt of each target, sorted."""
    names = ("packages.txt", f"packages.{architecture.name}.txt")
    files = [checkout / "images" / target / name for target in targets for name in names]
    lines = [line.strip() for file in files if file.is_file() for line in file.read_text().splitlines()]
    return sorted({line for line in lines if line and not line.startswith("#")})


def render(packages: Iterable[Package]) -> str:
    """The text of a lock."""
    return HEAD + "".join(package.line() for package in sorted(packages))


def parse(text: str, *, file: Path | str = "the lock") -> list[Package]:
    """The packages of a lock. CORRUPT when a line is none."""
    packages = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        match = re.fullmatch(r"([a-z0-9][a-z0-9.+-]+) ([A-Za-z0-9.+:~-]+) ([a-z0-9-]+) ([0-9a-f]{64})", line)
        if not match:
            raise ShedError(f"{file} line {number} is no package: {line!r}", hint=f"run: {REFRESH}", code=Exit.CORRUPT)
        packages.append(Package(name=match[1], version=match[2], architecture=match[3], sha256=match[4]))
    return packages


def locked(checkout: Path, architecture: Architecture) -> list[Package]:
    """The committed lock. Gone when it was made before images/*/packages.txt named what they name now."""
    lock = lock_of(architecture)
    packages = parse(committed(checkout, architecture), file=lock)
    if missing := set(asked(checkout, *TARGETS, architecture=architecture)) - {package.name for package in packages}:
        raise Gone(
            f"{lock} does not name {', '.join(sorted(missing))}, which images/*/packages.txt ask for",
            hint=f"run: {refresh(architecture)}",
            code=Exit.CORRUPT,
        )
    return packages


class Apt:
    """The host's apt with folders of its own below `home`; its lists are fetched when they are first needed."""

    def __init__(self, home: Path, architecture: Architecture) -> None:
        self._home = home
        self._refresh = refresh(architecture)
        self._updated = False
        self._options = {
            "Dir": home,
            "Dir::State::status": home / "status",
            "Dir::Etc::SourceList": home / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::TrustedParts": "/usr/share/keyrings",  # with those of debian-archive-keyring, on Ubuntu too
            "Dir::Etc::PreferencesParts": "/dev/null",
            "APT::Architecture": architecture.name,
            "APT::Architectures": architecture.name,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
        }

    def resolve(self, names: Iterable[str]) -> list[Package]:
        """A minimal system with `names`, by the mirrors' newest versions."""
        uris = self._run("apt-get", "install", "--yes", "--print-uris", *MINIMAL, *names)
        found = re.findall(r"^'\S+' (\S+)_(\S+)_(\S+)\.deb \d+ SHA256:([0-9a-f]{64})$", uris, flags=re.MULTILINE)
        return sorted(
            Package(name=name, version=unquote(version), architecture=architecture, sha256=sha256)
            for name, version, architecture, sha256 in found
        )

    def fetch(self, packages: list[Package], into: Path) -> None:
        """Download exactly these into a folder. Gone when the mirrors have moved on."""
        offered = re.findall(
            r"^ *(\S+) \| *(\S+) \|", self._run("apt-cache", "madison", *(p.name for p in packages)), re.M
        )
        if gone := [f"{p.name} {p.version}" for p in packages if (p.name, p.version) not in offered]:
            more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
            raise Gone(
                f"the mirrors no longer have {', '.join(gone[:3])}{more}",
                hint=f"run: {self._refresh}",
                code=Exit.NOT_FOUND,
            )
        into.mkdir(parents=True, exist_ok=True)
        self._run("apt-get", "download", *(f"{p.name}={p.version}" for p in packages), cwd=into)

    def _run(self, program: str, *words: str, cwd: Path | None = None) -> str:
        if not self._updated:
            self._updated = True
            for folder in (
                "etc/apt/apt.conf.d",
                "lists/partial",
                "var/lib/apt/lists/partial",
                "var/cache/apt/archives/partial",
            ):
                (self._home / folder).mkdir(parents=True, exist_ok=True)
            (self._home / "status").touch()
            mirrors(self._home)
            self._run("apt-get", "update", "--error-on=any")
        options = [word for name, value in self._options.items() for word in ("-o", f"{name}={value}")]
        return process.run([program, *options, *words], cwd=cwd).decode()


def mirrors(folder: Path) -> str:
    """apt's sources.list for the suite and its security updates, in a folder: what mmdebstrap takes when it is told of none."""
    there = folder / "sources.list"
    if not there.exists():  # the root is cleaned, and with its layer again
        argv = [
            *("unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet", "--variant=custom"),
            *("--format=null", "--skip=update,download,install,cleanup"),
            *(f"--setup-hook=copy-out /etc/apt/sources.list {folder}", SUITE, "/dev/null"),
        ]
        process.run(argv)
    return there.read_text()


def update_lock(checkout: Path, home: Path, architecture: Architecture) -> list[Package]:
    """Resolve afresh and write the lock of the checkout."""
    packages = Apt(home, architecture).resolve(asked(checkout, *TARGETS, architecture=architecture))
    (checkout / lock_of(architecture)).write_text(render(packages))
    return packages


def committed(checkout: Path, architecture: Architecture) -> str:
    """The text of the lock in the checkout; empty when there is none."""
    path = checkout / lock_of(architecture)
    return path.read_text() if path.is_file() else ""


def keep(bake: Bake, packages: list[Package]) -> None:
    """Have each of these in the kept set. Gone when one is not, and the mirrors do not have it any more."""
    _complete(bake, packages, Apt(bake.work / "apt", bake.architecture))


def provide(bake: Bake, *, tell: Callable[[str], None]) -> list[Package]:
    """What to bake from, each package in the kept set: the committed lock's.

    When the mirrors have moved on and do not have one of those any more, a strict bake raises Gone; else all are resolved afresh,
    which is told, and the same ones are taken as long as the committed lock stays as it is.
    """
    apt = Apt(bake.work / "apt", bake.architecture)
    text = committed(bake.checkout, bake.architecture)
    wanted = asked(bake.checkout, *TARGETS, architecture=bake.architecture)
    key = hashlib.sha256("\n".join([text, *wanted]).encode()).hexdigest()[:16]
    instead = bake.cache / f"packages-{key}.lock"
    try:
        packages = locked(bake.checkout, bake.architecture)
        if bake.strict or not instead.is_file() or not _missing(bake.kept, packages):
            _complete(bake, packages, apt)
            return packages
        tell(
            f"WARNING: the mirrors had moved on from the lock; baking from the packages of {instead}."
            f" Run: {refresh(bake.architecture)}"
        )
    except Gone as gone:
        if bake.strict:
            raise
        tell(
            f"WARNING: {gone.message}; baking from the newest packages instead of the locked ones. To lock them, {gone.hint}"
        )
    packages = parse(instead.read_text(), file=instead) if instead.is_file() else apt.resolve(wanted)
    _complete(bake, packages, apt)
    instead.write_text(render(packages))
    return packages


def _missing(kept: Path, packages: list[Package]) -> list[Package]:
    """Those that the kept set does not have, or not whole."""
    return [p for p in packages if not (kept / p.file).is_file() or file_digest(kept / p.file) != p.sha256]


def _complete(bake: Bake, packages: list[Package], apt: Apt) -> None:
    """Have each package in the kept set, whole; fetch what is not."""
    kept = bake.kept
    kept.mkdir(parents=True, exist_ok=True)
    missing = _missing(kept, packages)
    if missing:
        apt.fetch(missing, kept)
    for package in missing:
        if (found := file_digest(kept / package.file)) != package.sha256:
            (kept / package.file).unlink()
            raise ShedError(
                f"{package.file} has sha256 {found[:16]}..., and the lock says {package.sha256[:16]}...",
                hint=f"another file under the same version: if you trust the mirror, run: {refresh(bake.architecture)}",
                code=Exit.CORRUPT,
            )


def repository(packages: Iterable[Package], kept: Path, target: Path, architecture: Architecture) -> Path:
    """Write a repository of exactly these packages: hard links and an index. Return its folder."""
    target.mkdir()
    index = []
    for package in packages:
        os.link(kept / package.file, target / package.file)
        control = process.run(["dpkg-deb", "--field", target / package.file]).decode()
        size = (target / package.file).stat().st_size
        index.append(f"{control}Filename: ./{package.file}\nSize: {size}\nSHA256: {package.sha256}\n")
    text = "\n".join(index).encode()
    (target / "Packages").write_bytes(text)
    # mmdebstrap looks for the packages that every system has in the suite of this name.
    date = "Thu, 01 Jan 1970 00:00:00 UTC"  # apt asks for one
    release = f"Suite: {SUITE}\nCodename: {SUITE}\nDate: {date}\nArchitectures: {architecture.name}\nSHA256:\n"
    (target / "Release").write_text(f"{release} {hashlib.sha256(text).hexdigest()} {len(text)} Packages\n")
    return target
