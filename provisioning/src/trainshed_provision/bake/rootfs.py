"""The base root file system: a minimal Debian with the image's packages, nothing of ours in it yet."""

import hashlib
import json
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.bake.context import SUITE, Bake, week

# No translations, manuals or documents: nobody reads them here, and they are a third of the size.
APT_OPTIONS = ['Acquire::Languages "none"', 'APT::Install-Recommends "false"']
DPKG_OPTIONS = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
]


def packages(checkout: Path, *targets: str) -> list[str]:
    """The packages in images/<target>/packages.txt of each target, sorted."""
    files = [checkout / "images" / target / "packages.txt" for target in targets]
    lines = [line.strip() for file in files for line in file.read_text().splitlines()]
    return sorted({line for line in lines if line and not line.startswith("#")})


def mmdebstrap_argv(include: list[str], *, archives: Path, target: Path) -> list[str | Path]:
    """The command that makes the base root. archives: where downloaded packages are kept between bakes.

    It runs in a mount namespace of its own, so that a killed bake leaves no mount behind.
    """
    return [
        *("unshare", "--mount", "--propagation", "private"),
        *("mmdebstrap", "--variant=minbase", "--mode=root", "--components=main", "--format=tar"),
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        *("--skip=download/empty", "--skip=essential/unlink"),
        '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
        f"--setup-hook=sync-in {archives} /var/cache/apt/archives",
        f"--customize-hook=sync-out /var/cache/apt/archives {archives}",
        f"--include={','.join(include)}",
        *(SUITE, target),
    ]


def base(bake: Bake, *targets: str) -> Path:
    """The tar of the base root, from the cache when this week's with the same packages is there."""
    include = packages(bake.checkout, *targets)
    key = hashlib.sha256(json.dumps([week(), SUITE, include, APT_OPTIONS, DPKG_OPTIONS]).encode()).hexdigest()[:16]
    cached = bake.cache / f"base-{key}.tar"
    if not cached.exists():
        archives, partial = bake.cache / "apt", bake.work / "base.tar"
        archives.mkdir(parents=True, exist_ok=True)
        process.run(mmdebstrap_argv(include, archives=archives, target=partial), env=bake.environment, log_to=bake.log)
        for old in bake.cache.glob("base-*.tar"):
            old.unlink()
        partial.rename(cached)
    return cached


def unpack(bake: Bake, archive: Path) -> None:
    """Make the tree from the base."""
    bake.tree.mkdir()
    argv = ["tar", "--extract", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
    process.run([*argv, "--file", archive, "--directory", bake.tree])
