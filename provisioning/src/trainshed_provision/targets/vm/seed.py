"""The first-boot settings: a NoCloud seed that gives the login `admin` one public key, and nothing secret."""

import tempfile
import uuid
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.spec import VmSpec

USER_DATA = """\
#cloud-config
users:
  - name: admin
    lock_passwd: true
    shell: /bin/bash
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys:
      - {key}
"""


def write(path: Path, spec: VmSpec, *, public_key: str) -> None:
    """Write the seed as an ISO 9660 disk labelled cidata, at once or not at all."""
    process.need("xorriso")
    half = path.with_name(path.name + ".part")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "user-data").write_text(USER_DATA.format(key=public_key.strip()))
        (folder / "meta-data").write_text(f"instance-id: {instance_id(path)}\nlocal-hostname: {spec.name}\n")
        process.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-R", "-o", half, folder])
    half.rename(path)


def instance_id(path: Path) -> str:
    """Stable for one machine on one host, so that cloud-init's first-boot work is done once per system disk."""
    return f"shed-{uuid.uuid5(uuid.NAMESPACE_URL, path.absolute().as_uri())}"
