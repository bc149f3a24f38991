"""Signatures: ours and the real minisign's are the same, and what is not signed by whom we trust is refused."""

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import signatures
from trainshed_provision.papers.signatures import PublicKey, SecretKey

KEY = SecretKey(b"12345678", bytes(range(32)))
OTHER = SecretKey(b"87654321", bytes(32))
MINISIGN = shutil.which("minisign")
real = pytest.mark.skipif(MINISIGN is None, reason="minisign is not installed: ./bootstrap setup")


def key_text(key: SecretKey, password: str | None = None, *, ops: int = 0, memory: int = 1 << 16) -> str:
    """A minisign.key, at a cost of our choice: minisign's own takes seconds."""
    body = key.id + key.seed + key.public.key
    body += hashlib.blake2b(b"Ed" + body, digest_size=32).digest()
    head = b"Ed" + (b"\0\0" if password is None else b"Sc") + b"B2" + b"s" * 32 + ops.to_bytes(8, "little")
    if password is not None:
        stream = hashlib.scrypt(password.encode(), salt=b"s" * 32, n=64, r=8, p=16, dklen=104)
        body = bytes(a ^ b for a, b in zip(body, stream, strict=True))
    return "untrusted comment: a key\n" + base64.b64encode(head + memory.to_bytes(8, "little") + body).decode() + "\n"


def signed(folder: Path, content: bytes = b"content") -> Path:
    file = folder / "image.qcow2"
    file.write_bytes(content)
    signatures.sign(file, KEY)
    return file


def minisign(*words: str | Path, stdin: str = "") -> None:
    subprocess.run([str(MINISIGN), *map(str, words)], input=stdin, capture_output=True, text=True, check=True)


def test_what_is_signed_is_believed_of_the_key_that_signed_it(tmp_path: Path) -> None:
    assert signatures.verify(signed(tmp_path), (OTHER.public, KEY.public)) == KEY.public


def test_signing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    first = signatures.signature_of(signed(tmp_path)).read_bytes()
    assert signatures.signature_of(signed(tmp_path)).read_bytes() == first


@real
def test_minisign_verifies_ours(tmp_path: Path) -> None:
    minisign("-Vm", signed(tmp_path), "-P", KEY.public.text())
    (tmp_path / "image.qcow2").write_bytes(b"Content")
    with pytest.raises(subprocess.CalledProcessError):
        minisign("-Vm", tmp_path / "image.qcow2", "-P", KEY.public.text())


@real
def test_we_read_minisigns_keys_and_verify_what_it_signed(tmp_path: Path) -> None:
    secret, public, file = tmp_path / "m.key", tmp_path / "m.pub", tmp_path / "file"
    file.write_bytes(b"content")
    minisign("-GWp", public, "-s", secret)
    minisign("-Sm", file, "-s", secret)
    (key,) = signatures.load_public(str(public), {})
    assert signatures.verify(file, (key,)) == key == signatures.load_secret(secret, {}).public


@real
@pytest.mark.image  # a gigabyte and seconds of scrypt
def test_we_open_a_key_that_minisign_encrypted(tmp_path: Path) -> None:
    secret, public = tmp_path / "m.key", tmp_path / "m.pub"
    minisign("-Gp", public, "-s", secret, stdin="secret\nsecret\n")
    assert SecretKey.parse(secret.read_text(), "secret").public == PublicKey.parse(public.read_text())
    with pytest.raises(ShedError, match="wrong password"):
        SecretKey.parse(secret.read_text(), "Secret")


def test_an_encrypted_key_is_opened_by_its_password_alone() -> None:
    text = key_text(KEY, "secret")
    assert SecretKey.parse(text, "secret") == KEY
    with pytest.raises(ShedError, match="wrong password") as caught:
        SecretKey.parse(text, "Secret")
    assert caught.value.code == Exit.REFUSED
    with pytest.raises(ShedError, match="no password") as caught:
        SecretKey.parse(text)
    assert caught.value.code == Exit.MISSING


def test_a_key_file_that_asks_for_all_memory_is_none() -> None:
    with pytest.raises(ShedError, match="more memory"):
        SecretKey.parse(key_text(KEY, "secret", ops=1 << 50, memory=1 << 50), "secret")


