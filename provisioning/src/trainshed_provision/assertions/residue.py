"""What building an image leaves, and what must be another in every machine made from it."""

import json

from trainshed_provision.assertions.result import Finding, Host, nothing

LOG_BYTES = 50  # a log longer than this has something to say about the build
RELEASE = "/etc/trainshed-release"


def machine_id_is_open(host: Host) -> Finding:
    """I01: empty, so that systemd fills it at first boot without taking the machine for unconfigured."""
    found = host.run("cat /etc/machine-id; cat /var/lib/dbus/machine-id 2>/dev/null").stdout.strip()
    return Finding(ok=not found, file="/etc/machine-id", found=found or "empty", wanted="empty")


def no_cloud_state(host: Host) -> Finding:
    """I02."""
    return nothing(host, "find /var/lib/cloud -mindepth 1 2>/dev/null; true", file="/var/lib/cloud", wanted="empty")


def cloud_init_is_on(host: Host) -> Finding:
    """I03."""
    command = "ls /etc/cloud/cloud-init.disabled 2>/dev/null; grep -rls 'manual_cache_clean: *true' /etc/cloud; true"
    return nothing(host, command, file="/etc/cloud", wanted="cloud-init enabled for each new machine")


def no_histories(host: Host) -> Finding:
    """I04."""
    return nothing(host, "find /root /home -name '.*_history'", file="/root /home", wanted="no shell histories")


def no_logs(host: Host) -> Finding:
    """I05."""
    command = f"find /var/log -type f -size +{LOG_BYTES}c; find /var/log -name '*.gz' -o -name '*.1'"
    return nothing(host, command, file="/var/log", wanted=f"no log over {LOG_BYTES} bytes, none rotated")


def no_temporary_files(host: Host) -> Finding:
    """I06: /tmp cannot be asked from inside, where it is a fresh one; the bake empties it, and /var/tmp shows it did."""
    command = (
        "find /var/tmp -mindepth 1; find /var/crash /var/lib/systemd/coredump -type f 2>/dev/null; stat -c %a /var/tmp"
    )
    found = host.run(command).stdout.split()
    ok = found == ["1777"]
    return Finding(ok=ok, file="/var/tmp", found=" ".join(found), wanted="empty, mode 1777")  # noqa: S108 - looked at


def no_caches(host: Host) -> Finding:
    """I07."""
    command = "find /var/lib/apt/lists /var/cache/apt -type f; ls -d /root/.ansible /root/.cache 2>/dev/null; true"
    return nothing(host, command, file="/var/lib/apt/lists /var/cache/apt /root", wanted="no caches")


def no_host_identity(host: Host) -> Finding:
    """I08."""
    command = (
        "grep -vx localhost /etc/hostname; find /var/lib/dhcp /var/lib/dhcpcd /etc/netplan /etc/systemd/network -type f"
        " 2>/dev/null; true"
    )
    return nothing(host, command, file="/etc/hostname", wanted="localhost; no leases, no network of the builder")


def no_proxies(host: Host) -> Finding:
    """I09: nothing of the builder's way to the network."""
    command = "grep -rliE 'proxy *(=|::|\")' /etc/apt /etc/pip.conf /etc/environment 2>/dev/null; true"
    return nothing(host, command, file="/etc/apt /etc/pip.conf /etc/environment", wanted="no proxy")


def no_random_seed(host: Host) -> Finding:
    """I10."""
    command = "find /var/lib/systemd -name random-seed -o -name credential.secret"
    return nothing(host, command, file="/var/lib/systemd", wanted="no seed, no credential secret")


def build_identity(host: Host) -> Finding:
    """I11: version, commit and its time, for whoever holds the machine and not the manifest."""
    text = host.run(f"cat {RELEASE}").stdout.strip()
    try:
        ok = {"version", "commit", "commit_time"} <= json.loads(text).keys()
    except ValueError:
        ok = False
    return Finding(ok=ok, file=RELEASE, found=text or "nothing", wanted="JSON with version, commit, commit_time")
