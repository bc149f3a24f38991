"""The base root file system: a minimal Debian with the packages of all targets, nothing of ours in it yet."""

import hashlib
import shutil
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.architecture import Architecture
from trainshed_provision.bake import packages
from trainshed_provision.bake.context import SUITE, Bake
from trainshed_provision.bake.packages import Package

# No translations, manuals or documents: nobody reads them here, and they are a third of the size.
APT_OPTIONS = ['Acquire::Languages "none"', 'APT::Install-Recommends "false"']
DPKG_OPTIONS = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
]


def mmdebstrap_argv(
    include: list[str], *, architecture: Architecture, repository: Path, target: Path
) -> list[str | Path]:
    """The command that makes the base root out of a repository of packages.

    It runs in a mount namespace of its own, so that a killed bake leaves no mount behind.
    """
    return [
        *("unshare", "--mount", "--propagation", "private"),
        *("mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar", f"--architectures={architecture.name}"),
        "--skip=check/qemu",  # asked before, without a program of its own: foreign.need
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f"--include={','.join(include)}",
        # Trusted: each file was compared with the hash in the lock.
        *(SUITE, target, f"deb [trusted=yes] copy:{repository} ./"),
    ]


def base(bake: Bake, locked: list[Package]) -> Path:
    """The tar of the base root, from the cache when it was made of the same packages before."""
    include = packages.asked(bake.checkout, "common", architecture=bake.architecture)
    told = "\n".join([packages.render(locked), *include, *APT_OPTIONS, *DPKG_OPTIONS])
    cached = bake.cache / f"base-{bake.architecture.name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.tar"
    if not cached.exists():
        partial = bake.work / "base.tar"
        repository = packages.repository(locked, bake.kept, bake.work / "packages", bake.architecture)
        argv = mmdebstrap_argv(include, architecture=bake.architecture, repository=repository, target=partial)
        process.run(argv, env=bake.environment, log_to=bake.log)
        shutil.rmtree(repository)
        for old in bake.cache.glob(f"base-{bake.architecture.name}-*.tar"):
            old.unlink()
        partial.rename(cached)
    return cached


def unpack(bake: Bake, archive: Path) -> None:
    """Make the tree from a tar: the base, or the finished root."""
    bake.tree.mkdir()
    argv = ["tar", "--extract", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
    process.run([*argv, "--file", archive, "--directory", bake.tree])


def pack(bake: Bake, archive: Path) -> None:
    """Write the tree as a tar whose bytes depend on the tree alone."""
    process.run(
        [
            *("tar", "--create", "--format=posix", "--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*"),
            # Without these, times of this machine and the number of tar's process.
            "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
            *("--file", archive, "--directory", bake.tree),
            *sorted(path.name for path in bake.tree.iterdir()),
        ],
        env=bake.environment,
    )
