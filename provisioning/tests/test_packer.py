"""The driver over Packer: what it makes of real output, how it is interrupted, and that templates, documents and rules agree."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from trainshed_provision import cli
from trainshed_provision.assertions import RULES
from trainshed_provision.bake import context
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.packer import amis, failures, output, prepare, program, rules
from trainshed_provision.packer.output import Line
from trainshed_provision.testing.aws import StandIn, environment, stand_in

ROOT = context.checkout()
RECORDED = Path(__file__).parent / "recorded"  # of real runs, with other names for the folders
VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def recorded(name: str) -> list[Line]:
    return [line for raw in (RECORDED / name).read_text().splitlines() if (line := output.parse(raw))]


def variables(target: str) -> dict[str, str]:
    """The variables of a template, and the text of each."""
    files = sorted((ROOT / prepare.TARGETS[target]).glob("*.pkr.hcl"))
    return dict(found for file in files for found in VARIABLE.findall(file.read_text()))


# what it says


def test_the_parts_of_a_line_have_their_commas_and_line_ends_back() -> None:
    line = output.parse("1795286757,docker.x,ui,say,a%!(PACKER_COMMA) b\\nc\n")
    assert line == Line(target="docker.x", kind="ui", data=("say", "a, b\nc"))
    assert (line.said, line.is_error) == ("a, b\nc", False)


@pytest.mark.parametrize("raw", ["", "\n", "panic: oh", "a,b,c,d", "12,"])
def test_what_is_no_such_line_is_left_out(raw: str) -> None:
    assert output.parse(raw) is None


def test_the_version() -> None:
    assert output.version(recorded("packer-1.6-version.txt")) == (1, 6, 6)
    assert output.version(recorded("packer-1.9-version.txt")) == (1, 9, 4)


@pytest.mark.parametrize("name", ["packer-1.6-inspect-docker.txt", "packer-1.9-inspect-docker.txt"])
def test_an_inspection_has_every_variable_with_its_value(name: str) -> None:
    found = output.inspected(recorded(name))
    assert found["variables"].keys() == variables("docker").keys()
    assert found["variables"]["pull"] == "false"
    assert json.loads(found["variables"]["release"])["version"]
    assert found["builds"] == ["docker.trainshed"]


def test_a_build_says_what_it_made_once() -> None:
    image, tag = output.artifacts(recorded("packer-1.6-build-docker.txt"))
    assert image["build"] == tag["build"] == "docker.trainshed"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["id"])
    assert tag["id"] == "trainshed:own-base"


# what goes wrong


REAL = {
    "packer-1.6-validate-wrong.txt": "there is no variable of that name: nope",
    "packer-1.9-validate-aws.txt": "a variable has a value that cannot be meant: A region looks like eu-central-1.",
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_complaint_becomes_one_line_and_a_hint(name: str) -> None:
    ended = program.Ended(lines=tuple(recorded(name)), code=1)
    assert "Warning" not in ended.complaint
    error = failures.explained(ended.complaint, target="docker", log="x.log", output=ended.text)
    assert (error.code, error.message) == (Exit.USAGE, REAL[name])
    assert "shed packer docker inspect" in error.hint


CASES = {
    "NoCredentialProviders: no valid providers in chain": Exit.MISSING,
    "UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances": Exit.MISSING,
    "Error querying AMI: InvalidAMIID.NotFound: The image id '[ami-1]' does not exist": Exit.NOT_FOUND,
    "No AMI was found matching filters: {": Exit.NOT_FOUND,
    "Error launching source instance: VcpuLimitExceeded: You have requested more vCPU capacity": Exit.FAILED,
    "Build 'amazon-ebs.trainshed' errored: Timeout waiting for SSH.": Exit.FAILED,
    "Error: Unsupported argument\n  on x.pkr.hcl line 57": Exit.MISSING,
    "Could not access KVM kernel module: No such file or directory": Exit.MISSING,
    "write /x: no space left on device": Exit.NO_SPACE,
    "shed: 1 of 40 image rules do not hold: B04": Exit.CORRUPT,
}


@pytest.mark.parametrize("complaint", CASES, ids=lambda text: text[:30])
def test_known_complaints_have_their_kind_and_a_hint(complaint: str) -> None:
    error = failures.explained(f"before\n{complaint}\nafter", target="aws", log="x.log")
    assert (error.code, bool(error.hint)) == (CASES[complaint], True)
    assert complaint.splitlines()[0] in error.message
    assert "{" not in error.hint


def test_a_task_that_failed_is_named_with_what_it_said() -> None:
    """Its text is Ansible's JSON, whose line ends have become real ones on their way through Packer."""
    output = """    docker.x: TASK [Say hello] ***
    docker.x: fatal: [default]: FAILED! => {"changed": false, "rc": 9, "stdout": "FAIL B04", "stderr": "one
shed: 1 of 40 image rules do not hold: B04", "msg": "non-zero return code"}
    docker.x:
"""
    error = failures.explained("Error executing Ansible: exit status 2", target="docker", log="x", output=output)
    assert error.code is Exit.CORRUPT
    assert [line.strip() for line in error.message.splitlines()[1:3]] == ["task: Say hello", "FAIL B04"]
    other = failures.explained(
        "Error", target="docker", log="x", output=output.replace("image rules do not hold", "no")
    )
    assert other.message.startswith("a task of the playbook failed")