def test_a_damaged_key_is_not_used() -> None:
    wrong = SecretKey(KEY.id, KEY.seed)
    text = base64.b64decode(key_text(wrong).splitlines()[1])
    damaged = base64.b64encode(text[:70] + bytes([text[70] ^ 1]) + text[71:]).decode()
    with pytest.raises(ShedError, match="damaged"):
        SecretKey.parse(damaged)


def test_the_seed_is_never_shown() -> None:
    assert repr(KEY) == "SecretKey(id=b'12345678')"


@pytest.mark.parametrize("text", ["", "x", "RWQ=", "RWRRFT6b", "\n\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    for parse in (SecretKey.parse, PublicKey.parse):
        with pytest.raises(ShedError) as caught:
            parse(text)
        assert caught.value.code == Exit.CORRUPT


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    file = signed(tmp_path)
    file.write_bytes(b"Content")
    with pytest.raises(ShedError, match=r"is not what .* signed") as caught:
        signatures.verify(file, (KEY.public,))
    assert caught.value.code == Exit.REFUSED


def test_a_changed_trusted_comment_is_refused(tmp_path: Path) -> None:
    file = signed(tmp_path)
    signature = signatures.signature_of(file)
    signature.write_text(signature.read_text().replace("file:image", "file:Image"))
    with pytest.raises(ShedError, match="is not what"):
        signatures.verify(file, (KEY.public,))


def test_an_image_under_another_ones_name_is_refused(tmp_path: Path) -> None:
    file = signed(tmp_path)
    newer = tmp_path / "newer.qcow2"
    file.rename(newer)
    signatures.signature_of(file).rename(signatures.signature_of(newer))
    with pytest.raises(ShedError, match=r"was signed as image\.qcow2") as caught:
        signatures.verify(newer, (KEY.public,))
    assert caught.value.code == Exit.REFUSED


def test_a_key_we_do_not_trust_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=f"{KEY.public.name}, and trusted is {OTHER.public.name}"):
        signatures.verify(signed(tmp_path), (OTHER.public,))


@pytest.mark.parametrize("keep", range(0, 250, 10))
def test_a_truncated_signature_is_refused_wherever_it_ends(tmp_path: Path, keep: int) -> None:
    file = signed(tmp_path)
    signature = signatures.signature_of(file)
    signature.write_text(signature.read_text()[:keep])
    with pytest.raises(ShedError) as caught:
        signatures.verify(file, (KEY.public,))
    assert caught.value.code in (Exit.CORRUPT, Exit.REFUSED)


def test_a_missing_signature_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ShedError, match=r"cannot read .*minisig") as caught:
        signatures.verify(tmp_path / "file", (KEY.public,))
    assert caught.value.code == Exit.MISSING


def test_the_key_and_its_password_come_by_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(key_text(KEY, "secret"))
    (tmp_path / "password").write_text("secret\n")
    environ = {
        "TRAINSHED_SIGNING_KEY_FILE": str(tmp_path / "key"),
        "TRAINSHED_SIGNING_PASSWORD_FILE": str(tmp_path / "password"),
    }
    assert signatures.load_secret(None, environ) == KEY


def test_no_key_is_made_by_itself() -> None:
    with pytest.raises(ShedError, match="no key to sign with") as caught:
        signatures.load_secret(None, {})
    assert caught.value.code == Exit.MISSING


def test_an_open_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(key_text(KEY))
    key.chmod(0o640)
    with pytest.raises(ShedError, match="others may read") as caught:
        signatures.load_secret(key, {})
    assert caught.value.hint == f"run: chmod 600 {key}"
    key.chmod(0o600)
    assert signatures.load_secret(key, {}) == KEY


def test_two_keys_are_trusted_while_one_follows_the_other(tmp_path: Path) -> None:
    (tmp_path / "old.pub").write_text(f"untrusted comment: old\n{OTHER.public.text()}\n")
    given = f"{tmp_path / 'old.pub'},{KEY.public.text()}"
    assert signatures.load_public(given, {}) == (OTHER.public, KEY.public)
