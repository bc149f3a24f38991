"""Accounts and secrets: nobody's password, key or token is in the image."""

from trainshed_provision.assertions.result import Finding, Host, nothing

LOCKED = {"!", "!!", "*", "!*"}
DATA = "/var/lib/trainshed/data"

# Where people's tools keep tokens.
LEFT_BY_TOOLS = (
    *(".aws", ".config/gcloud", ".config/pip/pip.conf", ".docker/config.json", ".git-credentials"),
    *(".kube", ".netrc", ".pgpass", ".pypirc", "clearml.conf"),
)
# What a boot starts, as reviewed: Debian's own, and ours. None of it lets anybody in but ssh, and none calls home.
ENABLED = {
    *("apt-daily-upgrade.timer", "apt-daily.timer", "cloud-config.service", "cloud-final.service"),
    *("cloud-init-hotplugd.socket", "cloud-init-local.service", "cloud-init-main.service"),
    *("cloud-init-network.service", "dpkg-db-backup.timer", "fstrim.timer", "getty@.service", "logrotate.timer"),
    *("remote-fs.target", "ssh.service", "sshd-keygen.service", "systemd-network-generator.service"),
    *("systemd-networkd-persistent-storage.service", "systemd-networkd-wait-online.service"),
    *("systemd-networkd.service", "systemd-networkd.socket", "systemd-resolved.service"),
    *("systemd-timesyncd.service", "trainshed-config.service", "trainshed-data-grow.service"),
    *("trainshed-data.service", "trainshed-firewall.service", "trainshed-guard.service"),
    *("trainshed-welcome.service", "trainshed.service"),
}
S3_KEYS = {"bucket", "prefix", "endpoint", "region"}
NO_SHELL = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/bin/sync")


def _rows(host: Host, table: str) -> list[list[str]]:
    return [line.split(":") for line in host.run(f"cat {table}").stdout.splitlines()]


def _accounts(bad: list[str], *, table: str, wanted: str) -> Finding:
    return Finding(ok=not bad, file=table, found=" ".join(bad) or "as wanted", wanted=wanted)


def root_is_locked(host: Host) -> Finding:
    """A01: never empty, never a hash."""
    fields = [row[1] for row in _rows(host, "/etc/shadow") if row[0] == "root"]
    ok = len(fields) == 1 and fields[0][:1] in {"!", "*"}
    return Finding(ok=ok, file="/etc/shadow", found=f"root: {fields}", wanted="root: ! or *")


def no_password_hash(host: Host) -> Finding:
    """A02: hashed defaults too; the scanners of the clouds take a build-time hash for a default password."""
    bad = [row[0] for row in _rows(host, "/etc/shadow") if row[1] not in LOCKED]
    return _accounts(bad, table="/etc/shadow", wanted="every account locked")


def passwords_are_shadowed(host: Host) -> Finding:
    """A03: the second field of passwd is one character, so it is neither empty nor a hash."""
    bad = [row[0] for row in _rows(host, "/etc/passwd") if len(row[1]) != 1]
    return _accounts(bad, table="/etc/passwd", wanted="field 2 is one character")


def no_authorized_keys(host: Host) -> Finding:
    """A04: of the image; at first boot cloud-init writes the owner's."""
    command = "find /root /home /etc/ssh -name 'authorized_keys*' -size +0"
    return nothing(host, command, file="/root /home /etc/ssh", wanted="no authorized_keys")


def no_private_keys(host: Host) -> Finding:
    """A05: by content, in every file of the tree. grep's code 1 means that it found none."""
    pattern = "^-----BEGIN [A-Z ]*PRIVATE KEY-----"
    command = f"grep -rIlsE -e '{pattern}' /boot /etc /home /opt /root /srv /usr /var; test $? -lt 2 || true"
    return nothing(host, command, file="the whole tree", wanted="no private key")


def no_tokens(host: Host) -> Finding:
    """A06: of clouds, registries, git, databases and our own clients."""
    command = f"for home in /root /home/*; do for f in {' '.join(LEFT_BY_TOOLS)}; do ls -d $home/$f 2>/dev/null; done; done; true"
    return nothing(host, command, file="/root /home", wanted="no token files")


