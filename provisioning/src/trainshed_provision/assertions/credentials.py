"""Accounts and secrets: nobody's password, key or token is in the image."""

from trainshed_provision.assertions.result import Finding, Host

LOCKED = {"!", "!!", "*", "!*"}


def no_password_hash(host: Host) -> Finding:
    """A02: hashed defaults too; the scanners of the clouds take a build-time hash for a default password."""
    rows = [line.split(":") for line in host.run("cat /etc/shadow").stdout.splitlines()]
    bad = [name for name, field, *_ in rows if field not in LOCKED]
    return Finding(ok=not bad, file="/etc/shadow", found=" ".join(bad) or "all locked", wanted="every account locked")
