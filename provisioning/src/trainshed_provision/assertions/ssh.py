"""How one gets in: by a key, as the one login, and with host keys of this machine alone."""

from trainshed_provision.assertions.result import Finding, Host, nothing, settings

# The effective values, not the files: the first match wins and drop-ins come first. sshd wants a host key even to say
# them, so an image without one lends it one for as long as it takes.
EFFECTIVE = (
    "k=$(mktemp -d) && mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f $k/key"
    " && /usr/sbin/sshd -T -h $k/key; rm -r $k"
)
SSHD = "sshd -T"


def no_passwords(host: Host) -> Finding:
    """S01."""
    return settings(host, EFFECTIVE, file=SSHD, wanted={"passwordauthentication": "no"})


def no_root(host: Host) -> Finding:
    """S02: we keep the strictest of the allowed values."""
    return settings(host, EFFECTIVE, file=SSHD, wanted={"permitrootlogin": "no"})


def hardened(host: Host) -> Finding:
    """S03."""
    wanted = {
        "kbdinteractiveauthentication": "no",
        "permitemptypasswords": "no",
        "x11forwarding": "no",
        "maxauthtries": "4",
    }
    return settings(host, EFFECTIVE, file=SSHD, wanted=wanted)


def no_host_keys(host: Host) -> Finding:
    """S04: one key in many machines is nobody's key."""
    return nothing(host, "find /etc/ssh -name 'ssh_host_*'", file="/etc/ssh", wanted="no host keys")


def cloud_init_keeps_it(host: Host) -> Finding:
    """S07: cloud-init neither lets passwords or root in nor keeps the host keys of another machine."""
    wanted = {"ssh_pwauth:": "false", "disable_root:": "true", "ssh_deletekeys:": "true"}
    command = "cat /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg"
    return settings(host, command, file="/etc/cloud", wanted=wanted)


def no_old_trust(host: Host) -> Finding:
    """S08."""
    names = r"\( -name known_hosts -o -name .rhosts -o -name .shosts -o -name hosts.equiv \)"
    return nothing(host, f"find /root /home /etc {names}", file="/root /home /etc", wanted="no trust files")


def is_reachable(host: Host) -> Finding:
    """S06: sshd listens on port 22 of every address, and the firewall asks nobody where he comes from."""
    rows = [line.split()[3] for line in host.run("ss -Hltn").stdout.splitlines()]
    rules = host.run("/usr/sbin/nft list ruleset").stdout
    wide = {"0.0.0.0:22", "*:22", "[::]:22"} & set(rows)
    ok = bool(wide) and " saddr " not in rules
    found = f"{' '.join(sorted(wide)) or 'nobody'}, {'with' if ' saddr ' in rules else 'without'} a rule on addresses"
    return Finding(ok=ok, file="ss -ltn, nft list ruleset", found=found, wanted="port 22 for every address")
