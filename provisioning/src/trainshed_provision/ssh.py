"""Into a machine by ssh: one key pair per machine, its host key remembered at the first visit."""

import logging
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trainshed_provision.errors import Exit, ShedError

RETRY_SECONDS = 1.0
CONNECT_SECONDS = 60.0  # a handshake takes up to 20 s under software emulation


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where and as whom. key: private key file. known_hosts: written at the first visit, checked at the next.

    patience: seconds to go on trying when nobody answers.
    """

    port: int
    key: Path
    known_hosts: Path
    host: str = "127.0.0.1"
    user: str = "admin"
    patience: float = 30.0

    def argv(self, *command: str) -> list[str]:
        """The same by the ssh program, for a person to type."""
        options = ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=accept-new"]
        return ["ssh", "-i", str(self.key), "-p", str(self.port), *options, f"{self.user}@{self.host}", *command]


def run(login: Login, argv: Sequence[str], *, timeout: float = 120.0) -> str:
    """Run argv there and return its standard output.

    timeout: seconds without output. Raises ShedError(FAILED) when the machine cannot be reached or the command fails.
    """
    command = shlex.join(argv)
    with session(login) as client:
        _, out, err = client.exec_command(command, timeout=timeout)  # an argument list, quoted # nosec B601
        text, complaint = out.read().decode(), err.read().decode(errors="replace")
        code = out.channel.recv_exit_status()
    if code:
        raise ShedError(f"`{command}` in the machine failed with exit code {code}: {complaint.strip()}")
    return text


@contextmanager
def session(login: Login) -> Iterator[paramiko.SSHClient]:
    """A session that checks the host key. Raises ShedError(FAILED) when it cannot be had or breaks off."""
    try:
        with _connect_patiently(login) as client:
            yield client
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise ShedError(
            f"no ssh to {login.user}@{login.host} port {login.port}: {error}",
            hint=f"try: {shlex.join(login.argv())}",
            code=Exit.FAILED,
        ) from error


def make_key(private: Path, *, comment: str) -> None:
    """Write an ed25519 pair: the private half with mode 0600, the public one beside it as <name>.pub."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    private.with_name(private.name + ".pub").write_bytes(public + f" {comment}\n".encode())
    half = private.with_name(private.name + ".part")
    half.touch(mode=0o600)
    half.write_bytes(secret)
    half.rename(private)


def _connect_patiently(login: Login) -> paramiko.SSHClient:
    """Connect, and try again where nobody answers or the answer breaks off: sshd restarts while a machine sets itself up."""
    late = time.monotonic() + login.patience
    while True:
        try:
            return _connect(login)
        except (paramiko.AuthenticationException, paramiko.BadHostKeyException):
            raise
        except (OSError, EOFError, paramiko.SSHException):
            if time.monotonic() > late:
                raise
            time.sleep(RETRY_SECONDS)


def _connect(login: Login) -> paramiko.SSHClient:
    # What fails is raised; the log would print it a second time, as a stack.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    client = paramiko.SSHClient()
    login.known_hosts.touch(mode=0o600)
    client.load_host_keys(str(login.known_hosts))
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - the machine was made a moment ago, by us
    client.connect(
        login.host,
        login.port,
        login.user,
        key_filename=str(login.key),
        timeout=CONNECT_SECONDS,
        banner_timeout=CONNECT_SECONDS,
        auth_timeout=CONNECT_SECONDS,
        allow_agent=False,
        look_for_keys=False,
    )
    return client
