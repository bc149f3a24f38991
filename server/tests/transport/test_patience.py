"""What a request may take of a listener, with the listener's part played by the test."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from trainshed.domain.errors import ApiError
from trainshed.transport import patience
from trainshed.transport.patience import Watch


class Protocol:
    """Keeps the status of its answer."""

    def __init__(self) -> None:
        self.status: int | None = None

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status


class Stream:
    """A body; keeps how much was asked for at once."""

    def __init__(self, content: bytes, during: Callable[[], object] = lambda: None) -> None:
        self._content = content
        self._during = during
        self.asked: list[int] = []

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        self._during()
        piece, self._content = self._content[:size], self._content[size:]
        return piece


def scope(stream: Stream, length: int, address: str = "192.0.2.1") -> dict[str, Any]:
    return {"REMOTE_ADDR": address, "REQUEST_METHOD": "PUT", "CONTENT_LENGTH": str(length), "wsgi.input": stream}


def whole(scope: dict[str, Any]) -> bytes:
    return b"".join(iter(lambda: scope["wsgi.input"].read(2**18), b""))


def test_pieces_of_a_body_grow_as_long_as_it_comes_quickly() -> None:
    content = bytes(range(256)) * 4000
    stream = Stream(content)
    got: list[bytes] = []
    Watch().guard(1, lambda protocol, scope: got.append(whole(scope)))(Protocol(), scope(stream, len(content)))
    assert got == [content]
    assert stream.asked[:6] == [2**14, 2**15, 2**16, 2**17, 2**18, 2**18]


def test_a_body_is_not_asked_for_more_than_it_has() -> None:
    stream = Stream(b"ten bytes.")
    Watch().guard(1, lambda protocol, scope: whole(scope))(Protocol(), scope(stream, 10))
    assert len(stream.asked) == 1


def test_a_late_body_is_answered_by_another_thread_and_ends_the_request() -> None:
    watch = Watch(0.0)
    protocol = Protocol()
    late = Stream(b"late", lambda: watch._answer_late_bodies(float("inf")))
    with pytest.raises(ApiError, match="too slowly"):
        watch.guard(1, lambda protocol, scope: whole(scope))(protocol, scope(late, 4))
    assert protocol.status == 429


def test_one_address_cannot_take_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests beyond the share are refused at once; another address is served, and so is it when they have ended."""
    monkeypatch.setattr(patience, "THREADS", 16)
    watch = Watch()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        begun.release()
        go_on.wait()

    run = watch.guard(1, lambda protocol, scope: whole(scope))
    waiting = [threading.Thread(target=run, args=(Protocol(), scope(Stream(b"x", wait), 1))) for _ in range(12)]
    for thread in waiting:
        thread.start()
    for _ in waiting:
        begun.acquire()
    refused, other, later = Protocol(), Protocol(), Protocol()
    served: list[Any] = []
    run = watch.guard(1, lambda protocol, scope: served.append(scope["REMOTE_ADDR"]))
    run(refused, scope(Stream(b""), 0))
    run(other, scope(Stream(b""), 0, "192.0.2.2"))
    go_on.set()
    for thread in waiting:
        thread.join()
    run(later, scope(Stream(b""), 0))
    assert (refused.status, other.status, later.status) == (429, None, None)
    assert served == ["192.0.2.2", "192.0.2.1"]


def test_requests_that_wait_for_their_clients_leave_their_turn_to_others() -> None:
    """More of them than may work at once: all get there."""
    count = patience._AT_WORK + 1
    together = threading.Barrier(count)
    run = Watch().guard(1, lambda protocol, scope: whole(scope))
    waiting = [
        threading.Thread(target=run, args=(Protocol(), scope(Stream(b"x", lambda: together.wait(30)), 1)))
        for _ in range(count)
    ]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert not together.broken
