"""A machine's first boot: with nothing around it, with something to say to it, and with strangers at its door.

The tests that change what the shared machine is told put it back.
"""

import base64
import json
import re
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.infra.appliance import OWN, ROOT, Appliance, own, wait_until

from trainshed_provision import plan, process
from trainshed_provision.assertions import outside
from trainshed_provision.spec import GIB, VmSpec
from trainshed_provision.targets.vm import boot, qemu
from trainshed_provision.targets.vm import image as images
from trainshed_provision.targets.vm.apply import Job, apply
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder

pytestmark = pytest.mark.image

PASSWORD = "correct horse battery"
TOLD = "/opt/clearml/config/trainshed.yml"
WELCOME = "sudo /usr/local/sbin/trainshed-welcome"

# Told to a machine by way of its firmware, as it has neither a network nor a seed to be told anything by: at the end of the
# boot it says on the console what it is like.
SCRIPT = f"""
until [ -e /run/trainshed/ready ]; do sleep 1; done
cloud-init status --wait >/dev/null
systemctl --failed --plain --no-legend | sed 's/^/failed /'
cloud-init status --format json | tr -d '\\n'
echo
{OWN}
echo END
"""
REPORT = f"""\
[Service]
Type=exec
StandardOutput=tty
TTYPath=/dev/console
ExecStart=/bin/sh -c 'echo {base64.b64encode(SCRIPT.encode()).decode()} | base64 -d | sh'
"""


def credential(name: str, content: str) -> list[str]:
    value = base64.b64encode(content.encode()).decode()
    return ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={value}"]


