"""The rights that the documentation asks for are those that the code needs: no fewer, and no more."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision import cli
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import HOME, OTHER, noise, published, write_disk

PAGE = Path(__file__).parents[3] / "docs" / "publishing-aws.md"


def statements() -> list[dict[str, Any]]:
    policies = re.findall(r"```json\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(policies) == 1
    return list(json.loads(policies[0])["Statement"])


def actions(statement: dict[str, Any]) -> set[str]:
    found = statement["Action"]
    return {found} if isinstance(found, str) else set(found)


def test_the_policy_is_what_the_code_calls(
    cloud: StandIn, aws: Aws, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb once, with all it can do: a whole life."""
    report = tmp_path / "report.json"
    report.write_text(json.dumps([{"rule": "I11", "ok": True, "found": json.dumps({"commit": "c" * 40})}]))
    for region in (HOME, OTHER):
        aws.ec2(region).disable_image_block_public_access()
    cloud.clear()  # that is for the account's owner to do
    published(aws, disk, regions=(HOME, OTHER), public=True)
    published(aws, write_disk(disk.parent, noise(5), version="0.2.0"), regions=(HOME, OTHER), public=True)
    lines = [
        "validate aws 0.1.0 --public",
        f"promote aws 0.1.0 --tested {report}",
        f"promote aws 0.2.0 --tested {report}",
        "revoke aws 0.2.0 --reason bad",
        "revoke aws 0.1.0 --reason bad --deregister",
    ]
    for line in lines:
        assert cli.main([*line.split(), "--in", HOME, "--in", OTHER]) == 0, capsys.readouterr().err
    left = aws.client("ebs").start_snapshot(VolumeSize=1, Tags=[{"Key": "ManagedBy", "Value": "trainshed"}])
    cloud.ec2(HOME).snapshots[left["SnapshotId"]].status = "error"
    aws.ec2(HOME).create_launch_template(LaunchTemplateName="x", LaunchTemplateData={"InstanceType": "t3.small"})
    calls = {call for call in cloud.calls if call.operation != "CreateLaunchTemplate"}
    cloud.clear()
    assert cli.main(f"gc aws --in {HOME} --days 0 --keep 0 --grace 0 --delete".split()) == 0
    made = {f"{call.service}:{call.operation}" for call in {*calls, *cloud.calls}}
    assert made == set().union(*map(actions, statements()))


def test_what_removes_or_changes_touches_only_what_is_ours() -> None:
    ours = {"StringEquals": {"aws:ResourceTag/ManagedBy": "trainshed"}}
    for statement in statements():
        assert "*" not in "".join(actions(statement))
        destroys = re.search(r"Dereg|Delete|Disable|Modify|Enable|PutSnapshot|Complete", " ".join(actions(statement)))
        if destroys and not any(action.startswith("ssm:") for action in actions(statement)):
            assert statement["Condition"] == ours
        if statement["Resource"] == "*":
            assert all(re.search(r":(Describe|Get)", action) for action in actions(statement))


def test_the_page_knows_every_option() -> None:
    """What it names as an option is one."""
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.read_text())) | set(re.findall(r" (--[a-z-]+)", PAGE.read_text()))
    sources = Path(cli.__file__).parent / "commands" / "aws"
    known = set(re.findall(r'"(--[a-z-]+)"', "".join(path.read_text() for path in sources.glob("*.py"))))
    foreign = {"--help", "--key", "--image-id"}  # of argparse, of `shed sign`, of the aws command
    assert named - foreign <= known
