"""Background jobs: one process does each, it ends when told, and a failure does not end it."""

import logging
import threading

import pytest

from trainshed.bootstrap import Engines, Periodic
from trainshed.domain.errors import StoreFull
from trainshed.testing.api import ApiClient

_INTERVAL = 900.0


def test_one_of_several_processes_does_the_job(api: ApiClient, engines: Engines) -> None:
    done: list[str] = []

    def job(name: str) -> Periodic:
        def step() -> bool:
            done.append(name)
            return len(done) % 2 == 1  # more to do, once

        return Periodic("job", step, seconds=_INTERVAL, cache=engines.cache)

    first, second = job("first"), job("second")
    first.turn()
    second.turn()
    assert done == ["first", "first"]
    api.move_clock(_INTERVAL)
    second.turn()
    first.turn()
    assert done == ["first", "first", "second", "second"]


def test_a_long_job_stays_with_its_process(api: ApiClient, engines: Engines) -> None:
    """It takes longer than the time between two rounds; another process looks for work all the while."""
    done: list[str] = []

    def step(name: str) -> bool:
        done.append(name)
        api.move_clock(200)
        if name == "first":
            second.turn()
        return len(done) < 10

    second = Periodic("job", lambda: step("second"), seconds=15, cache=engines.cache)
    Periodic("job", lambda: step("first"), seconds=15, cache=engines.cache).turn()
    assert done == ["first"] * 10
    api.move_clock(15)
    second.turn()
    assert done[-1] == "second"


def test_a_clock_that_is_set_back_by_a_day_costs_a_round(api: ApiClient, engines: Engines) -> None:
    done: list[bool] = []

    def step() -> bool:
        done.append(True)
        return False

    job = Periodic("job", step, seconds=_INTERVAL, cache=engines.cache)
    job.turn()
    api.move_clock(-86_400)
    for _ in range(2):
        api.move_clock(_INTERVAL)
        job.turn()
    assert len(done) == 2


@pytest.mark.parametrize("error", [StoreFull("no space"), OSError("a bug"), KeyError("another")])
def test_a_failure_is_logged_once_and_tried_again(
    api: ApiClient, engines: Engines, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    failing = [True]

    def step() -> bool:
        if failing[0]:
            raise error
        return False

    job = Periodic("a job", step, seconds=15, cache=engines.cache)
    messages = []
    with caplog.at_level(logging.INFO, logger="trainshed"):
        for fails in (True, True, True, False, False, True):
            failing[0] = fails
            job.turn()
            api.move_clock(15)
        messages = [record.getMessage() for record in caplog.records]
    said = f"a job failed ({error}); it is tried again every 15 seconds"
    assert messages == [said, "a job works again", said]


def test_a_full_disk_under_the_lease(
    api: ApiClient, engines: Engines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def step() -> bool:
        done.append(1)
        return False

    def full(*_: object) -> None:
        raise StoreFull("no space")

    job = Periodic("job", step, seconds=15, cache=engines.cache)
    with monkeypatch.context() as patched:
        patched.setattr(engines.cache, "add", full)
        patched.setattr(engines.cache, "set", full)
        job.turn()
        job.turn()
    assert (done, len(caplog.records)) == ([], 1)
    job.turn()
    assert done == [1]


def test_it_stands_aside_as_long_as_it_worked(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 2.0, 5.0, 5.5, 7.0])  # its two steps that leave something take 2 s and 0.5 s
    monkeypatch.setattr("trainshed.bootstrap.time.monotonic", lambda: next(moments))
    left = iter([True, True, False])
    job = Periodic("job", lambda: next(left), seconds=_INTERVAL, cache=engines.cache)
    rests: list[float | None] = []
    monkeypatch.setattr(job._stopping, "wait", rests.append)
    job.turn()
    assert rests == [2.0, 0.5]


def test_it_ends_in_the_middle_of_its_work(engines: Engines) -> None:
    begun = threading.Event()

    def step() -> bool:
        begun.set()
        return True  # for ever

    job = Periodic("job", step, seconds=_INTERVAL, cache=engines.cache)
    job.start()
    assert begun.wait(10)
    job.stop()


def test_a_job_begins_at_once_and_ends_when_told(engines: Engines) -> None:
    def step() -> bool:
        job._stopping.set()
        return True

    job = Periodic("job", step, seconds=_INTERVAL, cache=engines.cache)
    job.start()
    job.stop()
