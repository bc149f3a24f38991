"""The rules against hosts that answer what we tell them to: each can fail, and says where."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from trainshed_provision import assertions
from trainshed_provision.assertions import boot, catalogue, credentials, hardening, residue, software, ssh, volume
from trainshed_provision.assertions.result import Finding, Host
from trainshed_provision.bake.disk import ESP

ROOT = Path(__file__).parents[2]
SOURCES = Path("provisioning/src/trainshed_provision")


@dataclass(frozen=True)
class Answer:
    stdout: str = ""
    rc: int = 0
    stderr: str = ""


@dataclass(frozen=True)
class FakeHost:
    """Answers a command by the first key that is in it; unknown commands succeed and print nothing."""

    answers: Mapping[str, str | Answer]

    def run(self, command: str, *args: str) -> Answer:
        for part, answer in self.answers.items():
            if part in command:
                return answer if isinstance(answer, Answer) else Answer(answer)
        return Answer()


SHADOW = "root:!*:1::::::\ndaemon:*:1::::::\nadmin:!:1::::::\n"
PASSWD = "root:x:0:0::/root:/bin/bash\nsync:x:4:65534::/bin:/bin/sync\nadmin:x:1000:1000::/home/admin:/bin/bash\n"
SSHD = (
    "passwordauthentication no\npermitrootlogin no\nkbdinteractiveauthentication no\npermitemptypasswords no\n"
    "x11forwarding no\nmaxauthtries 4\n"
)
ORIGINS = (
    f'APT::Periodic::Unattended-Upgrade "1";\nUnattended-Upgrade::Origins-Pattern:: "{software.SECURITY_ORIGIN}";\n'
)
FSTAB = (
    "# disks\nLABEL=trainshed-root / ext4 defaults 0 1\n"
    "LABEL=trainshed-data /var/lib/trainshed ext4 nofail,x-systemd.device-timeout=9s 0 2\n"
)
SS = "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\ntcp LISTEN 0 128 [::1]:9 [::]:*\n"
LOGS = "SystemMaxUse=200M\nRuntimeMaxUse=50M\nlogrotate.timer enabled\n"
RULES = "table inet trainshed {\n chain input {\n policy drop;\n tcp dport { 22, 8008, 8080, 8081 } accept\n } }\n"
UNITS = "ssh.service enabled enabled\ntrainshed.service enabled enabled\n"
CONFIG = "".join(f"trainshed.key{n} = 1\n" for n in range(11)) + 'trainshed.files.s3.bucket = ""\n'
CLOCK = f"FallbackNTP={boot.CLOCKS}\nsystemd-timesyncd enabled\n"
TREE = Answer(rc=1)  # of "does a system run here?"
# Asked for TCP alone, it names no protocol.
TCP = "LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"

# check, answers that pass, answers that fail, what the failure names
CASES: list[tuple[Callable[[Host], Finding], dict[str, str | Answer], dict[str, str | Answer], str]] = [
    (credentials.root_is_locked, {"shadow": SHADOW}, {"shadow": "root:$6$hash:1::\n"}, "$6$"),
    (credentials.root_is_locked, {"shadow": "root:*:1::\n"}, {"shadow": "root::1::\n"}, "''"),
    (credentials.no_password_hash, {"shadow": SHADOW}, {"shadow": SHADOW + "eve:$y$x:1::\n"}, "eve"),
    (credentials.passwords_are_shadowed, {"passwd": PASSWD}, {"passwd": "eve::9:9::/:/bin/sh\n"}, "eve"),
    (credentials.no_authorized_keys, {}, {"authorized_keys": "/root/.ssh/authorized_keys\n"}, "/root/.ssh"),
    (credentials.no_private_keys, {}, {"PRIVATE KEY": "/etc/ssl/x.pem\n"}, "x.pem"),
    (credentials.no_tokens, {}, {".netrc": "/root/.netrc\n"}, ".netrc"),
    (credentials.no_application_secrets, {}, {"find /var/lib/trainshed": "/var/lib/trainshed/data\n"}, "data"),
    (credentials.one_login, {"passwd": PASSWD}, {"passwd": PASSWD + "eve:x:1001:1001::/:/bin/sh\n"}, "eve"),
    (credentials.one_login, {"passwd": PASSWD}, {"passwd": PASSWD, "sudoers": "/etc/sudoers.d/packer\n"}, "packer"),
    (credentials.system_accounts_have_no_shell, {"passwd": PASSWD}, {"passwd": "lp:x:7:7::/:/bin/bash\n"}, "lp"),
    (credentials.no_build_user, {"passwd": PASSWD[: PASSWD.index("admin")]}, {"passwd": PASSWD}, "admin"),
    (credentials.secrets_are_private, {}, {"secrets": Answer(rc=1)}, "none"),
    (ssh.no_passwords, {"sshd": SSHD}, {"sshd": SSHD.replace("passwordauthentication no", "")}, "nothing"),
    (ssh.no_root, {"sshd": SSHD}, {"sshd": "permitrootlogin yes\n"}, "yes"),
    (ssh.hardened, {"sshd": SSHD}, {"sshd": SSHD.replace("tries 4", "tries 6")}, "maxauthtries 6"),
    (ssh.no_host_keys, {}, {"ssh_host_": "/etc/ssh/ssh_host_rsa_key\n"}, "rsa"),
    (
        ssh.cloud_init_keeps_it,
        {"cloud": "ssh_pwauth: false\ndisable_root: true\nssh_deletekeys: true\n"},
        {"cloud": "ssh_pwauth: true\ndisable_root: true\nssh_deletekeys: true\n"},
        "ssh_pwauth: true",
    ),
    (residue.machine_id_is_open, {}, {"machine-id": "0123abcd\n"}, "0123abcd"),
    (residue.no_cloud_state, {}, {"/var/lib/cloud": "/var/lib/cloud/instance\n"}, "instance"),
    (residue.no_logs, {}, {"/var/log": "/var/log/dpkg.log\n"}, "dpkg.log"),
    (residue.no_temporary_files, {"/var/tmp": "1777\n"}, {"/var/tmp": "/var/tmp/x 1777\n"}, "/var/tmp/x"),
    (residue.no_caches, {}, {"/var/cache/apt": "/var/cache/apt/pkgcache.bin\n"}, "pkgcache"),
    (residue.no_host_identity, {}, {"/etc/hostname": "builder\n"}, "builder"),
    (residue.no_proxies, {}, {"proxy": "/etc/apt/apt.conf.d/99proxy\n"}, "99proxy"),
    (
        residue.build_identity,
        {"release": '{"version": "1", "commit": "c", "commit_time": 1}'},
        {"release": '{"version": "1"}'},
        "version",
    ),
    (software.is_supported, {"os-release": "13\n"}, {"os-release": "10\n"}, "10"),
    (
        software.security_updates,
        {"apt-config": ORIGINS, "is-enabled": "enabled\n"},
        {"apt-config": ORIGINS.replace("-security", ""), "is-enabled": "enabled\n"},
        "origins",
    ),
    (
        boot.drivers,
        {"lsinitramfs": "".join(f"k/{d}.ko.xz\n" for d in boot.DRIVERS + boot.DRIVERS_OF_PCS)},
        {"lsinitramfs": "k/nvme.ko\n"},
        "virtio_blk",
    ),
    (
        boot.drivers,
        {"lsinitramfs": "".join(f"k/{d}.ko.xz\n" for d in boot.DRIVERS), "dpkg": "arm64\n"},
        {"lsinitramfs": "".join(f"k/{d}.ko.xz\n" for d in boot.DRIVERS), "dpkg": "amd64\n"},
        "vmw_pvscsi",
    ),
    (
        boot.partitions,
        {"sfdisk": f"label: gpt\ntype={ESP}\n", "dpkg": "arm64\n"},
        {"sfdisk": f"label: gpt\ntype={ESP}\n", "dpkg": "amd64\n"},
        "BIOS boot",
    ),
    (boot.serial_console, {"/run/systemd": TREE, "grub": "console=ttyS0"}, {"/run/systemd": TREE}, "ttyS0"),
    (boot.fstab, {"fstab": FSTAB}, {"fstab": FSTAB.replace("nofail,", "")}, "x-systemd"),
    (boot.fstab, {"fstab": FSTAB}, {"fstab": FSTAB.replace("LABEL=trainshed-root", "/dev/sda1")}, "/dev/sda1"),
    (boot.root_is_grown, {"findmnt": "95\n100\n100\n"}, {"findmnt": "95\n100\n200\n"}, "200"),
    (boot.datasources, {"cloud": boot.DATASOURCES}, {"cloud": "datasource_list: [Azure]"}, "Azure"),
    (boot.boots_cleanly, {}, {"--failed": "x.service loaded failed failed\n"}, "x.service"),
    (hardening.listeners, {"ss": SS}, {"ss": SS + "tcp LISTEN 0 1 *:6379 *:*\n"}, "6379"),
    (hardening.listeners, {"ss": SS}, {"ss": Answer(rc=127)}, ""),
    (
        hardening.sysctls,
        {"/usr/sbin/sysctl": "".join(f"{n} = {v}\n" for n, v in hardening.SYSCTLS.items())},
        {"/usr/sbin/sysctl": "kernel.panic = 0\n"},
        "kernel.panic 0",
    ),
    (hardening.no_foreign_writes, {}, {"6000": "/usr/bin/sudo\n/usr/bin/nmap\n"}, "nmap"),
    (hardening.no_foreign_writes, {}, {"002": "/usr/local/bin/loose\n"}, "loose"),
    (hardening.logs_are_capped, {"journald": LOGS}, {"journald": LOGS.replace("200M", "9G")}, "9G"),
    (hardening.logs_are_capped, {"journald": LOGS}, {"journald": LOGS.replace("enabled", "disabled")}, "disabled"),
    (hardening.firewall, {"nft": RULES}, {"nft": RULES.replace("drop", "accept")}, "accept"),
    (hardening.firewall, {"nft": RULES}, {"nft": RULES.replace("8081", "8081, 9200")}, "9200"),
    (hardening.firewall, {"/run/systemd": TREE, "firewall.nft": RULES}, {"/run/systemd": TREE}, "no rules"),
    (
        credentials.nobody_else_gets_in,
        {"unit-files": UNITS},
        {"unit-files": f"{UNITS}tunnel.service enabled\n"},
        "tunnel",
    ),
    (credentials.nobody_else_gets_in, {"unit-files": UNITS}, {}, "reviewed"),
    (
        credentials.asks_for_no_cloud_key,
        {"config": CONFIG},
        {"config": f"{CONFIG}t.files.s3.access_key = 1\n"},
        "access_key",
    ),
    (credentials.asks_for_no_cloud_key, {"config": CONFIG}, {}, "0 keys"),
    (credentials.secrets_stay_where_they_are, {}, {"cmdline": "/proc/7/cmdline\n"}, "/proc/7"),
    (credentials.secrets_stay_where_they_are, {}, {"test -s": Answer(rc=1)}, "none"),
    (ssh.is_reachable, {"ss -Hltn": TCP}, {"ss -Hltn": TCP.replace("0.0.0.0:22", "10.0.0.1:22")}, "nobody"),
    (ssh.is_reachable, {"ss -Hltn": TCP}, {"ss -Hltn": TCP, "nft": "ip saddr 10.9.0.0/16 drop"}, "with a rule"),
    (boot.clock, {"timesyncd": CLOCK}, {"timesyncd": CLOCK.replace("169.254.169.123", "")}, "169.254.169.254"),
    (boot.packets_as_the_network_says, {}, {"mtu": "/etc/systemd/network/10-eth.network\n"}, "10-eth"),
    (boot.belongs_to_no_region, {}, {"central": "/etc/trainshed/place\n"}, "place"),
    (
        volume.formats_only_blank_disks,
        {"choose": "format blank\nformat blank\nrefused\nrefused\n"},
        {"choose": "format blank\nformat blank\nformat foreign\nrefused\n"},
        "format foreign",
    ),
    (
        volume.never_on_the_root_disk,
        {"trainshed.service": "Requires=var-lib-trainshed.mount\nAssertPathIsMountPoint=/var/lib/trainshed\n"},
        {"trainshed.service": "Requires=var-lib-trainshed.mount\n"},
        "AssertPathIsMountPoint nothing",
    ),
    (volume.is_mounted, {"LABEL": "trainshed-data\n"}, {}, "not mounted"),
    (volume.is_grown, {"findmnt": "95\n100\n"}, {"findmnt": "95\n200\n"}, "200"),
]


@pytest.mark.parametrize(("check", "good", "bad", "named"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_rule_holds_or_says_what_it_found(
    check: Callable[[Host], Finding], good: dict[str, str | Answer], bad: dict[str, str | Answer], named: str
) -> None:
    assert check(FakeHost(good)).ok
    seen = check(FakeHost(bad))
    assert not seen.ok
    assert seen.file
    assert seen.wanted
    assert named in f"{seen.found} {seen.wanted}"


def test_ids_and_places_are_well_formed() -> None:
    assert all(re.fullmatch(r"[A-Z]\d\db?", rule) for rule in assertions.RULES)
    assert {rule.where for rule in assertions.RULES.values()} == {"F", "Q", "FQ"}
    assert {rule[:3] for rule in assertions.RULES} < catalogue.CATALOGUE.keys()


# Groups of the list that images are judged by, with how many each has.
GROUPS = {"A": 16, "S": 8, "I": 12, "P": 9, "B": 17, "H": 9, "W": 12, "G": 11, "D": 7}


def test_the_catalogue_has_every_rule_once_in_order() -> None:
    assert list(catalogue.CATALOGUE) == [f"{g}{n:02}" for g, count in GROUPS.items() for n in range(1, count + 1)]
    assert len(catalogue.CATALOGUE) == 101


@pytest.mark.parametrize("rule_id", catalogue.CATALOGUE)
def test_every_rule_is_asked_or_proved_or_has_a_reason(rule_id: str) -> None:
    entry = catalogue.CATALOGUE[rule_id]
    assert catalogue.asked(rule_id) or entry.tests or entry.reason
    assert entry.level in {"R", "P", "T", "B"}
    for test in entry.tests:
        file, _, name = test.partition("::")
        assert f"\ndef {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_what_validate_is_said_to_ask_it_asks(cloud: str) -> None:
    said = {rule for rule in catalogue.CATALOGUE if f"shed validate {cloud}" in catalogue.asked(rule)}
    sources = "".join(path.read_text() for path in (ROOT / SOURCES / "publish" / cloud).glob("*.py"))
    assert said <= set(re.findall(r'"([WG]\d\d)"', sources))


@pytest.mark.parametrize("where", ["F", "Q"])
def test_every_rule_of_a_place_is_asked_in_order(where: assertions.Where) -> None:
    results = assertions.run(FakeHost({}), where)
    assert [r.rule for r in results] == [rule for rule, row in assertions.RULES.items() if where in row.where]
    assert results[0].as_json().keys() == {"rule", "title", "where", "ok", "file", "found", "wanted"}


def test_a_failure_is_one_line_with_id_file_found_and_wanted() -> None:
    failed = next(r for r in assertions.run(FakeHost({"machine-id": "abcd"}), "F") if r.rule == "I01")
    assert failed.line() == "FAIL  I01  machine-id is made at first boot: /etc/machine-id: found 'abcd', wanted empty"
