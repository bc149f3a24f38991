"""The system below us: supported, and repaired while it runs."""

from datetime import UTC, date, datetime

from trainshed_provision.assertions.result import Finding, Host

# End of long-term support by VERSION_ID of os-release.
SUPPORTED_UNTIL = {"13": date(2030, 6, 30)}
SECURITY_ORIGIN = "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"


def is_supported(host: Host) -> Finding:
    """P01."""
    version = host.run(". /etc/os-release && echo $VERSION_ID").stdout.strip()
    end = SUPPORTED_UNTIL.get(version)
    ok = end is not None and datetime.now(UTC).date() < end
    return Finding(ok=ok, file="/etc/os-release", found=f"{version}, until {end}", wanted="a release still supported")


def security_updates(host: Host) -> Finding:
    """P05: installed by themselves, from the security origin alone."""
    lines = host.run("apt-config dump").stdout.splitlines()
    on = 'APT::Periodic::Unattended-Upgrade "1";' in lines
    origins = [line.split('"')[1] for line in lines if line.startswith("Unattended-Upgrade::Origins-Pattern:: ")]
    timer = host.run("systemctl is-enabled apt-daily-upgrade.timer").stdout.strip()
    return Finding(
        ok=on and origins == [SECURITY_ORIGIN] and timer == "enabled",
        file="/etc/apt/apt.conf.d",
        found=f"on: {on}, timer: {timer}, origins: {origins}",
        wanted=f"on, timer enabled, {SECURITY_ORIGIN} alone",
    )