@pytest.fixture(scope="module")
def alone(baked: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a machine says on its console that has no network card, no seed, and a blank disk; until it has booted."""
    folder, spec = Folder(tmp_path_factory.mktemp("alone"), "alone"), VmSpec(name="alone", data_gib=1)
    image = images.find(None, baked=ROOT / "build" / "images")
    *make, _start, _wait = plan.launch(spec, plan.Observed(free_bytes=100 * GIB))
    apply(tuple(make), Job(spec=spec, folder=folder, engine=Local(), image=image), tell=lambda step: None)
    argv = qemu.argv(spec, folder, system=folder.system(image.sha256))
    for option, about in (("-netdev", "user,id=net"), ("-device", "virtio-net-pci"), ("-drive", "id=seed"),
                          ("-device", "drive=seed")):  # fmt: skip
        at = next(n for n, word in enumerate(argv) if word == option and about in argv[n + 1])
        del argv[at : at + 2]
    argv += [*credential("systemd.extra-unit.report.service", REPORT), "-nic", "none"]
    argv += credential("systemd.unit-dropin.multi-user.target", "[Unit]\nWants=report.service\n")
    process.run(argv, cwd=folder.path)
    try:
        wait_until(lambda: "\nEND\n" in boot.serial(folder))
        yield boot.serial(folder)
    finally:
        qemu.kill(folder)
        folder.remove()


def test_it_is_whole_without_a_network_or_user_data(alone: str) -> None:
    """P06, P09, B14."""
    assert re.search(r"Trainshed \S+ is running\.", alone)
    assert not re.search(r"^failed ", alone, flags=re.MULTILINE)
    assert "FAILED" not in alone
    # The prompt for a login may stand before it on its line.
    report = next(json.loads(line[line.index("{") :]) for line in alone.splitlines() if '"boot_status_code"' in line)
    assert (report["status"], report["errors"]) == ("done", [])


def test_the_console_says_how_to_claim_it(alone: str) -> None:
    assert re.search(r"^ +api +http://localhost:8008$", alone, flags=re.MULTILINE)
    assert re.search(
        r"Until 20\d\d-\d\d-\d\d \d\d:\d\d UTC this token, once, makes its administrator:\n\n  \S{40,}\n", alone
    )


def test_two_machines_of_one_image_have_nothing_secret_in_common(alone: str, appliance: Appliance) -> None:
    """A08."""
    one = own(alone)
    other = own(appliance.inside(f"sudo sh -c '{OWN}'"))
    assert {"machine-id", "token", "first-credentials", "ssh_host_ed25519_key"} <= one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_a_stranger_was_refused_from_the_first_moment(appliance: Appliance) -> None:
    """A09."""
    assert set(appliance.refusals) == {401}


def test_nobody_reaches_what_is_not_promised(appliance: Appliance) -> None:
    """H02: something new listens on every address, and the firewall stands before it."""
    appliance.inside("sudo systemd-run --unit=stray python3 -m http.server 9200")
    try:
        wait_until(lambda: "9200" in appliance.inside("ss -Hltn"), seconds=60)
        assert status("127.0.0.1", appliance.forward(9200)) is None
        assert status("127.0.0.1", appliance.forward(8080)) == 200
    finally:
        appliance.inside("sudo systemctl stop stray")


def status(host: str, port: int) -> int | None:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@contextmanager
def told(appliance: Appliance, text: str) -> Iterator[None]:
    """The machine is told something by the file on its data volume, and is as before afterwards."""
    restart = "sudo systemctl reset-failed trainshed; sudo systemctl restart trainshed"
    encoded = base64.b64encode(text.encode()).decode()
    appliance.inside(f"echo {encoded} | base64 -d | sudo tee {TOLD}; {restart}")
    try:
        yield
    finally:
        appliance.inside(f"sudo rm {TOLD}; {restart}")
        wait_until(appliance.healthy)


def test_tls_with_a_key_of_its_own_at_the_usual_ports(appliance: Appliance, tmp_path: Path) -> None:
    """H09."""
    with told(appliance, "tls: own\nclaim-deadlin: 2h\n"):
        secure, plain = appliance.forward(443), appliance.forward(80)
        certificate = tmp_path / "certificate.pem"

        def trusted() -> bool:
            certificate.write_text(appliance.inside("sudo cat /var/lib/trainshed/data/tls/certificate.pem"))
            return "BEGIN CERTIFICATE" in certificate.read_text() and "https" in appliance.inside(
                "sudo cat /run/trainshed/ready"
            )

        wait_until(trusted)
        found = outside.run(outside.Web(url=f"https://localhost:{secure}", authority=certificate))
        assert [result.line() for result in found if not result.ok] == []
        assert len(found) == len(outside.OUTSIDE)
        moved = outside.Web(url=f"http://localhost:{plain}").ask("/")
        assert 300 <= moved.status < 400
        assert moved.headers["location"].startswith("https://localhost")
        said = appliance.inside(WELCOME)
        assert re.search(r"api +https://", said)
        assert "'claim-deadlin' is no key; is claim-deadline meant?" in said
    assert status("127.0.0.1", appliance.forward(443)) is None


def test_another_profile_is_one_clear_line(appliance: Appliance) -> None:
    with told(appliance, "profile: scale-out\nmongodb: mongodb://10.0.0.5:27017\n"):
        wait_until(lambda: appliance.inside("systemctl is-active trainshed").strip() == "failed", seconds=60)
        assert appliance.inside("systemctl show --property=NRestarts --value trainshed").strip() == "0"
        for command in (WELCOME, "sudo trainshed doctor --quick"):
            said = [line for line in appliance.inside(command).splitlines() if "trainshed.profile" in line]
            assert len(said) == 1
            assert "scale-out" in said[0]


def test_the_message_of_the_day_has_the_token_until_somebody_claims_it(appliance: Appliance) -> None:
    token = appliance.inside("sudo cat /var/lib/trainshed/data/secrets/claim").strip()
    assert len(token) > 30
    greeting = appliance.inside("sudo run-parts /etc/update-motd.d")
    assert token in greeting
    assert token not in appliance.inside("sudo journalctl --boot --no-pager")
    assert call(appliance, "accounts.redeem", token=token, username="jane", password=PASSWORD)
    assert token not in appliance.inside("sudo run-parts /etc/update-motd.d")
    assert "is running" in appliance.inside(WELCOME)


def call(appliance: Appliance, endpoint: str, **arguments: str) -> Any:
    headers = {"X-Requested-With": "test", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{appliance.port('api')}/{endpoint}"
    request = urllib.request.Request(url, data=json.dumps(arguments).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60, context=ssl.create_default_context()) as answer:
        return json.load(answer)