def test_warnings_are_no_complaints(tmp_path: Path) -> None:
    text = "echo '1,x,ui,error,==> x: Warning: old'; echo '1,x,ui,error,Warning: A checksum'; echo '2,x,ui,error,no'; exit 1"
    ended = program.run([script(tmp_path / "packer", text)], env={}, log=tmp_path / "log")
    assert ended.complaint == "no"


def test_an_unknown_complaint_is_shown_with_the_log() -> None:
    error = failures.explained("Error: quite new\n\nof its kind", target="aws", log="/there/build.log")
    assert "quite new" in error.message
    assert "/there/build.log" in error.hint


# the program


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_one_that_is_not_there_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ShedError, match="not installed: packer") as raised:
        program.find(tmp_path)
    assert "images/packer/install" in raised.value.hint
    ours = tmp_path / "build" / "tools" / "packer"
    ours.parent.mkdir(parents=True)
    script(ours, "")
    assert program.find(tmp_path) == ours
    theirs = script(tmp_path / "other", "")
    assert program.find(tmp_path, str(theirs)) == theirs


def test_one_that_is_too_old_is_refused_where_it_matters(tmp_path: Path) -> None:
    old = script(tmp_path / "packer", f"cat {RECORDED / 'packer-1.6-version.txt'}")
    assert program.check_age(old, "docker") == (1, 6, 6)
    with pytest.raises(ShedError, match=r"is 1\.6\.6, and the template of aws needs 1\.9"):
        program.check_age(old, "aws")


def test_its_lines_are_given_on_and_kept(tmp_path: Path) -> None:
    heard: list[str] = []
    packer = script(
        tmp_path / "packer", "echo 1,x,ui,say,hello; echo noise; echo 2,x,ui,error,no; echo why >&2; exit 3"
    )
    ended = program.run([packer], env={}, log=tmp_path / "log", heard=lambda line: heard.append(line.said))
    assert (ended.code, ended.complaint, heard) == (3, "no", ["hello", "no"])
    assert sorted((tmp_path / "log").read_text().split()) == ["hello", "no", "why"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_is_told_once_and_cleans_up(tmp_path: Path, number: int) -> None:
    text = f"trap 'echo told >>{tmp_path}/told; exit 1' INT\necho 1,,ui,say,ready\nread never <{tmp_path}/fifo"
    packer = script(tmp_path / "packer", text)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(KeyboardInterrupt):
        program.run([packer], env={}, log=tmp_path / "log", heard=lambda line: os.kill(os.getpid(), number))
    assert (tmp_path / "told").read_text() == "told\n"


def test_a_variable_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["packer", "docker", "validate", "--var", "tag"]) == Exit.USAGE
    assert "--var NAME=VALUE" in capsys.readouterr().err


# templates, documents, rules


@pytest.mark.parametrize("target", prepare.TARGETS)
def test_every_variable_is_described_used_and_documented(target: str) -> None:
    folder = ROOT / prepare.TARGETS[target]
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.pkr.hcl")))
    documented = (ROOT / "docs" / "packer.md").read_text()
    for name, body in variables(target).items():
        described = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
        default = re.search(r"^  default\s+= (.*)$", body, re.MULTILINE)
        assert described and default, f"{name} has no description or default"
        said = described[1].replace('\\"', '"')
        assert f"| `{name}` | `{default[1]}` | {said} |" in documented
        assert len(re.findall(rf"\bvar\.{name}\b", text)) > body.count(f"var.{name}"), f"{name} is not used"


@pytest.mark.parametrize("target", prepare.TARGETS)
def test_what_the_driver_gives_is_asked_for(target: str) -> None:
    assert prepare.variables(ROOT, target).keys() <= variables(target).keys()


