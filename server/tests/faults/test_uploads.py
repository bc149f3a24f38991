"""A large upload that is cut again and again, as its client goes or the server dies: what is stored is what was sent."""

import base64
import hashlib
import http.client
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from trainshed.testing.live import LiveServer
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults

_MIB = 2**20
_CUTS = 5
_PATIENCE = 60  # seconds to wait for a server that still reads what a vanished client sent


def block(number: int) -> bytes:
    """A mebibyte like no other."""
    return number.to_bytes(8, "big") + _NOISE


_NOISE = random.Random(5).randbytes(_MIB - 8)


def content(start: int, size: int) -> Iterator[bytes]:
    """The file from byte `start` on."""
    while start < size:
        piece = block(start // _MIB)[start % _MIB :][: size - start]
        yield piece
        start += len(piece)


class Client:
    def __init__(self, server: LiveServer, size: int, digest: str) -> None:
        self._server = server
        self._size = size
        self._headers = {"Authorization": server.authorization(), "Repr-Digest": f"sha-256=:{digest}:"}

    def ask(self) -> int:
        with closing(self._connection()) as connection:
            connection.request("PUT", "/big/file", headers={**self._headers, "Content-Range": f"bytes */{self._size}"})
            reply = connection.getresponse()
            assert reply.status == 202, reply.read()
            return int(reply.headers["Upload-Offset"])

    def send(self, start: int, stop: int) -> int:
        """Send the rest of the file, but go away after byte `stop`; the status if there was an answer, else 0.

        Refused as long as the server still has the part before in its hands.
        """
        end = time.monotonic() + _PATIENCE
        while (status := self._send(start, stop)) == 409:
            assert time.monotonic() < end
            time.sleep(0.1)
            start = settled(self)
        return status

    def _send(self, start: int, stop: int) -> int:
        with closing(self._connection()) as connection:
            connection.putrequest("PUT", "/big/file")
            span = {
                "Content-Range": f"bytes {start}-{self._size - 1}/{self._size}",
                "Content-Length": str(self._size - start),
            }
            for name, value in (self._headers | span).items():
                connection.putheader(name, value)
            connection.endheaders()
            sent = start
            for piece in content(start, self._size):
                if sent >= stop:
                    return 0
                try:
                    connection.send(piece)
                except ConnectionError:  # it was refused before it was read
                    return 409
                sent += len(piece)
            return connection.getresponse().status

    def digest(self) -> str:
        """Of the file as it is downloaded."""
        digest = hashlib.sha256()
        with closing(self._connection()) as connection:
            connection.request("GET", "/big/file", headers=self._headers)
            reply = connection.getresponse()
            assert int(reply.headers["Content-Length"]) == self._size
            while piece := reply.read(_MIB):
                digest.update(piece)
        return base64.b64encode(digest.digest()).decode()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._server.ports["files"], timeout=600)


def settled(client: Client) -> int:
    """Where to go on, once the server has noticed that nothing more comes."""
    end = time.monotonic() + _PATIENCE
    before, held = -1, client.ask()
    while held != before:
        assert time.monotonic() < end
        time.sleep(0.1)
        before, held = held, client.ask()
    return held


def test_an_upload_goes_on_after_each_cut(server: LiveServer) -> None:
    size = times(64, soak=10 * 1024) * _MIB + 12345 - _MIB
    digest = hashlib.sha256()
    for piece in content(0, size):
        digest.update(piece)
    said = base64.b64encode(digest.digest()).decode()
    client = Client(server, size, said)
    chance = random.Random(4)
    starts = [client.ask()]
    for cut in range(_CUTS):
        stop = size * (cut + 1) // (_CUTS + 1) + chance.randrange(_MIB)
        assert client.send(starts[-1], stop) == 0
        if cut % 2:
            server.stop(signal.SIGKILL)
            server.start()
        starts.append(settled(client))
        assert starts[-2] < starts[-1] <= stop + 2 * _MIB
    assert client.send(starts[-1], size + 1) == 200
    assert client.digest() == said
    assert list((server.data / "files" / ".trainshed-uploads").iterdir()) == []
    assert server.stop() == 0
    assert "Traceback" not in server.log()
