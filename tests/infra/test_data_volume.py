"""trainshed-data with files for disks: which one it takes, which it leaves alone, and what it says."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/trainshed/files/trainshed-data"
SIZE = 300 << 20  # sparse; above the least size of a data disk

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("mke2fs", "wipefs", "blkid")),
    reason="needs e2fsprogs, util-linux",
)


class Machine:
    """A machine whose disks are sparse files, with stand-ins for the programs that would list real ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.disks: list[Path] = []
        self.stand_in("udevadm", "exit 0")
        self.stand_in("findmnt", "echo /dev/root-partition")

    def stand_in(self, name: str, body: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    def disk(self, name: str, *, size: int = SIZE) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            file.truncate(size)
        self.disks.append(path)
        return path

    def ext4(self, name: str, *, label: str) -> Path:
        path = self.disk(name)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, path], check=True)
        return path

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        rows = "\n".join(f"{path} disk 0 0 {path.stat().st_size}" for path in self.disks)
        self.stand_in("lsblk", f"case $* in *-nrspo*) echo /dev/boot disk;; *) cat <<'X'\n{rows}\nX\n;; esac")
        environment = {
            **os.environ,
            "PATH": f"{self.programs}:/usr/sbin:/sbin:{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }
        return subprocess.run(
            ["sh", PROGRAM, *words], env=environment, capture_output=True, text=True, cwd=self.folder, check=False
        )

    @property
    def problem(self) -> str:
        path = self.folder / "run" / "problem"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def label(disk: Path) -> str:
    done = subprocess.run(
        ["/usr/sbin/blkid", "-p", "-s", "LABEL", "-o", "value", disk], capture_output=True, check=False
    )
    return done.stdout.decode().strip()


def contents(disk: Path) -> bytes:
    with disk.open("rb") as file:
        return file.read(4 << 20)


def test_a_blank_disk_is_formatted_once(machine: Machine) -> None:
    disk = machine.disk("vdb")
    assert machine.run("prepare").returncode == 0
    assert label(disk) == "trainshed-data"
    before = contents(disk)
    again = machine.run("prepare")
    assert (again.returncode, again.stdout) == (0, "")
    assert contents(disk) == before


def test_a_machine_too_busy_to_settle_has_its_disk_all_the_same(machine: Machine) -> None:
    disk = machine.disk("vdb")
    machine.stand_in("udevadm", "exit 1")
    assert machine.run("prepare").returncode == 0
    assert label(disk) == "trainshed-data"


def gpt(disk: Path) -> None:
    subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=b"label: gpt\n", check=True)


def swap(disk: Path) -> None:
    subprocess.run(["/usr/sbin/mkswap", "-q", disk], check=True, stderr=subprocess.DEVNULL)


def bytes_at(offset: int) -> Callable[[Path], None]:
    def write(disk: Path) -> None:
        with disk.open("r+b") as file:
            file.seek(offset)
            file.write(b"data without a known signature")

    return write


FOREIGN = {
    "a partition table": gpt,
    "swap": swap,
    "unknown data at its start": bytes_at(5000),
    "unknown data at its end": bytes_at(SIZE - 5000),
    "another ext4": lambda disk: subprocess.run(["mke2fs", "-q", "-F", "-L", "photos", disk], check=True),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_disk_that_holds_anything_is_never_touched(machine: Machine, make: Callable[[Path], object]) -> None:
    disk = machine.disk("vdb")
    make(disk)
    before = contents(disk)
    done = machine.run("prepare")
    assert done.returncode == 1
    assert contents(disk) == before
    assert "were not touched" in done.stderr
    assert str(disk) in machine.problem


def test_a_blank_disk_is_taken_beside_a_foreign_one(machine: Machine) -> None:
    machine.ext4("vdb", label="photos")
    blank = machine.disk("vdc")
    assert machine.run("choose", *machine.disks).stdout == f"format {blank}\n"


def test_our_disk_is_taken_beside_a_blank_one(machine: Machine) -> None:
    ours = machine.ext4("vdb", label="trainshed-data")
    machine.disk("vdc")
    assert machine.run("choose", *machine.disks).stdout == f"mount {ours}\n"


@pytest.mark.parametrize("count", [2, 3])
def test_more_than_one_blank_disk_is_refused(machine: Machine, count: int) -> None:
    for number in range(count):
        machine.disk(f"vd{number}")
    done = machine.run("prepare")
    assert done.returncode == 1
    assert "more than one blank disk" in machine.problem
    assert [label(disk) for disk in machine.disks] == [""] * count


def test_two_disks_with_our_label_are_refused(machine: Machine) -> None:
    for name in ("vdb", "vdc"):
        machine.ext4(name, label="trainshed-data")
    assert machine.run("prepare").returncode == 1
    assert "more than one disk has the label" in machine.problem


def test_no_disk_is_said_with_what_to_do(machine: Machine) -> None:
    assert machine.run("prepare").returncode == 1
    assert machine.problem.startswith("Trainshed is not running: no data volume is attached.\nAttach a blank disk")
    assert "sudo systemctl start trainshed" in machine.problem


def test_a_small_disk_is_not_a_candidate(machine: Machine) -> None:
    machine.disk("seed", size=1 << 20)
    assert machine.run("prepare").returncode == 1


def test_the_problem_goes_when_it_is_solved(machine: Machine) -> None:
    machine.run("prepare")
    assert machine.problem
    machine.disk("vdb")
    assert machine.run("prepare").returncode == 0
    assert not machine.problem


@pytest.mark.parametrize("tool", ["wipefs", "dd"])
def test_a_tool_that_fails_never_leads_to_a_format(machine: Machine, tool: str) -> None:
    machine.stand_in(tool, "exit 1")
    disk = machine.disk("vdb")
    assert machine.run("prepare").returncode == 1
    assert label(disk) == ""


def test_growing_asks_for_the_mounted_file_system_alone(machine: Machine) -> None:
    machine.stand_in("findmnt", 'test "$*" = "-nro SOURCE /var/lib/trainshed" && echo /dev/vdb')
    machine.stand_in("resize2fs", 'echo "resize2fs $*"')
    assert machine.run("grow").stdout == "resize2fs /dev/vdb\n"


def test_an_unknown_command_is_a_usage_error(machine: Machine) -> None:
    done = machine.run("frobnicate")
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
