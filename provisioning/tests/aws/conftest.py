"""An account at the stand-in for AWS, empty before each test, and a small disk to publish."""

import functools
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

from trainshed_provision.commands.aws import common
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws import StandIn, environment, stand_in
from trainshed_provision.testing.aws.disks import noise, write_disk


@pytest.fixture(scope="session")
def served() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture
def cloud(served: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """An empty account, and an environment that leads to it and to nothing else."""
    served.reset()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(served.url, home=tmp_path).items():
        monkeypatch.setenv(name, value)
    return served


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Each of botocore's sessions reads EC2's whole description anew, which takes most of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def shared(served: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Aws:
    """Clients that do not sleep; making those of EC2 anew takes a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(served.url, home=tmp_path_factory.getbasetemp()).items():
            patch.setenv(name, value)
        return Aws(workers=4, attempts=1, retries="standard", pause=lambda seconds: None)


@pytest.fixture
def aws(cloud: StandIn, shared: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The clients of the test, and of the commands that it calls."""
    monkeypatch.setattr(common, "clients", lambda: shared)
    return shared


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """1 GiB with four blocks of data, one of them the last but one of the volume."""
    return write_disk(tmp_path / "images", noise(0, 1, 7, 2046))
