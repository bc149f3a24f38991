"""The clocks tell time in UTC; the one for tests stands still."""

from datetime import UTC, datetime, timedelta

import pytest

from trainshed.adapters.system.clock import SystemClock
from trainshed.ports.clock import Clock
from trainshed.testing.clock import FakeClock


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=lambda clock: type(clock).__name__)
def test_time_is_in_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_the_system_clock_is_now() -> None:
    before = datetime.now(UTC)
    assert before <= SystemClock().now() <= datetime.now(UTC)


def test_the_fake_clock_moves_when_told() -> None:
    clock = FakeClock()
    start = clock.now()
    assert clock.now() == start
    clock.advance(1.5)
    assert clock.now() == start + timedelta(seconds=1.5)
