"""What a build is given: the wheels of this checkout, the programs of this installation, and for QEMU a way in."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from trainshed_provision import ssh
from trainshed_provision.bake import context, wheelhouse
from trainshed_provision.bake.workdir import workdir

TARGETS = {"aws": "images/aws", "gcp": "images/gcp", "docker": "images/packer/docker", "qemu": "images/packer/qemu"}
LOGIN = "packer"  # of QEMU's builder, for the time of the build

USER_DATA = """\
#cloud-config
users:
  - name: {login}
    lock_passwd: true
    shell: /bin/bash
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys:
      - {key}
"""


def folder(checkout: Path, target: str) -> Path:
    """Where a target's builds are kept."""
    return checkout / "build" / "packer" / target


def variables(checkout: Path, target: str) -> dict[str, Any]:
    """Those that every build of this target is given, and an inspection shows."""
    commit, epoch = context.commit(checkout)
    version = context.server_version(checkout)
    here, programs = folder(checkout, target), Path(sys.executable).parent
    given: dict[str, Any] = {
        "ansible_playbook": str(programs / "ansible-playbook"),
        "shed": str(programs / "shed"),
        "trainshed_version": version,
        "wheelhouse": str(here.parent / "wheelhouse.tar"),
        "release": json.dumps({"version": version, "commit": commit, "commit_time": epoch}),
        "manifest": str(here / "manifest.json"),
    }
    if target == "qemu":
        given |= {
            "seed": str(here / "seed"),
            "ssh_username": LOGIN,
            "ssh_private_key_file": str(here / "key"),
            "output": str(_unfinished(here)),
        }
    return given


def write(checkout: Path, target: str) -> Path:
    """The file of these variables, and what they name but the wheels: enough to validate."""
    here = folder(checkout, target)
    here.mkdir(parents=True, exist_ok=True)
    if target == "qemu":
        _way_in(here)
    path = here / "variables.json"
    path.write_text(json.dumps(variables(checkout, target), indent=2) + "\n")
    return path


def wheels(checkout: Path) -> Path:
    """The tar of wheels of this checkout, as the bake makes it."""
    build = checkout / "build"
    commit, epoch = context.commit(checkout)
    with workdir(build) as work:
        run = context.Bake(
            checkout=checkout,
            work=work,
            version=context.server_version(checkout),
            commit=commit,
            epoch=epoch,
            inputs="",
        )
        made = wheelhouse.make(run)
        target = build / "packer" / "wheelhouse.tar"
        target.parent.mkdir(parents=True, exist_ok=True)
        return made.replace(target)


def clear(checkout: Path, target: str) -> None:
    """Remove what a killed build left."""
    here = folder(checkout, target)
    (here / "manifest.json").unlink(missing_ok=True)
    for left in here.glob("image.*"):
        if not Path("/proc", left.suffix[1:]).exists() or left == _unfinished(here):
            shutil.rmtree(left, ignore_errors=True)


def finish(checkout: Path, target: str, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put QEMU's disk in the place of the former one; what was made, as it is named then."""
    here = folder(checkout, target)
    new, old = here / "image", _unfinished(here)
    if not old.is_dir():
        return made
    shutil.rmtree(new, ignore_errors=True)
    old.rename(new)
    manifest = here / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(old), str(new)))
    return [{**one, "id": new.name, "files": [f.replace(str(old), str(new)) for f in one["files"]]} for one in made]


def _unfinished(here: Path) -> Path:
    """Packer writes to no folder that is there, and takes one away when a build fails."""
    return here / f"image.{os.getpid()}"


def _way_in(here: Path) -> None:
    seed, key = here / "seed", here / "key"
    seed.mkdir(exist_ok=True)
    if not key.exists():
        ssh.make_key(key, comment="shed packer")
    public = key.with_name("key.pub").read_text().strip()
    (seed / "user-data").write_text(USER_DATA.format(login=LOGIN, key=public))
    (seed / "meta-data").write_text("instance-id: trainshed-packer\nlocal-hostname: builder\n")
