"""The table of architectures, and how a bake finds out whether this machine runs their programs."""

import json
import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, ARCHITECTURES, ARM64, Architecture
from trainshed_provision.bake import foreign
from trainshed_provision.errors import Exit, ShedError

HERE = next(each for each in ARCHITECTURES.values() if each.machine == os.uname().machine)
each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)


@each_architecture
def test_the_system_knows_the_type_of_its_root(architecture: Architecture, tmp_path: Path) -> None:
    """util-linux has a table of the discoverable partitions of its own."""
    if shutil.which("sfdisk") is None:
        pytest.skip("sfdisk is not installed")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    names = {"amd64": "Linux root (x86-64)", "arm64": "Linux root (ARM-64)"}
    table = f'label: gpt\ntype="{names[architecture.name]}"\n'
    subprocess.run(["sfdisk", "--quiet", disk], input=table.encode(), check=True)
    rows = json.loads(subprocess.run(["sfdisk", "--json", disk], capture_output=True, check=True).stdout)
    assert uuid.UUID(rows["partitiontable"]["partitions"][0]["type"]) == architecture.root


def test_no_two_have_a_name_in_common() -> None:
    for field in ("name", "machine", "loader", "elf", "root", "efi", "grub", "ec2", "gce"):
        assert getattr(AMD64, field) != getattr(ARM64, field)


def test_this_machine_runs_the_program_of_its_own_processor(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_bytes(foreign.program(HERE))
    probe.chmod(0o755)
    assert subprocess.run([probe], check=False).returncode == 0


@each_architecture
def test_the_program_says_what_it_is_for(architecture: Architecture) -> None:
    (machine,) = struct.unpack_from("<H", foreign.program(architecture), 18)
    assert machine == {"amd64": 62, "arm64": 183}[architecture.name]


def test_what_does_not_run_here_is_told_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: list[str]) -> bytes:
        raise ShedError("Exec format error")

    monkeypatch.setattr(process, "run", refuse)
    with pytest.raises(ShedError, match="does not run programs for arm64") as caught:
        foreign.need(ARM64, within=tmp_path)
    assert caught.value.code == Exit.MISSING
    assert "qemu-user-static" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
