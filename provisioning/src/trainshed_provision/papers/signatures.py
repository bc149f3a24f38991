"""Signatures in minisign's format: what `shed sign` writes, `minisign -V` accepts, and the reverse.

Ed25519 of the `cryptography` library, not the minisign program: a password comes by file or environment and never by a
prompt, and a machine that launches an image needs no further program. The tests hold it against the real one.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers.files import write

ENDING = ".minisig"
KEY_VARIABLE = "TRAINSHED_SIGNING_KEY_FILE"
PASSWORD_VARIABLE = "TRAINSHED_SIGNING_PASSWORD"  # noqa: S105 - its name, and with _FILE that of the file
PUBLIC_VARIABLE = "TRAINSHED_PUBLIC_KEY"

PLAIN, HASHED = b"Ed", b"ED"  # kinds of keys, and of signatures: of the content's BLAKE2b-512, minisign's default
TRUSTED = "trusted comment: "
ENCRYPTED, OPEN = b"Sc", b"\0\0"  # key files: by scrypt, or as it is
CHECKSUM = b"B2"
MAX_SCRYPT_BYTES = (1 << 30) + (1 << 20)  # minisign's own cost is 1 GiB; a key file that asks for more is no key file


@dataclass(frozen=True)
class PublicKey:
    """Who is believed. id: 8 bytes that tell keys apart; key: Ed25519, 32 bytes."""

    id: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return self.id[::-1].hex().upper()

    def text(self) -> str:
        """The one line that `minisign -P` takes."""
        return base64.b64encode(PLAIN + self.id + self.key).decode()

    def holds(self, signature: bytes, content: bytes) -> bool:
        """Whether this key's owner signed `content`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, content)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """From a minisign.pub or its last line. Raises CORRUPT."""
        raw = _base64(_lines(text)[-1], "public key")
        if len(raw) != 42 or raw[:2] != PLAIN:
            raise _corrupt("this is no minisign public key", "it is one line of 56 letters, in the file minisign.pub")
        return cls(raw[2:10], raw[10:])


@dataclass(frozen=True)
class SecretKey:
    """Who signs. seed: 32 bytes, shown to nobody."""

    id: bytes
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The half to hand out."""
        return PublicKey(self.id, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, content: bytes) -> bytes:
        """64 bytes, the same for the same content."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(content)

    @classmethod
    def parse(cls, text: str, password: str | None = None) -> "SecretKey":
        """From the text of a minisign.key. Raises CORRUPT, MISSING without a password, REFUSED for a wrong one."""
        raw = _base64(_lines(text)[-1], "secret key")
        if len(raw) != 158 or raw[:2] != PLAIN or raw[2:4] not in (ENCRYPTED, OPEN) or raw[4:6] != CHECKSUM:
            raise _corrupt(
                "this is no minisign secret key", "make one with: minisign -G -p trainshed.pub -s trainshed.key"
            )
        body = raw[54:]
        if raw[2:4] == ENCRYPTED:
            if password is None:
                raise ShedError(
                    "the signing key is encrypted, and there is no password",
                    hint=f"set {PASSWORD_VARIABLE}_FILE to a file that holds it",
                    code=Exit.MISSING,
                )
            body = bytes(a ^ b for a, b in zip(body, _stretch(password, raw[6:54], len(body)), strict=True))
        identity, seed, public, checksum = body[:8], body[8:40], body[40:72], body[72:]
        summed = hashlib.blake2b(PLAIN + identity + seed + public, digest_size=32).digest()
        if raw[2:4] == ENCRYPTED and summed != checksum:
            raise ShedError("wrong password for the signing key", hint="nothing was signed", code=Exit.REFUSED)
        key = cls(identity, seed)
        if key.public.key != public:  # minisign writes no checksum into an open key; its halves tell as well
            raise _corrupt("the signing key is damaged: its halves do not fit", "take it from your backup")
        return key


