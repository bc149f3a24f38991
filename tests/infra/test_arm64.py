"""Images for arm64, on a machine of another kind: baked, run as a container and booted, all by emulation."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.infra.appliance import IMAGES, ROOT, Appliance, free_ports
from tests.infra.docker import Docker, container

from trainshed_provision.architecture import ARM64

# Not a part of the gate: half an hour on two cores, nearly all of it QEMU's.
pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(not os.environ.get("TRAINSHED_ARM64"), reason="asked for by `make test-arm64`"),
]

BAKE_SECONDS = 5400
START_SECONDS = 180
BOOT_SECONDS = 900


def shed(*words: str) -> str:
    """Run `shed`; its standard output."""
    argv = [sys.executable, "-m", "trainshed_provision", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=BAKE_SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def baked(target: str) -> dict[str, Any]:
    """The manifest, with a target of this checkout in it."""
    return dict(json.loads(shed("bake", target, "--architecture", "arm64", "--json")))


@pytest.fixture(scope="module")
def image(docker: Docker) -> Iterator[str]:
    """The container image, loaded by its id: its name is that of the one for this machine."""
    manifest = baked("docker")
    said = docker("load", "--input", IMAGES / str(manifest["files"]["oci.tar"]["file"]))
    found = str(docker.inspect(said.removeprefix("Loaded image: ").strip())["Id"])
    yield found
    docker("rmi", "--force", found)


def test_the_container_serves(docker: Docker, image: str) -> None:
    assert docker.inspect(image)["Architecture"] == "arm64"
    options = ("--platform=linux/arm64", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", f"--env=QEMU_CPU={ARM64.cpu}")
    with container(docker, image, *options) as running:
        running.answers(seconds=START_SECONDS)
        assert running.inside("uname", "-m").strip() == "aarch64"
        assert "api_server" in running.inside("trainshed", "credentials", "create", "--host", "localhost")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """A healthy machine of its kind."""
    disk = IMAGES / str(baked("all")["files"]["qcow2"]["file"])
    made = Appliance(name="arm64", state=tmp_path_factory.mktemp("state"), ports=free_ports())
    try:
        made.launch(f"--image={disk}", "--data-size=1", f"--timeout={BOOT_SECONDS}")
        yield made
    finally:
        made.shed("destroy", "--yes", "--data")


def test_every_format_holds_the_same_root(machine: Appliance) -> None:
    files = json.loads((IMAGES / "latest.arm64.json").read_text())["files"]
    shown = json.loads(shed("prove", "--json", *(str(IMAGES / file["file"]) for file in files.values())))["images"]
    assert len(shown) == len(files)
    assert all(row["same"] for row in shown)


def test_the_machine_keeps_the_rules(machine: Appliance) -> None:
    results = json.loads(machine.shed("check", "--json", ok=(0, 9)))
    assert [result for result in results if not result["ok"]] == []
    assert machine.inside("uname -m").strip() == "aarch64"
    assert machine.inside("ls -d /sys/firmware/efi").strip() == "/sys/firmware/efi"


def test_the_token_is_on_the_console(machine: Appliance) -> None:
    said = (machine.state / "vm" / machine.name / "serial.log").read_text(errors="replace")
    assert "this token, once, makes its administrator" in said
