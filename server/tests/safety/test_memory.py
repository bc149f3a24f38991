"""What the bodies of requests may take of the machine's memory, all together."""

import gzip
from contextlib import ExitStack
from io import BytesIO

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from trainshed.domain.errors import ApiError, Fault
from trainshed.testing.api import ApiClient
from trainshed.transport.body import MOST_HELD, SMALL, Room, held

MEMORY = pytest.mark.parametrize("engines", ["memory"], indirect=True)
KIB = 1024
LARGE = b"x" * 800 * KIB


def request(body: bytes, **headers: str) -> Request:
    return Request(EnvironBuilder(method="POST", input_stream=BytesIO(body), headers=headers.items()).get_environ())


def test_large_bodies_share_a_room() -> None:
    room = Room(1024 * KIB)
    with held(request(LARGE), room, stranger=False) as first:
        assert first == LARGE
        with pytest.raises(ApiError) as refused, held(request(LARGE), room, stranger=False):
            pass
        assert (refused.value.fault, refused.value.data) == (Fault.BUSY, {"retry_after": 2})
        with held(request(LARGE[:SMALL]), room, stranger=False) as small:
            assert small == LARGE[:SMALL]
    with held(request(LARGE), room, stranger=False) as again:  # both gave all of it back
        assert again == LARGE


def test_a_packed_body_takes_what_it_has_unpacked() -> None:
    room = Room(1024 * KIB)
    packed = gzip.compress(LARGE)
    with ExitStack() as stack:
        stack.enter_context(held(request(packed, **{"Content-Encoding": "gzip"}), room, stranger=False))
        with pytest.raises(ApiError, match="large requests"):
            stack.enter_context(held(request(packed, **{"Content-Encoding": "gzip"}), room, stranger=False))


def test_a_handler_that_fails_gives_its_room_back() -> None:
    room = Room(1024 * KIB)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), held(request(LARGE), room, stranger=False):
            raise ZeroDivisionError


@MEMORY
def test_a_busy_server_tells_when_to_try_again(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Room, size: int) -> None:
        raise ApiError(Fault.BUSY, retry_after=2)

    monkeypatch.setattr(Room, "take", full)
    reply = api.send("/tasks.get_all", b'{"name": "' + LARGE + b'"}')
    assert (reply.pair, reply.headers["Retry-After"]) == ((429, 3), "2")
    assert api.error("tasks.get_all") == (200, 0)


@MEMORY
@pytest.mark.parametrize("empty", [b"[],", b"{},"])
def test_a_body_that_would_be_twenty_times_as_large_when_decoded(api: ApiClient, empty: bytes) -> None:
    pairs = MOST_HELD // 80
    assert api.send("/tasks.get_all", b'{"x": [' + empty * pairs + b"0]}").pair == (413, 0)


@MEMORY
@pytest.mark.parametrize("name", ["accounts.login", "accounts.login_by_name", "accounts.redeem", "debug.ping"])
def test_strangers_send_small_bodies_only(api: ApiClient, name: str) -> None:
    assert api.authorized("").send(f"/{name}", b" " * (SMALL + 1)).pair == (413, 0)