def _stretch(password: str, parameters: bytes, length: int) -> bytes:
    """The key stream over the secret key, by the scrypt costs that libsodium derives from its two limits."""
    salt, ops, memory = parameters[:32], *(int.from_bytes(parameters[i : i + 8], "little") for i in (32, 40))
    ops = max(ops, 32768)
    by_time = ops < memory // 32
    most = ops // 32 if by_time else memory // 1024
    bits = max(1, (most // 2).bit_length())
    rounds = 1 if by_time else max(1, ops // 4 // (1 << bits) // 8)
    if (1024 << bits) > MAX_SCRYPT_BYTES:
        raise _corrupt("the signing key asks for more memory than minisign ever does", "take it from your backup")
    bound = (1024 << bits) + (1 << 20)
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << bits, r=8, p=rounds, maxmem=bound, dklen=length)


def sign(file: Path, key: SecretKey) -> Path:
    """Write <file>.minisig and return it."""
    return write(signature_of(file), _signature(_blake2b(file), file.name, key))


def signature_text(content: bytes, name: str, key: SecretKey) -> str:
    """The signature of a file that is not there yet."""
    return _signature(hashlib.blake2b(content).digest(), name, key)


def _signature(digest: bytes, name: str, key: SecretKey) -> str:
    """The four lines. The trusted comment holds the file's name: the signature vouches for no other."""
    signature, comment = key.sign(digest), f"file:{name}\thashed"
    lines = [
        f"untrusted comment: verify with: minisign -Vm {name} -P {key.public.text()}",
        base64.b64encode(HASHED + key.id + signature).decode(),
        TRUSTED + comment,
        base64.b64encode(key.sign(signature + comment.encode())).decode(),
    ]
    return "\n".join(lines) + "\n"


def signature_of(file: Path) -> Path:
    """Where the signature of a file is."""
    return file.with_name(file.name + ENDING)


def verify(file: Path, keys: tuple[PublicKey, ...]) -> PublicKey:
    """Which of `keys` signed the file. MISSING without a signature, CORRUPT for a broken one, REFUSED for a wrong one."""
    return check(_blake2b(file), _read(signature_of(file)), keys, name=file.name, path=file)


def verify_content(content: bytes, signature: str, keys: tuple[PublicKey, ...], *, path: Path) -> PublicKey:
    """The same for a file that has been read, and the text of its signature."""
    return check(hashlib.blake2b(content).digest(), signature, keys, name=path.name, path=path)


def check(digest: bytes, signature: str, keys: tuple[PublicKey, ...], *, name: str, path: Path) -> PublicKey:
    """The same for a BLAKE2b-512 digest of what is signed under `name`. path: for the messages."""
    head, comment, over_all = _parts(signature, signature_of(path))
    key = next((key for key in keys if key.id == head[2:10]), None)
    if key is None:
        known = ", ".join(key.name for key in keys)
        signer = PublicKey(head[2:10], b"").name
        raise _refused(
            f"{path} is signed by the key {signer}, and trusted is {known}", "see «Keys» in docs/supply-chain.md"
        )
    if not key.holds(head[10:], digest) or not key.holds(over_all, head[10:] + comment.encode()):
        raise _refused(f"{path} is not what {key.name} signed", "do not use it; fetch the file and its signature again")
    named = [part.removeprefix("file:") for part in comment.split("\t") if part.startswith("file:")]
    if named and named != [name]:
        raise _refused(f"{path} was signed as {named[0]}", "do not use it as what it is called now")
    return key


def _parts(signature: str, said_in: Path) -> tuple[bytes, str, bytes]:
    """Algorithm, key id and signature; the trusted comment; the signature over both."""
    lines = signature.splitlines()
    if len(lines) >= 4 and lines[2].startswith(TRUSTED):
        head, over_all = _base64(lines[1], str(said_in)), _base64(lines[3], str(said_in))
        if len(head) == 74 and head[:2] == HASHED and len(over_all) == 64:
            return head, lines[2].removeprefix(TRUSTED), over_all
    raise _corrupt(f"{said_in} is no whole minisign signature", "fetch it again")


def load_secret(path: Path | None, environ: Mapping[str, str] = os.environ) -> SecretKey:
    """The signing key, from `path` or $TRAINSHED_SIGNING_KEY_FILE; none is ever made here.

    Its password: $TRAINSHED_SIGNING_PASSWORD_FILE or $TRAINSHED_SIGNING_PASSWORD; never an argument, which all can read.
    Raises MISSING without a key, REFUSED for an open one that others may read.
    """
    named = path or (Path(environ[KEY_VARIABLE]) if environ.get(KEY_VARIABLE) else None)
    if named is None:
        raise ShedError(
            "no key to sign with",
            hint=f"hand it in with --key FILE or {KEY_VARIABLE}; see shed sign --help",
            code=Exit.MISSING,
        )
    text = _read(named)
    password = environ.get(PASSWORD_VARIABLE)
    if file := environ.get(f"{PASSWORD_VARIABLE}_FILE"):
        password = _read(Path(file)).rstrip("\n")
    key = SecretKey.parse(text, password)
    if password is None and named.stat().st_mode & 0o077:
        raise _refused(f"others may read the signing key {named}, and it has no password", f"run: chmod 600 {named}")
    return key


def load_public(given: str | None, environ: Mapping[str, str] = os.environ) -> tuple[PublicKey, ...]:
    """The keys that are trusted, from `given` or $TRAINSHED_PUBLIC_KEY: files or keys themselves, with commas between.

    While a key is being changed there are two.
    """
    said = given or environ.get(PUBLIC_VARIABLE)
    if not said:
        raise ShedError(
            "whose signature is to be believed?",
            hint=f"hand in --public-key FILE or the key itself, or set {PUBLIC_VARIABLE}",
            code=Exit.MISSING,
        )
    return tuple(PublicKey.parse(_key_text(word.strip())) for word in said.split(","))


def _key_text(word: str) -> str:
    return word if word.startswith("RW") and len(word) == 56 else _read(Path(word))  # base64 of "Ed" starts so


def _blake2b(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, hashlib.blake2b).digest()
    except OSError as error:
        raise ShedError(f"cannot read {file}: {error.strerror}", code=Exit.MISSING) from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise _corrupt(f"{path} is not text", "hand in what minisign wrote") from error
    except OSError as error:
        raise ShedError(f"cannot read {path}: {error.strerror}", code=Exit.MISSING) from error


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _corrupt(f"{what}: not base64", "hand in what minisign wrote") from error


def _corrupt(message: str, hint: str) -> ShedError:
    return ShedError(message, hint=hint, code=Exit.CORRUPT)


def _refused(message: str, hint: str) -> ShedError:
    return ShedError(message, hint=hint, code=Exit.REFUSED)
