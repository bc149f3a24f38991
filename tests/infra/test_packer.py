"""Images on somebody's own base, made by Packer: a container image built and run, an AMI against a stand-in for AWS."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import pytest
from tests.infra.appliance import ROOT
from tests.infra.docker import Docker, container

from trainshed.testing.live import free_ports
from trainshed_provision.packer import prepare, program
from trainshed_provision.testing.aws import ACCOUNT, StandIn, environment, stand_in

pytestmark = pytest.mark.image

BUILD_SECONDS = 900
PLAIN = "debian:own-base"  # what stands for somebody's base: a Debian 13 without anything of ours
REGION = "eu-central-1"


def shed(*words: str, code: int = 0, environment: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Run `shed packer ... --json`; its answer."""
    done = subprocess.run(
        [sys.executable, "-m", "trainshed_provision", "packer", *words, "--json"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    print(done.stderr)
    log = prepare.folder(ROOT, words[0]) / "build.log"
    said = log.read_text()[-6000:] if done.returncode and log.exists() else ""
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}\n{said}"
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


@pytest.fixture(scope="module")
def plain(docker: Docker, baked: None) -> str:
    (base,) = (ROOT / "build" / "cache").glob("base-amd64-*.tar")
    docker("import", base, PLAIN)
    return PLAIN


@pytest.fixture(scope="module")
def built(docker: Docker, plain: str) -> str:
    """A container image on that base."""
    words = (f"--var=base_image={plain}", "--var=pull=false", "--var=refresh=false")
    made = shed("docker", "build", *words, environment=docker.environment)
    assert [artifact["build"] for artifact in made["artifacts"]], made
    return "trainshed:own-base"


def test_a_container_image_on_a_base_of_ones_own(docker: Docker, built: str) -> None:
    said, wanted = docker.inspect(built)["Config"], json.loads((ROOT / "images/docker/image.json").read_text())
    for name in ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes"):
        assert said[name] == wanted[name], name
    assert said["Healthcheck"]["Test"] == wanted["Healthcheck"]["Test"]
    with container(docker, built, "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL") as running:
        running.answers()
        left = "ls -d /etc/ssh/ssh_host_* /var/lib/apt/lists/* /var/tmp/* 2>/dev/null; true"
        assert running.inside("sh", "-c", left) == ""
        release = json.loads(running.inside("cat", "/etc/trainshed-release"))
        assert release["version"] == wanted_version()


def wanted_version() -> str:
    return str(prepare.variables(ROOT, "docker")["trainshed_version"])


def test_a_rule_that_does_not_hold_is_named(docker: Docker, built: str) -> None:
    """By the program that the playbook asks; it ends a build."""
    text = (ROOT / "images/packer/docker/trainshed.pkr.hcl").read_text()
    waived = re.findall(r'"([A-Z][0-9]+)"', text.partition("not_of_a_container = ")[2].partition("\n")[0])
    begin = "cp /bin/true /usr/bin/odd; chmod u+s /usr/bin/odd; sleep infinity"
    name = docker("run", "--detach", "--user=root", "--entrypoint=sh", built, "-c", begin).strip()
    try:
        asked = [sys.executable, "-m", "trainshed_provision", "packer", "rules", f"--container={name}"]
        done = subprocess.run(
            [*asked, f"--waive={','.join(waived)}"],
            env={**os.environ, **docker.environment},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        docker("rm", "--force", name)
    assert done.returncode == 9, done.stdout + done.stderr
    assert "image rules do not hold: H05" in done.stderr
    assert "/usr/bin/odd" in done.stdout


def test_an_ami_on_a_base_of_ones_own(
    docker: Docker, plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that differs from the other targets: the base is found, a builder launched and reached by ssh with a key of its own, an
    encrypted image made, described and closed, and everything else removed. The roles are not applied a third time."""
    install()
    with stand_in() as aws:
        for name, value in environment(aws.url, home=tmp_path).items():
            monkeypatch.setenv(name, value)
        ec2 = boto3.client("ec2", region_name=REGION)
        base = _base(ec2)
        with _builder(docker, plain, aws) as port:
            told = tmp_path / "told"
            words = {
                "region": REGION,
                "source_owners": json.dumps([ACCOUNT]),
                "endpoint": aws.url,
                "ssh_host": "127.0.0.1",
                "ssh_port": str(port),
                "ansible_playbook": str(_recorder(tmp_path / "ansible-playbook", told)),
                "tags": '{team="a, b"}',
            }
            made = shed("aws", "build", *(f"--var={name}={value}" for name, value in words.items()))
        (artifact,) = made["artifacts"]
        (image,) = [found for found in ec2.describe_images(Owners=["self"])["Images"] if found["ImageId"] != base]
        assert artifact["id"] == f"{REGION}:{image['ImageId']}"
        assert image["Name"].startswith(f"trainshed-{wanted_version()}-amd64-")
        assert {"Key": "team", "Value": "a, b"} in image["Tags"]
        assert image["ImdsSupport"] == "v2.0"
        assert all(disk["Ebs"]["Encrypted"] for disk in image["BlockDeviceMappings"])
        assert image["DeprecationTime"]
        assert ec2.describe_key_pairs()["KeyPairs"] == []
        assert {group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]} == {"default"}
        (machine,) = [one for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]]
        assert machine["State"]["Name"] == "terminated"
        said = told.read_text()
        assert f"ansible_host=127.0.0.1 ansible_user=admin ansible_port={port}" in said
        assert "trainshed_run" in said


def _base(ec2: Any) -> str:
    """An image that the template's own filter finds."""
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=4)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeType": "gp3"}}
    registered = ec2.register_image(
        Name="debian-13-amd64-20261101",
        Architecture="x86_64",
        VirtualizationType="hvm",
        RootDeviceName="/dev/xvda",
        EnaSupport=True,
        BootMode="uefi-preferred",
        BlockDeviceMappings=[disk],
    )
    return str(registered["ImageId"])


@contextmanager
def _builder(docker: Docker, image: str, aws: StandIn) -> Iterator[int]:
    """An sshd with Debian's login; it lets in whom the key pair of the build lets in, as cloud-init would. Yields its port."""
    (port,) = free_ports(1)
    begin = "mkdir -p /run/sshd && ssh-keygen -A && useradd -m -s /bin/bash admin && exec /usr/sbin/sshd -D -e"
    made = docker("run", "--detach", f"--publish=127.0.0.1:{port}:22", image, "sh", "-c", begin).strip()
    ended = threading.Event()

    def let_in() -> None:
        backend = aws.ec2(REGION)
        while not backend.key_pairs:
            if ended.wait(0.1):
                return
        (pair,) = backend.key_pairs.values()
        public = pair.material_public
        line = public.decode() if isinstance(public, bytes) else public
        folder = "/home/admin/.ssh"
        write = (
            f"install -d -m 700 -o admin {folder} && echo '{line}' >{folder}/authorized_keys && chown admin {folder}/*"
        )
        docker("exec", made, "sh", "-c", write)

    thread = threading.Thread(target=let_in)
    thread.start()
    try:
        yield port
    finally:
        ended.set()
        thread.join()
        docker("rm", "--force", made)


def _recorder(path: Path, told: Path) -> Path:
    """In the place of ansible-playbook: notes what it is told, the inventory too."""
    path.write_text(
        f"""#!/bin/sh
[ "$1" = --version ] && exec echo 'ansible-playbook [core 2.19.0]'
printf '%s\\n' "$@" >{told}
while [ $# -gt 1 ]; do
    [ "$1" = -i ] && cat "$2" >>{told}
    shift
done
"""
    )
    path.chmod(0o755)
    return path


def install() -> None:
    """The Packer of images/packer/install; minutes at first."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: only the Packer of the distribution is tried")
    subprocess.run([ROOT / "images" / "packer" / "install"], check=True)


@pytest.mark.parametrize("target", prepare.TARGETS)
def test_the_newest_packer_takes_the_template(target: str) -> None:
    install()
    assert program.check_age(program.find(ROOT), target) >= (1, 9)
    _taken(target)


@pytest.mark.parametrize("target", ["docker", "qemu"])
def test_debians_packer_takes_the_templates_without_a_cloud(target: str) -> None:
    if shutil.which("packer") is None:
        pytest.skip("packer is not installed; `./bootstrap test` installs it")
    _taken(target, "--packer=packer")


def _taken(target: str, *words: str) -> None:
    base = [f"--var=base_disk={ROOT / 'README.md'}"] if target == "qemu" else []
    assert shed(target, "validate", *words, *base)["valid"]
    assert shed(target, "inspect", *words)["builds"]
