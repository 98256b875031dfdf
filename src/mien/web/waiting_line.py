"""Queues for long work, in threads: first come, first served; the position is reported, and leaving stops the work."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Generic, TypeVar

from mien.errors import MienError
from mien.runtime import Progress

T = TypeVar("T")
_FEW_STEPS = 3  # before they say nothing about the time that is left


class TooBusyError(MienError):
    """More people wait than the server takes."""


class AbandonedError(MienError):
    """This work is not needed any more: it was stopped, or replaced by newer work."""


@dataclass(frozen=True)
class Status:
    """How far a piece of work is."""

    ahead: int
    """How many wait before it; -1 when its own turn has come."""
    done: int = 0
    total: int = 0
    """Steps; 0 where they are not known yet."""
    seconds_left: float | None = None

    @property
    def running(self) -> bool:
        """Whether its turn has come."""
        return self.ahead < 0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.done / self.total if self.total else 0.0


class Job(Generic[T]):
    """A piece of work in a waiting line."""

    def __init__(self, line: WaitingLine, work: Callable[[Progress], T]) -> None:
        self._line, self._work, self._stopped = line, work, threading.Event()
        self._steps, self._began, self._running = (0, 0), math.nan, False
        self.future: Future[T] = Future()

    def run(self) -> T:
        """Do the work, in a thread of the line."""
        self._line.leave(self)
        self._running, self._began = True, time.monotonic()
        self.advance(0, 0, 0.0)
        return self._work(self.advance)

    def advance(self, done: int, total: int, loss: float) -> None:
        """The progress callback of the work; raises `AbandonedError` in it once the job is stopped."""
        if self._stopped.is_set():
            raise AbandonedError("The work was stopped.")
        self._steps = (done, total)

    def stop(self) -> None:
        """Leave the line, or end at the next step."""
        self._stopped.set()
        self._line.leave(self)
        self.future.cancel()

    @property
    def finished(self) -> bool:
        """Whether there is a result, or an error, or it was stopped."""
        return self.future.done()

    @property
    def status(self) -> Status:
        """Place in the line, and how far it is."""
        if not self._running:
            return Status(self._line.ahead_of(self))
        done, total = self._steps
        spent = time.monotonic() - self._began
        left = spent / done * (total - done) if done >= _FEW_STEPS and total else None
        return Status(-1, done, total, left)

    def result(self) -> T:
        """What the work gave; raises its error, and `AbandonedError` where it was stopped."""
        try:
            return self.future.result()
        except CancelledError as stopped:
            raise AbandonedError("The work was stopped.") from stopped

    def follow(self, every: float = 0.25) -> Iterator[Status]:
        """Its status, again and again, until it is finished. Closing the iterator stops the work: nobody waits for it."""
        try:
            while not self.finished:
                yield self.status
                try:
                    self.future.exception(every)
                except (NotYet, CancelledError):
                    continue
        finally:
            if not self.finished:
                self.stop()


class WaitingLine:
    """A line in which work waits for one of `at_once` threads."""

    def __init__(self, at_once: int, longest: int) -> None:
        self._pool, self._longest = ThreadPoolExecutor(at_once), longest
        self._at_once, self._lock = at_once, threading.Lock()
        self._waiting: list[Job[object]] = []
        self._jobs: list[Job[object]] = []

    def join(self, work: Callable[[Progress], T]) -> Job[T]:
        """Put work at the end of the queue; it is called with a progress callback. Raises `TooBusyError`."""
        job = Job(self, work)
        with self._lock:
            self._jobs = [other for other in self._jobs if not other.finished]
            if len(self._waiting) >= self._longest:
                raise TooBusyError(f"{len(self._waiting)} others are waiting already: try again in a few minutes.")
            self._waiting.append(job)  # type: ignore[arg-type]
            job.future = self._pool.submit(job.run)
            self._jobs.append(job)  # type: ignore[arg-type]
        return job

    @property
    def length(self) -> int:
        """How many wait."""
        with self._lock:
            return len(self._waiting)

    def leave(self, job: Job[T]) -> None:
        """No longer count a job among those that wait."""
        with self._lock:
            self._waiting = [other for other in self._waiting if other is not job]

    def ahead_of(self, job: Job[T]) -> int:
        """How many wait before a job."""
        with self._lock:
            return next((place for place, other in enumerate(self._waiting) if other is job), 0)

    def close(self) -> None:
        """Stop everything."""
        for job in self._jobs:
            job.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
