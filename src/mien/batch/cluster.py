"""The same work on a Ray cluster: every worker loads the model once, and photos go to whoever is free.

A worker that is killed loses nothing: its photos go to another. It doubles nothing either: a picture that it wrote before it
could say so is there, appears whole or not at all, and is not made again.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.batch.config import BatchConfig
from mien.batch.plan import Job
from mien.batch.work import Done, Order, each_done
from mien.errors import InputError, MienError, MienWarning

_TRIES = 3  # of a photo whose worker is lost
_WAITING = 2  # photos that a worker has: one at work, one at hand


@dataclass(frozen=True)
class Task:
    """All that a worker needs, by names and paths that it can open itself."""

    order: Order
    styles: tuple[str, ...]
    model: str | Path | None = None
    encoder: str | Path | None = None
    regions: Path | None = None
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1


class Worker:
    """A process of the cluster."""

    def __init__(self, task: Task) -> None:
        """Load everything, once."""
        from mien.checkpoint.regions_file import Regions
        from mien.pipeline import Stylizer
        from mien.runtime import set_threads
        from mien.styles import open_style

        set_threads(min(task.threads, os.cpu_count() or 1))
        self.order = task.order
        self.broken: MienError | None = None
        try:
            self.pipe = Stylizer.load(task.model, encoder=task.encoder, device=task.device, dtype=task.dtype)
            if task.regions is not None:
                self.pipe.regions = Regions.load(task.regions)
                self.pipe.regions.check_fits(self.pipe.model.generator, self.pipe.digest)
            self.styles = [open_style(Path(path), self.pipe.model) for path in task.styles]
        except MienError as error:
            self.broken = error  # told with the first photo: what ends a worker while it begins has no sentence

    def work(self, jobs: Sequence[Job], again: bool) -> list[Done]:
        """The pictures of one photo; `again`: after a worker was lost with it."""
        if self.broken is not None:
            raise self.broken
        there = [job for job in jobs if again and not self.order.overwrite and job.out.is_file()]
        done = [Done(job, self.styles[job.style].name, 0.0) for job in there]
        left = [job for job in jobs if job not in there]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MienWarning)
            done += each_done(self.pipe, self.styles, left, self.order)
        notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, MienWarning)))
        return [replace(one, notes=notes if number == 0 else ()) for number, one in enumerate(done)]


def each_done_on_ray(task: Task, jobs: Sequence[Job], files: BatchConfig) -> Iterator[Done]:
    """Make the pictures on the cluster that `files.ray` names, in the order in which they are finished.

    Raises `InputError` where there is no Ray, no such cluster, or no worker that can load the model.
    """
    if not jobs:
        return
    ray = _connected(files)
    waiting = deque((list(same), 0) for _, same in groupby(jobs, key=lambda job: job.photo))
    count = min(files.workers or max(1, int(ray.cluster_resources().get("CPU", 1))), len(waiting))
    on_gpu = {"num_gpus": 1} if task.device.startswith("cuda") else {}
    remote = ray.remote(num_cpus=task.threads, **on_gpu)(Worker)
    idle = deque([remote.remote(task) for _ in range(count)] * _WAITING)
    busy: dict[Any, tuple[Any, list[Job], int]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, (same, tries) = idle.popleft(), waiting.popleft()
                busy[worker.work.remote(same, tries > 0)] = worker, same, tries
            (ready,), _ = ray.wait(list(busy), num_returns=1)
            worker, same, tries = busy.pop(ready)
            try:
                dones = ray.get(ready)
            except ray.exceptions.RayActorError:
                gone = worker
                idle = deque(w for w in idle if w is not gone)
                if not any(w is gone for w, _, _ in busy.values()):  # the last of what it had
                    idle.extend([remote.remote(task)] * _WAITING)
                if tries + 1 < _TRIES:
                    waiting.appendleft((same, tries + 1))
                else:
                    yield from (_lost(job, task) for job in same)
                continue
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            idle.append(worker)
            for done in dones:
                for note in done.notes:
                    warnings.warn(note, MienWarning, stacklevel=2)
                yield done
    finally:
        ray.shutdown()


def _connected(files: BatchConfig) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError as error:
        raise InputError('`ray` needs the extra of it: install it with pip install "mien[cluster]".') from error
    local: dict[str, Any] = {"include_dashboard": False, "num_cpus": files.workers} if files.ray == "local" else {}
    _check_answer(files.ray or "local")
    try:
        ray.init(address=files.ray, log_to_driver=False, logging_level=logging.ERROR, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"There is no Ray cluster at {files.ray} ({str(error)[:120]}): check the address.") from error
    return ray


def _check_answer(address: str) -> None:
    """Raise `InputError` where nobody answers at host:port: Ray itself would wait for minutes."""
    found = re.fullmatch(r"(?:ray://)?([^/:]+|\[[^]]+\]):(\d{1,5})", address)
    if found is None:
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"There is no Ray cluster at {address} ({error}): check the address.") from error


def _lost(job: Job, task: Task) -> Done:
    error = InputError(f"{job.photo} ended its worker {_TRIES} times: give a smaller picture, or more memory per worker.")
    return Done(job, Path(task.styles[job.style]).stem, 0.0, error=error)
