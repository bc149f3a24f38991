"""`trainshed-health FILE`: whether a server on this machine answers on all that it listens on.

FILE is what the server was told to write with `trainshed.ready_file`: an address a line. Exit code 0 if all answer, else 1.
It is for what asks every few seconds, as containers are asked, so it imports nothing of the server: that takes half a second.
"""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = 3.0
_REPLY = 1024  # bytes: the first line is all that is read of it


def main(argv: list[str] | None = None) -> int:
    """Ask, and say what does not answer."""
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: trainshed-health FILE", file=sys.stderr)
        return 1
    try:
        addresses = Path(words[0]).read_text().split()
    except OSError as error:
        print(f"the server is not ready: {words[0]}: {error.strerror}")
        return 1
    wrong = [f"{address}: {trouble}" for address in addresses if (trouble := ask(address))]
    print("\n".join(wrong) or "all answer: " + " ".join(addresses))
    return 1 if wrong or not addresses else 0


def ask(address: str) -> str:
    """What is wrong with the server there; "" when nothing is."""
    url = urlsplit(address)
    try:
        plain = socket.create_connection((url.hostname or "", url.port or 0), timeout=_SECONDS)
        with plain, _encrypted(plain) if url.scheme == "https" else plain as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
            first = connection.recv(_REPLY).partition(b"\r\n")[0].decode("latin-1")
    except OSError as error:
        return str(error)
    return "" if first.split(" ")[1:2] == ["200"] else f"it answered {first!r}"


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl  # doubles the time that this takes, and most containers speak plain HTTP

    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing is told, and its certificate has other names than this
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    return anybody.wrap_socket(plain)
