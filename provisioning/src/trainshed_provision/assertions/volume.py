"""The data volume: formatted only when blank, grown while in use, and never replaced by the root disk."""

from trainshed_provision.assertions.result import Finding, Host, settings

PROGRAM = "/usr/local/sbin/trainshed-data"
MOUNT = "/var/lib/trainshed"
FULL = 0.9  # of the disk: a file system has tables of its own

# Asks the program about files that look like disks. RUNTIME_DIRECTORY keeps its reports out of the real place.
TRIAL = f"""
d=$(mktemp -d) && cd $d && export RUNTIME_DIRECTORY=$d
truncate -s 300M blank blank2 foreign
mke2fs -q -F -L somebodys-data foreign
{PROGRAM} choose blank; {PROGRAM} choose blank foreign
for disks in foreign 'blank blank2'; do {PROGRAM} choose $disks 2>/dev/null || echo refused; done
cd / && rm -r $d
"""


def formats_only_blank_disks(host: Host) -> Finding:
    """D01: tried, not read: blank is taken, a signature is not, two candidates are refused."""
    found = host.run(TRIAL).stdout.split("\n")[:-1]
    wanted = ["format blank", "format blank", "refused", "refused"]
    return Finding(ok=found == wanted, file=PROGRAM, found=", ".join(found), wanted=", ".join(wanted))


def never_on_the_root_disk(host: Host) -> Finding:
    """D02: the server has the mount as a condition of its start."""
    wanted = {"Requires": "var-lib-trainshed.mount", "AssertPathIsMountPoint": MOUNT}
    return settings(
        host, "cat /etc/systemd/system/trainshed.service", file="/etc/systemd/system/trainshed.service", wanted=wanted
    )


def is_mounted(host: Host) -> Finding:
    """D02: the data is on a file system with our label."""
    label = host.run(f"findmnt -no LABEL --mountpoint {MOUNT}").stdout.strip()
    return Finding(
        ok=label == "trainshed-data", file=MOUNT, found=label or "not mounted", wanted="label trainshed-data"
    )


def is_grown(host: Host) -> Finding:
    """D03: the file system fills its disk."""
    command = f"findmnt -bno SIZE --mountpoint {MOUNT}; lsblk -bdnro SIZE $(findmnt -no SOURCE --mountpoint {MOUNT})"
    sizes = [int(word) for word in host.run(command).stdout.split()]
    ok = len(sizes) == 2 and sizes[0] > FULL * sizes[1]
    return Finding(ok=ok, file=MOUNT, found=f"{sizes} bytes", wanted="file system and disk about the same")