def test_rules_that_are_not_asked_are_rules() -> None:
    container = (ROOT / "images/packer/docker/trainshed.pkr.hcl").read_text()
    left_out = re.search(r"not_of_a_container = (\[.*\])", container)
    assert left_out
    assert {*json.loads(left_out[1]), *rules.OF_THE_LAST_STEP} <= RULES.keys()


# what was made


def test_the_disk_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    here = prepare.folder(tmp_path, "qemu")
    dead, old, new = here / "image.999999999", here / "image", here / f"image.{os.getpid()}"
    for folder in (dead, old):
        folder.mkdir(parents=True)
    prepare.clear(tmp_path, "qemu")
    assert (dead.exists(), old.exists()) == (False, True), "a killed build's goes, the last good one stays"
    new.mkdir()
    (new / "trainshed.qcow2").write_text("new")
    (here / "manifest.json").write_text(json.dumps({"files": [str(new / "trainshed.qcow2")]}))
    (made,) = prepare.finish(tmp_path, "qemu", [{"build": "x", "id": "VM", "files": [str(new / "trainshed.qcow2")]}])
    assert made["files"] == [str(old / "trainshed.qcow2")] == json.loads((here / "manifest.json").read_text())["files"]
    assert (old / "trainshed.qcow2").read_text() == "new"
    assert not new.exists()


def test_the_images_of_an_artifact_in_several_regions() -> None:
    artifacts = [{"id": "eu-central-1:ami-1,us-east-1:ami-2"}, {"id": ""}]
    assert list(amis.of(artifacts)) == [("eu-central-1", "ami-1"), ("us-east-1", "ami-2")]


def test_imdsv2_is_asked_for_in_each_region(aws: StandIn) -> None:
    made = [{"id": ",".join(f"{region}:{_image(region)}" for region in ("eu-central-1", "us-east-1"))}]
    amis.require_imdsv2(made)
    for region, ami in amis.of(made):
        (image,) = boto3.client("ec2", region_name=region).describe_images(ImageIds=[ami])["Images"]
        assert image["ImdsSupport"] == "v2.0"
    with pytest.raises(ShedError, match="ami-00000000 in eu-central-1 was made, and does not ask for IMDSv2") as raised:
        amis.require_imdsv2([{"id": "eu-central-1:ami-00000000"}])
    assert "aws ec2 modify-image-attribute --region eu-central-1 --image-id ami-00000000" in raised.value.hint


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with stand_in() as found:
        for name, value in environment(found.url, home=tmp_path).items():
            monkeypatch.setenv(name, value)
        yield found


def _image(region: str) -> str:
    ec2 = boto3.client("ec2", region_name=region)
    volume = ec2.create_volume(AvailabilityZone=f"{region}a", Size=1)["VolumeId"]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": ec2.create_snapshot(VolumeId=volume)["SnapshotId"]}}
    made = ec2.register_image(Name="made", RootDeviceName="/dev/xvda", BlockDeviceMappings=[disk])
    return str(made["ImageId"])


# what is removed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with something for each line of the list, and what has to stay."""
    for line in (ROOT / "images/common/residue.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path = tmp_path / line.replace("[!.]*", "x").replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("left")
    for name in ("etc/passwd", "etc/machine-id", "home/x/work", "var/log/a-folder/.keep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of the base")
    (tmp_path / "root").mkdir(exist_ok=True)
    return tmp_path


def clean(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ["sh", str(ROOT / "images/packer/clean.sh"), str(ROOT / "images/common/residue.txt"), *words]
    return subprocess.run(
        argv, env={**os.environ, "TRAINSHED_ROOT": str(tree)}, capture_output=True, text=True, check=False
    )


def found(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and path.read_text() == "left"}


STAYS = {"dev/x", "run/x", "etc/apt/sources.list", "etc/apt/sources.list.d/x"}


def test_what_the_build_left_goes_by_the_list_of_the_bake(tree: Path) -> None:
    done = clean(tree)
    assert done.returncode == 0, done.stderr
    assert found(tree) == STAYS | {"etc/ssh/ssh_host_x", "root/.ssh", "home/x/.ssh"}, "the way in stays until the end"
    assert (tree / "etc/machine-id").read_text() == ""
    assert (tree / "home/x/work").exists()


def test_the_way_in_goes_last(tree: Path) -> None:
    done = clean(tree, "root")
    assert done.returncode == 0, done.stderr
    assert found(tree) == STAYS


def test_a_way_in_that_stays_is_an_error(tree: Path) -> None:
    (tree / "etc/ssh/authorized_keys").write_text("somebody's")
    done = clean(tree, "root")
    assert done.returncode == 1
    assert "etc/ssh/authorized_keys" in done.stderr
