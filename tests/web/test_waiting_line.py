"""Waiting lines: the order, the places that are told, stopping, and how many may wait."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from mien.errors import InputError
from mien.runtime import Progress
from mien.web.waiting_line import AbandonedError, Job, TooBusyError, WaitingLine

SECONDS = 20
T = TypeVar("T")


@pytest.fixture
def line() -> Iterator[WaitingLine]:
    made = WaitingLine(1, 3)
    yield made
    made.close()


def until(gate: threading.Event, steps: int = 10_000) -> Callable[[Progress], str]:
    """Work that goes on, step by step, until a gate opens."""

    def work(progress: Progress) -> str:
        for step in range(steps):
            progress(step, steps, 0.0)
            if gate.wait(0.005):
                return "done"
        raise AssertionError("nobody opened the gate")

    return work


def begun(job: Job[T]) -> Job[T]:
    """The job, once its turn has come."""
    deadline = time.monotonic() + SECONDS
    while not job.status.running and time.monotonic() < deadline:
        time.sleep(0.005)
    return job


def test_work_is_done_in_order_and_places_are_told(line: WaitingLine) -> None:
    gate = threading.Event()
    order: list[str] = []
    first = begun(line.join(until(gate)))
    second = line.join(lambda progress: order.append("second"))
    third = line.join(lambda progress: order.append("third"))
    assert (first.status.ahead, second.status.ahead, third.status.ahead) == (-1, 0, 1)
    gate.set()
    third.future.result(SECONDS)
    assert first.result() == "done"
    assert order == ["second", "third"]


def test_two_threads_work_at_once() -> None:
    line, met = WaitingLine(2, 2), threading.Barrier(2)
    try:
        jobs = [line.join(lambda progress: met.wait(SECONDS)) for _ in range(2)]
        assert sorted(job.future.result(SECONDS) for job in jobs) == [0, 1]
    finally:
        line.close()


def test_following_tells_steps_and_closing_it_stops_the_work(line: WaitingLine) -> None:
    job = line.join(until(threading.Event()))
    statuses = job.follow(every=0.01)
    seen = next(status for status in statuses if status.done > 3)
    assert seen.running
    assert 0 < seen.share < 1
    assert seen.seconds_left is not None
    statuses.close()
    with pytest.raises(AbandonedError):
        job.future.result(SECONDS)


def test_who_leaves_the_line_is_not_served(line: WaitingLine) -> None:
    gate, served = threading.Event(), []
    begun(line.join(until(gate)))
    waiting = line.join(lambda progress: served.append(1))
    last = line.join(lambda progress: "last")
    waiting.stop()
    assert last.status.ahead == 0
    gate.set()
    assert last.future.result(SECONDS) == "last"
    assert not served
    with pytest.raises(AbandonedError):
        waiting.result()


def test_a_full_line_takes_nobody(line: WaitingLine) -> None:
    gate = threading.Event()
    begun(line.join(until(gate)))
    for _ in range(3):
        line.join(lambda progress: None)
    with pytest.raises(TooBusyError, match="3 others are waiting already"):
        line.join(lambda progress: None)
    gate.set()


def test_errors_of_the_work_are_the_callers(line: WaitingLine) -> None:
    def work(progress: Progress) -> None:
        raise InputError("No face was found.")

    job = line.join(work)
    assert all(not status.running or status.done == 0 for status in job.follow(0.01))
    with pytest.raises(InputError, match="No face was found"):
        job.result()
