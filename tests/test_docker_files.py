"""The compose files say what the page about them says, and name this release."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its stubs would be a package for two tests

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "images" / "docker"
PAGE = (ROOT / "docs" / "docker.md").read_text()
FILES = sorted(FOLDER.glob("*.yml"))
SYSTEMS = [path for path in FILES if path.name.startswith("docker-compose")]


def text(paths: list[Path]) -> str:
    return "".join(path.read_text() for path in paths)


def test_every_variable_is_in_the_page_s_table() -> None:
    rows = "".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `TRAINSHED_"))
    assert set(re.findall(r"\$\{(TRAINSHED_\w+)", text(FILES))) == set(re.findall(r"`(\w+)`", rows))


def test_the_files_name_this_release() -> None:
    version = tomllib.loads((ROOT / "server/pyproject.toml").read_text())["project"]["version"]
    assert set(re.findall(r"\$\{TRAINSHED_IMAGE:-(.*?)\}", text(FILES))) == {f"trainshed:{version}"}
    assert f"trainshed-{version}-amd64.oci.tar" in PAGE


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.name)
def test_a_system_adds_folders_alone_to_what_all_share(path: Path) -> None:
    server: dict[str, Any] = yaml.safe_load(path.read_text())["services"]["trainshed"]
    assert server.pop("extends") == {"file": "common.yml", "service": "trainshed"}
    assert set(server) <= {"volumes", "user", "depends_on"}
    assert path.name in PAGE


def test_the_page_shows_the_image_s_user_and_health_command() -> None:
    image = json.loads((FOLDER / "image.json").read_text())
    assert f"`{image['User']}`" in PAGE
    command = " ".join(image["Healthcheck"]["Test"][1:]).replace("/opt/trainshed/current/bin/", "")
    assert f'"{command}"' in PAGE
