"""The socket that a listener accepts from."""

import socket
from contextlib import closing

from trainshed.transport import listener


def test_connections_are_asked_whether_their_client_is_there() -> None:
    with closing(listener._listening("127.0.0.1", 0)) as listening:
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
