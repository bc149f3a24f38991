"""The proof: an experiment logged by the real client into a baked appliance is there, also after a reboot.

The tests are in the order of a machine's life: each needs those before it.
"""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests import experiment
from tests.infra.appliance import OWN, ROOT, Appliance, free_ports, own, wait_until

from trainshed_provision import plan
from trainshed_provision.errors import Exit
from trainshed_provision.spec import Ports, VmSpec
from trainshed_provision.targets.vm import image as images
from trainshed_provision.targets.vm import seed
from trainshed_provision.targets.vm.apply import Job, apply
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder

pytestmark = pytest.mark.image

SIZES = experiment.Sizes()
GIB = 1024**3


@pytest.fixture(scope="module")
def server(appliance: Appliance) -> dict[str, str]:
    """A client's environment with the first credentials."""
    return appliance.credentials()


@pytest.fixture(scope="module")
def task(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The experiment, logged."""
    return experiment.run_log(SIZES, server=server, folder=tmp_path_factory.mktemp("log") / "home")


def compare(task: str, server: dict[str, str], folder: Path) -> None:
    """Read all of it back and compare part by part, so that a difference is named."""
    found = experiment.run_read(task, SIZES, server=server, folder=folder)
    for part, value in experiment.expected(SIZES).items():
        assert found[part] == value, part


def test_what_was_logged_is_there(task: str, server: dict[str, str], folder: Path) -> None:
    compare(task, server, folder)


def test_the_image_rules_hold(appliance: Appliance) -> None:
    results = json.loads(appliance.shed("check", "--json"))
    assert len(results) > 10
    assert [result for result in results if not result["ok"]] == []


def test_launching_again_changes_nothing(appliance: Appliance) -> None:
    before = appliance.status()
    assert appliance.launch()["steps"] == []
    assert appliance.status()["uptime"] >= before["uptime"]


def test_the_data_grow_while_the_machine_runs(appliance: Appliance) -> None:
    assert appliance.launch("--data-size=2")["steps"] == ["grow data", "record"]
    size = "df --block-size=1 --output=size /var/lib/trainshed | tail -1"
    wait_until(lambda: int(appliance.inside(size)) > 1.8 * GIB, seconds=60)
    assert appliance.healthy()


def test_after_a_reboot_it_is_still_there(
    appliance: Appliance, task: str, server: dict[str, str], folder: Path
) -> None:
    keys = own(appliance.inside(f"sudo sh -c '{OWN}'"))
    appliance.reboot()
    compare(task, server, folder)
    assert own(appliance.inside(f"sudo sh -c '{OWN}'")) == keys


def test_on_a_new_system_disk_by_uefi_data_and_configuration_are_still_there(
    appliance: Appliance, task: str, server: dict[str, str], folder: Path
) -> None:
    conf = "/opt/clearml/config/trainshed.conf"
    appliance.inside(f"echo 'keep.trash: 77' | sudo tee {conf}")
    before = own(appliance.inside(f"sudo sh -c '{OWN}'"))
    appliance.shed("stop")
    assert appliance.status()["state"] == "stopped"
    state = Folder(appliance.state, appliance.name)
    for system in state.path.glob("system-*"):  # as when another image takes its place
        system.unlink()
    assert "make system" in appliance.launch("--uefi")["steps"]
    assert "EFI" in appliance.inside("ls /sys/firmware/efi >/dev/null && echo EFI")
    compare(task, server, folder)
    assert "trainshed.keep.trash = 77" in appliance.inside("sudo trainshed config show")
    assert appliance.inside(f"sudo findmnt -no LABEL -T $(sudo readlink -f {conf})").strip() == "trainshed-data"
    after = own(appliance.inside(f"sudo sh -c '{OWN}'"))
    assert after["token"] == before["token"]  # of the data
    assert after["ssh_host_ed25519_key"] != before["ssh_host_ed25519_key"]  # of the system


def test_launch_refuses_a_foreign_data_disk(baked: None, tmp_path: Path) -> None:
    machine = Appliance(name="foreign", state=tmp_path / "state", ports=free_ports())
    disk = make_foreign(tmp_path / "disk.raw")
    before = digest(disk)
    machine.shed("launch", *machine.ports, f"--data-disk={disk}", ok=(Exit.CONFLICT,))
    assert digest(disk) == before
    assert machine.status()["state"] == "absent"


# A machine is told something by its user data, in the way that clouds have for it.
USER_DATA = """\
write_files:
  - path: /etc/trainshed/trainshed.yml
    content: |
      keep-logs: 30
      colour: red
"""


def test_a_machine_with_a_foreign_data_disk_does_not_serve_and_does_not_write(
    baked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What launch refuses, started behind its back. What it was told is read all the same."""
    monkeypatch.setattr(seed, "USER_DATA", seed.USER_DATA + USER_DATA)
    machine = Appliance(name="foreign", state=tmp_path / "state", ports=free_ports())
    folder, spec = Folder(machine.state, machine.name), VmSpec(name=machine.name, ports=numbers(machine.ports))
    image = images.find(None, baked=ROOT / "build" / "images")
    job = Job(spec=spec, folder=folder, engine=Local(), image=image)
    *make, start, _wait = plan.launch(spec, plan.Observed(free_bytes=100 * GIB))
    apply(tuple(make), job, tell=lambda step: None)
    disk = make_foreign(folder.data(spec))
    before = digest(disk)
    try:
        apply((start,), job, tell=lambda step: None)
        wait_until(lambda: "holiday" in machine.inside("sudo lsblk --noheadings --output=LABEL"))
        wait_until(lambda: "not touched" in machine.inside("cat /run/trainshed-data/problem"))
        assert machine.inside("systemctl is-active trainshed").strip() in ("inactive", "failed")
        assert not machine.healthy()
        told = "cat /run/trainshed-settings/*"
        wait_until(lambda: "CLEARML__TRAINSHED__KEEP__LOGS='30'" in machine.inside(told), seconds=60)
        assert "/etc/trainshed/trainshed.yml: 'colour' is no key" in machine.inside(told)
    finally:
        machine.shed("stop")
        after = digest(disk)
        machine.shed("destroy", "--yes", "--data")
    assert after == before


def numbers(options: tuple[str, ...]) -> Ports:
    web, api, files, ssh = (int(option.split("=")[1]) for option in options)
    return Ports(web=web, api=api, files=files, ssh=ssh)


def make_foreign(disk: Path) -> Path:
    with disk.open("wb") as file:
        file.truncate(GIB)
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin")
    assert mke2fs, "e2fsprogs is installed by ./bootstrap"
    subprocess.run([mke2fs, "-q", "-F", "-t", "ext4", "-L", "holiday", str(disk)], check=True)
    return disk


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
