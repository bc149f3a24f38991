"""Roles are typed interfaces, and what they render is what we mean."""

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its stubs would be a package for one test
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trainshed import cli
from trainshed.settings import PORTS
from trainshed_provision.architecture import AMD64
from trainshed_provision.assertions.hardening import SYSCTLS
from trainshed_provision.bake.converge import SKIPPED
from trainshed_provision.bake.disk import LABEL
from trainshed_provision.bake.packages import asked

CHECKOUT = Path(__file__).parents[2]
ROLES = sorted(path for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
PHASES = ["preflight", "install", "configure", "run"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def render(role: str, template: str, **variables: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(CHECKOUT / "roles" / role / "templates"), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["relpath"] = lambda path, start: str(Path(path).relative_to(start))
    environment.filters["ternary"] = lambda value, yes, no: yes if value else no
    defaults = read(CHECKOUT / "roles" / role / "defaults" / "main.yml")
    return environment.get_template(template).render({**defaults, "ansible_managed": "managed", **variables})


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    parser.read_string(text)
    return parser


def server_unit(**variables: object) -> configparser.ConfigParser:
    mount = "var-lib-trainshed.mount"
    return unit(render("trainshed", "trainshed.service.j2", __trainshed_mount_unit=mount, **variables))


@each_role
def test_every_default_is_specified_and_every_option_has_a_default(role: Path) -> None:
    options = read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    assert set(options) == set(read(role / "defaults" / "main.yml"))
    assert all(name.startswith(f"{role.name}_") for name in options)
    assert all(option["description"] and option["type"] for option in options.values())


@each_role
def test_every_default_stands_under_a_comment(role: Path) -> None:
    lines = (role / "defaults" / "main.yml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\w+:", line)]
    assert all(lines[number - 1].startswith("#") for number in keys)


@each_role
def test_a_role_has_four_phases_each_with_its_tag(role: Path) -> None:
    tasks = read(role / "tasks" / "main.yml")
    assert [task["ansible.builtin.import_tasks"] for task in tasks] == [f"{phase}.yml" for phase in PHASES]
    assert [task["tags"] for task in tasks] == [[f"{role.name}_{phase}"] for phase in PHASES]


def test_the_bake_skips_the_phase_that_starts_things_in_every_role() -> None:
    assert set(SKIPPED.split(",")) == {f"{role.name}_run" for role in ROLES}


@each_role
def test_no_phase_but_run_starts_anything(role: Path) -> None:
    early = [(role / "tasks" / f"{phase}.yml").read_text() for phase in PHASES[:3]]
    assert not any("state: started" in text or "state: restarted" in text for text in early)


def test_the_image_brings_what_the_role_would_install() -> None:
    wanted = read(CHECKOUT / "roles/trainshed_base/defaults/main.yml")["trainshed_base_packages"]
    assert set(wanted) <= set(asked(CHECKOUT, "common", architecture=AMD64))


def test_the_kernel_settings_are_those_the_rules_ask_for() -> None:
    given = read(CHECKOUT / "roles/trainshed_base/defaults/main.yml")["trainshed_base_sysctl"]
    assert SYSCTLS.items() <= {name: str(value) for name, value in given.items()}.items()


def test_the_server_waits_for_its_volume_and_for_nothing_slow() -> None:
    server = server_unit()
    assert server["Unit"]["Requires"] == "var-lib-trainshed.mount"
    assert server["Unit"]["AssertPathIsMountPoint"] == "/var/lib/trainshed"
    assert server["Unit"]["DefaultDependencies"] == "no"
    assert "cloud" not in server["Unit"]["After"]
    assert "online" not in server["Unit"]["After"]


def test_the_server_writes_below_the_mount_and_runs_the_current_version() -> None:
    server = server_unit()["Service"]
    assert server["ExecStart"] == (
        "/opt/trainshed/current/bin/trainshed serve --host 0.0.0.0 --data-dir /var/lib/trainshed/data"
    )
    flags = vars(cli._parser().parse_args(server["ExecStart"].split()[1:]))  # those that the command has
    assert flags["trainshed.data_dir"][1] == "/var/lib/trainshed/data"
    assert flags["apiserver.listen.ip"][1] == "0.0.0.0"
    assert server["StateDirectory"] == "trainshed/data"
    assert server["User"] == "trainshed"


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "PrivateDevices": "yes",
        "SystemCallFilter": "@system-service",
    }.items(),
)
def test_the_server_is_confined(name: str, value: str) -> None:
    assert server_unit()["Service"][name] == value


def test_what_this_machine_was_told_comes_before_the_server_at_each_start() -> None:
    server = server_unit()
    assert {"trainshed-settings.service", "trainshed-config.service"} <= set(server["Unit"]["Wants"].split())
    text = render("trainshed", "trainshed.service.j2", __trainshed_mount_unit="m.mount")
    assert re.search(r"^After=.*trainshed-settings\.service", text, flags=re.MULTILINE)
    assert server["Service"]["EnvironmentFile"] == "-/run/trainshed-settings/environment"
    settings = unit(render("trainshed", "trainshed-settings.service.j2", __trainshed_mount_unit="m.mount"))["Service"]
    assert "RemainAfterExit" not in settings
    assert settings["RuntimeDirectory"] == "trainshed-settings"


def test_a_configuration_that_cannot_be_meant_is_said_once() -> None:
    server = server_unit()["Service"]
    assert server["RestartPreventExitStatus"] == str(int(cli.Exit.USAGE))


def test_the_firewall_opens_the_ports_of_the_server_and_ssh_alone() -> None:
    rules = (CHECKOUT / "roles/trainshed/files/firewall.nft").read_text()
    assert "policy drop;" in rules
    (ports,) = re.findall(r"tcp dport \{ (.+) \} accept", rules)
    assert {int(port) for port in ports.split(", ")} == {22, *PORTS.values()}
    usual = (CHECKOUT / "roles/trainshed/files/https.nft").read_text()
    assert f"tcp dport 443 redirect to :{PORTS['web']}" in usual


def test_a_host_without_a_data_volume_needs_no_mount() -> None:
    assert "Requires" not in server_unit(trainshed_data_volume=False)["Unit"]


def test_disks_are_known_by_the_labels_that_are_written() -> None:
    fstab = (CHECKOUT / "images/vm/fstab").read_text()
    program = (CHECKOUT / "roles/trainshed/files/trainshed-data").read_text()
    assert f"LABEL={LABEL} /" in fstab
    for name in ("grub.cfg", "grub-core.cfg", "grub-esp.cfg"):
        assert f"--label --set=root {LABEL}" in (CHECKOUT / "images/vm" / name).read_text()
    data = re.search(r"^LABEL=(\S+) +/var/lib/trainshed ext4 (\S+)", fstab, flags=re.MULTILINE)
    assert data
    assert f"\nLABEL={data[1]}\n" in program
    assert {"nofail", "x-systemd.requires=trainshed-data.service"} <= set(data[2].split(","))
