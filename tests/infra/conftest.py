"""The appliance that the image tests share: baked once, launched once, removed with all it has at the end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.infra import docker as dockers
from tests.infra.appliance import IMAGES, ROOT, SHED_SECONDS, Appliance, free_ports
from tests.infra.docker import Docker, NoDockerError


@pytest.fixture(scope="session")
def baked() -> None:
    """The newest image is one of this checkout, in every format; a bake of unchanged inputs takes a second."""
    argv = [sys.executable, "-m", "trainshed_provision", "bake", "all"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SHED_SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def manifest(baked: None) -> dict[str, Any]:
    """What the newest image says of itself; its files are in IMAGES."""
    return dict(json.loads((IMAGES / "latest.json").read_text()))


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    """A daemon, of this machine or of our own; without one these tests skip."""
    try:
        with dockers.docker() as found:
            yield found
    except NoDockerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def appliance(baked: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """A healthy machine with 1 GiB of data, to whose door a stranger came all the while that it booted."""
    made = Appliance(name="proof", state=tmp_path_factory.mktemp("state"), ports=free_ports())
    try:
        with made.stranger():
            made.launch("--data-size=1")
        yield made
    finally:
        made.shed("destroy", "--yes", "--data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet, for a client's HOME."""
    return tmp_path / "home"
