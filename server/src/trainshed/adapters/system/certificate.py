"""A certificate that the server makes for itself, so that TLS needs nobody else: clients are told to trust this one file."""

import ipaddress
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 825  # what Apple's systems still accept
_RENEW = timedelta(days=30)


def own_certificate(folder: Path, names: Iterable[str], *, now: datetime) -> tuple[Path, Path]:
    """The certificate and the key in the folder, made when they are missing, soon expire or lack a name. Raises OSError.

    names: of hosts, and addresses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    wanted = _names(names)
    if not (key.exists() and _serves(certificate, wanted, now)):
        made, private = self_signed(wanted, now=now, days=_DAYS)
        for path, content, mode in ((key, private, 0o600), (certificate, made, 0o644)):
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.touch(mode)
            draft.write_bytes(content)
            draft.replace(path)
    return certificate, key


def left(certificate: Path, *, now: datetime) -> timedelta:
    """How long it still holds. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc - now


def self_signed(names: Iterable[str], *, now: datetime, days: int) -> tuple[bytes, bytes]:
    """A certificate for these names and its key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    told = sorted(_names(names))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trainshed")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in told]), critical=False)
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )  # so that it can be trusted as a file
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def _names(names: Iterable[str]) -> set[str]:
    """As a certificate has them: without brackets and empty ones."""
    return {name.strip("[]").lower() for name in names} - {""}


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _serves(path: Path, names: set[str], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    has = {*said.get_values_for_type(x509.DNSName), *map(str, said.get_values_for_type(x509.IPAddress))}
    return names <= has and found.not_valid_after_utc - now > _RENEW