def no_application_secrets(host: Host) -> Finding:
    """A07: the server makes its secrets on the data volume at first start; the image's mount point is empty."""
    command = "find /var/lib/trainshed -mindepth 1; find /opt/trainshed -name '*secret*' -path '*/secrets/*'"
    return nothing(host, command, file="/var/lib/trainshed", wanted="empty")


def one_login(host: Host) -> Finding:
    """A12, A14: nobody but cloud-init's login has a person's number or rights by sudo; the image has not even that."""
    people = [row[0] for row in _rows(host, "/etc/passwd") if int(row[2]) >= 1000 and row[0] != "nobody"]
    rights = host.run("find /etc/sudoers.d -type f ! -name README ! -name 90-cloud-init-users").stdout.split()
    ok = people in ([], ["admin"]) and not rights
    return Finding(
        ok=ok, file="/etc/passwd /etc/sudoers.d", found=" ".join(people + rights) or "none", wanted="admin or nobody"
    )


def no_build_user(host: Host) -> Finding:
    """A14: no account of who built the image."""
    people = [row[0] for row in _rows(host, "/etc/passwd") if int(row[2]) >= 1000 and row[0] != "nobody"]
    return _accounts(people, table="/etc/passwd", wanted="no account with a person's number")


def system_accounts_have_no_shell(host: Host) -> Finding:
    """A13."""
    rows = [row for row in _rows(host, "/etc/passwd") if 0 < int(row[2]) < 1000]
    bad = [f"{row[0]}:{row[6]}" for row in rows if row[6] not in NO_SHELL]
    return _accounts(bad, table="/etc/passwd", wanted="nologin")


def secrets_are_private(host: Host) -> Finding:
    """A15: what the server made at first start is readable by the server alone."""
    command = f"test -d {DATA}/secrets && find {DATA}/secrets {DATA} -maxdepth 1 -perm /077 -path '*secret*'"
    return nothing(host, command, file=f"{DATA}/secrets", wanted="there, 0700 and its files 0600")


def nobody_else_gets_in(host: Host) -> Finding:
    """A10: what a boot starts is as reviewed: no tunnel, no agent of ours, no remote support."""
    rows = host.run("systemctl list-unit-files --state=enabled --no-legend --plain").stdout.splitlines()
    enabled = {row.split()[0] for row in rows}
    extra = sorted(enabled - ENABLED)
    return Finding(
        ok="ssh.service" in enabled and not extra,
        file="systemctl list-unit-files",
        found=" ".join(extra) or "as reviewed",
        wanted="nothing but what was reviewed",
    )


def asks_for_no_cloud_key(host: Host) -> Finding:
    """A11: no key of the configuration takes an access key of a cloud; buckets go by the machine's role."""
    keys = [line.split(" ")[0] for line in host.run("trainshed config show").stdout.splitlines()]
    asking = [key for key in keys if ".s3." in key and key.rpartition(".")[2] not in S3_KEYS]
    return Finding(
        ok=len(keys) > 10 and not asking,
        file="trainshed config show",
        found=" ".join(asking) or f"{len(keys)} keys",
        wanted=f"of buckets only {' '.join(sorted(S3_KEYS))}",
    )


# Every long word of the secrets, but of the two that are there to be handed out; --file keeps them out of the arguments.
LEAKS = f"""
set -eu; w=$(mktemp); trap 'rm -f $w' EXIT
find {DATA}/secrets -type f ! -name claim ! -name first-credentials -exec grep -aohE '[A-Za-z0-9_+/=-]{{24,}}' {{}} + >$w
test -s $w
grep -alF --file=$w /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true
find /var/lib/cloud /run/cloud-init /var/log -type f -exec grep -alF --file=$w {{}} + 2>/dev/null || true
journalctl --boot --output=cat --no-pager | grep -acF --file=$w | grep -v '^0$' || true
"""


def secrets_stay_where_they_are(host: Host) -> Finding:
    """A16: none is in an argument or environment of a process, in the user data, or in a log."""
    return nothing(host, LEAKS, file="/proc /var/lib/cloud /var/log, journal", wanted="no secret of the server")
