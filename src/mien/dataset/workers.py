"""The same function on many inputs, in this process or in several; results come in the order of the inputs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from mien.errors import InputError

In = TypeVar("In")
Out = TypeVar("Out")

_WAITING = 3  # inputs per worker that are held in memory


def each(work: Callable[[In], Out], inputs: Iterable[In], workers: int) -> Iterator[tuple[In, Out]]:
    """Every input and `work` of it; with more than one worker `work` must be a function of a module.

    Where the caller stops early, what was begun is finished and thrown away.
    """
    if workers <= 1:
        for value in inputs:
            yield value, work(value)
        return
    # Spawned: a forked child would inherit torch's threads in the middle of whatever they do.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        waiting: deque[tuple[In, Future[Out]]] = deque()
        for value in inputs:
            waiting.append((value, pool.submit(work, value)))
            if len(waiting) >= _WAITING * workers:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "A process at work was ended from outside, probably for want of memory: use fewer `workers`."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one stops the others
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
