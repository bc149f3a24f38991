"""The rules against hosts that answer what we tell them to: each can fail, and says where."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from trainshed_provision import assertions
from trainshed_provision.assertions import boot, credentials, hardening, residue, software, ssh, volume
from trainshed_provision.assertions.result import Finding, Host


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
TREE = Answer(rc=1)  # of "does a system run here?"

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
        {"lsinitramfs": "".join(f"k/{d}.ko.xz\n" for d in boot.DRIVERS)},
        {"lsinitramfs": "k/nvme.ko\n"},
        "virtio_blk",
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
    (hardening.journal_is_capped, {"journald": "SystemMaxUse=200M\n"}, {"journald": "SystemMaxUse=9G\n"}, "9G"),
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


@pytest.mark.parametrize("where", ["F", "Q"])
def test_every_rule_of_a_place_is_asked_in_order(where: assertions.Where) -> None:
    results = assertions.run(FakeHost({}), where)
    assert [r.rule for r in results] == [rule for rule, row in assertions.RULES.items() if where in row.where]
    assert results[0].as_json().keys() == {"rule", "title", "where", "ok", "file", "found", "wanted"}


def test_a_failure_is_one_line_with_id_file_found_and_wanted() -> None:
    failed = next(r for r in assertions.run(FakeHost({"machine-id": "abcd"}), "F") if r.rule == "I01")
    assert failed.line() == "FAIL  I01  machine-id is made at first boot: /etc/machine-id: found 'abcd', wanted empty"
