"""It starts everywhere we say it does: drivers, console, disks, cloud-init."""

from trainshed_provision.architecture import ARM64
from trainshed_provision.assertions.result import Finding, Host, booted, nothing, settings

DRIVERS = (
    *("nvme", "ena", "virtio_blk", "virtio_net", "virtio_scsi", "gve", "xen-blkfront"),
    *("ahci", "ata_piix", "sr_mod", "vmxnet3", "hv_storvsc", "hv_netvsc"),
)
DRIVERS_OF_PCS = ("vmw_pvscsi",)  # Debian has it for no other machine
DATASOURCES = "datasource_list: [NoCloud, ConfigDrive, OVF, Azure, Ec2, GCE, None]"
FULL = 0.9  # of its partition: a file system has tables of its own
GRUB = "/boot/grub/grub.cfg"


def _is_pc(host: Host) -> bool:
    return host.run("dpkg --print-architecture").stdout.strip() != ARM64.name


def drivers(host: Host) -> Finding:
    """B02: built into the kernel, or in the initial RAM file system, for the disks and networks of each target."""
    seen = host.run("lsinitramfs /boot/initrd.img-*; cat /usr/lib/modules/*/modules.builtin").stdout
    wanted = DRIVERS + (DRIVERS_OF_PCS if _is_pc(host) else ())
    missing = [driver for driver in wanted if f"/{driver}.ko" not in seen]
    return Finding(
        ok=not missing,
        file="/boot/initrd.img",
        found=f"missing: {' '.join(missing) or 'none'}",
        wanted=" ".join(wanted),
    )


def _command_line(host: Host, wanted: str) -> Finding:
    file = "/proc/cmdline" if booted(host) else GRUB
    return Finding(
        ok=wanted in host.run(f"cat {file}").stdout, file=file, found=f"with or without {wanted}", wanted=wanted
    )


def serial_console(host: Host) -> Finding:
    """B03: both clouds show the serial port and nothing else."""
    return _command_line(host, "console=ttyS0")


def nvme_timeout(host: Host) -> Finding:
    """B04: a slow network disk is waited for, not given up."""
    return _command_line(host, "nvme_core.io_timeout=4294967295")


def partitions(host: Host) -> Finding:
    """B05: GPT with an EFI system partition and, where there is a BIOS, a BIOS boot partition."""
    disk = "/dev/$(lsblk -no PKNAME $(findmnt -no SOURCE /))"
    table = host.run(f"sfdisk --dump {disk}").stdout.upper()
    wanted = {
        "GPT": "LABEL: GPT",
        "ESP": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    }
    if _is_pc(host):
        wanted["BIOS boot"] = "21686148-6449-6E6F-744E-656564454649"
    missing = [name for name, mark in wanted.items() if mark not in table]
    return Finding(
        ok=not missing, file="partition table", found=f"missing: {missing or 'none'}", wanted=", ".join(wanted)
    )


def fstab(host: Host) -> Finding:
    """B06: by label or UUID, never by a name that another machine gives to another disk."""
    rows = [line.split() for line in host.run("cat /etc/fstab").stdout.splitlines() if line and line[0] != "#"]
    named = all(row[0].startswith(("LABEL=", "UUID=", "PARTUUID=")) for row in rows)
    data = [row[3] for row in rows if row[1] == "/var/lib/trainshed"]
    ok = named and len(data) == 1 and "nofail" in data[0] and "x-systemd.device-timeout=" in data[0]
    return Finding(
        ok=ok,
        file="/etc/fstab",
        found="; ".join(" ".join(r) for r in rows),
        wanted="LABEL or UUID; data nofail, timeout",
    )


def root_is_grown(host: Host) -> Finding:
    """B07: the root file system fills its partition, and the partition its disk."""
    size = "lsblk -bdnro SIZE"
    command = f"p=$(findmnt -no SOURCE /); findmnt -bno SIZE /; {size} $p; {size} /dev/$(lsblk -no PKNAME $p)"
    sizes = [int(word) for word in host.run(command).stdout.split()]
    ok = len(sizes) == 3 and sizes[0] > FULL * sizes[1] and sizes[1] > FULL * sizes[2]
    return Finding(ok=ok, file="/", found=f"{sizes} bytes", wanted="file system, partition and disk about the same")


CLOCK = "/etc/systemd/timesyncd.conf.d/10-trainshed.conf"
CLOCKS = "169.254.169.123 169.254.169.254 0.debian.pool.ntp.org 1.debian.pool.ntp.org"


def clock(host: Host) -> Finding:
    """B08: the clocks of AWS and GCP, which need no way to the world, then Debian's; on GCE DHCP names its own first."""
    command = f"cat {CLOCK}; echo systemd-timesyncd $(systemctl is-enabled systemd-timesyncd)"
    return settings(host, command, file=CLOCK, wanted={"FallbackNTP": CLOCKS, "systemd-timesyncd": "enabled"})


def packets_as_the_network_says(host: Host) -> Finding:
    """B10: no MTU of ours; DHCP says it, and on GCE it is 1460."""
    command = (
        "grep -rliE 'mtu' /etc/systemd/network /etc/netplan /etc/cloud/cloud.cfg.d /etc/sysctl.d 2>/dev/null; true"
    )
    return nothing(host, command, file="/etc", wanted="no MTU")


REGION = r"\b(us|eu|ap|sa|ca|me|af|il|mx)-(north|south|east|west|central)[a-z]*-?[0-9]\b"


def belongs_to_no_region(host: Host) -> Finding:
    """B17: no region, zone or account in the configuration."""
    command = f"grep -rIlE '{REGION}' /etc/systemd /etc/trainshed /etc/cloud/cloud.cfg.d /etc/apt /etc/default; true"
    return nothing(host, command, file="/etc", wanted="no name of a region")


def datasources(host: Host) -> Finding:
    """B11: the promised ones only."""
    file = "/etc/cloud/cloud.cfg.d/90_trainshed.cfg"
    found = host.run(f"grep ^datasource_list {file}").stdout.strip()
    return Finding(ok=found.replace('"', "") == DATASOURCES, file=file, found=found or "nothing", wanted=DATASOURCES)


def boots_cleanly(host: Host) -> Finding:
    """B14: no failed unit, an untainted kernel, and cloud-init done without a recoverable error."""
    command = (
        "systemctl --failed --plain --no-legend; grep -v '^0$' /proc/sys/kernel/tainted;"
        " cloud-init status >/tmp/cloud-init-status || cat /tmp/cloud-init-status; rm -f /tmp/cloud-init-status"
    )
    return nothing(host, command, file="systemctl, tainted, cloud-init status", wanted="nothing failed")
