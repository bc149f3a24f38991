"""What an attacker finds: few doors, strict settings, nothing to write to, logs that cannot fill the disk."""

import re

from trainshed_provision.assertions.result import Finding, Host, booted, nothing, settings

SYSCTL_FILE = "/etc/sysctl.d/80-trainshed.conf"
SYSCTLS = {
    "kernel.panic": "10",
    "kernel.randomize_va_space": "2",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv4.conf.all.log_martians": "1",
    "net.ipv4.conf.all.rp_filter": "1",
    "net.ipv4.conf.all.secure_redirects": "1",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    "net.ipv4.icmp_ignore_bogus_error_responses": "1",
    "net.ipv4.tcp_syncookies": "1",
}

# ssh, web, api, files; DHCP answers.
OPEN = {"tcp:22", "tcp:8080", "tcp:8008", "tcp:8081", "udp:68", "udp:546"}
# With TLS there is one more, which sends http to https; the firewall lets nobody reach it but by port 80.
REDIRECT = "tcp:8000"
FIREWALL = "/etc/trainshed/firewall.nft"
PORTS = {"22", "8008", "8080", "8081"}

PROGRAMS_SET_ID = (
    *("chage", "chfn", "chsh", "expiry", "gpasswd", "mount"),
    *("newgrp", "passwd", "ssh-agent", "su", "sudo", "umount"),
)
# Reviewed: each is Debian's own and needed for sudo, logins, mounts or D-Bus.
SET_ID = {
    *(f"/usr/bin/{program}" for program in PROGRAMS_SET_ID),
    "/usr/lib/dbus-1.0/dbus-daemon-launch-helper",
    "/usr/lib/openssh/ssh-keysign",
    "/usr/sbin/unix_chkpwd",
}


def listeners(host: Host) -> Finding:
    """H01: nothing but the promised ports answers from outside."""
    rows = [line.split() for line in host.run("ss -Hltun").stdout.splitlines()]
    outside = {f"{row[0]}:{row[4].rpartition(':')[2]}" for row in rows if not _loopback(row[4])}
    extra = sorted(outside - OPEN - {REDIRECT})
    return Finding(
        ok=bool(rows) and not extra, file="ss -ltun", found=" ".join(sorted(outside)), wanted=" ".join(sorted(OPEN))
    )


def _loopback(address: str) -> bool:
    return address.startswith(("127.", "[::1]"))


def firewall(host: Host) -> Finding:
    """H02: whatever else comes to listen, only the promised ports are open; the rules in force where there are any."""
    command = "/usr/sbin/nft list table inet trainshed" if booted(host) else f"cat {FIREWALL}"
    text = " ".join(host.run(command).stdout.split())
    opened = {port for group in re.findall(r"tcp dport \{ ([^}]*) \}", text) for port in group.split(", ")}
    ok = "policy drop" in text and {port.strip() for port in opened} == PORTS
    return Finding(
        ok=ok, file=command, found=text[:200] or "no rules", wanted=f"drop all but {' '.join(sorted(PORTS))}"
    )


def sysctls(host: Host) -> Finding:
    """H03: the values in force where there are any, else those that will be."""
    if booted(host):
        return settings(host, f"/usr/sbin/sysctl {' '.join(SYSCTLS)}", file="sysctl", wanted=SYSCTLS)
    return settings(host, f"cat {SYSCTL_FILE}", file=SYSCTL_FILE, wanted=SYSCTLS)


def no_foreign_writes(host: Host) -> Finding:
    """H05: nothing on a search path is writable by all or owned by anyone but root; set-id files as reviewed."""
    paths = "/usr/bin /usr/sbin /usr/lib /usr/local /opt/trainshed"
    loose = host.run(f"find {paths} -xdev ! -type l \\( -perm /002 -o ! -user root \\)").stdout.split()
    set_id = set(host.run("find /usr /opt -xdev -type f -perm /6000").stdout.split())
    bad = loose + sorted(set_id - SET_ID)
    return Finding(
        ok=not bad, file=paths, found=" ".join(bad) or "as reviewed", wanted="owned by root, set-id as reviewed"
    )


def unused_is_off(host: Host) -> Finding:
    """H06."""
    command = 'for m in cramfs dccp udf; do modprobe --showconfig | grep -qx "install $m /bin/false" || echo $m; done'
    services = "; for s in avahi-daemon cups rpcbind; do systemctl cat $s.service 2>/dev/null | head -1; done"
    return nothing(
        host, command + services, file="/etc/modprobe.d", wanted="cramfs, dccp, udf off; no avahi, cups, rpcbind"
    )


def logs_are_capped(host: Host) -> Finding:
    """H07: the journal, which is the one log we write, and by logrotate those that Debian's programs write."""
    file = "/etc/systemd/journald.conf.d/10-trainshed.conf"
    command = f"cat {file}; echo logrotate.timer $(systemctl is-enabled logrotate.timer)"
    wanted = {"SystemMaxUse": "200M", "RuntimeMaxUse": "50M", "logrotate.timer": "enabled"}
    return settings(host, command, file=file, wanted=wanted)
