"""The same work on a Ray cluster: every worker loads the model once, and photos go to whoever is free.

A worker that is killed loses nothing: its photos go to another. It doubles nothing either: an image that it wrote before it
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
from mien.media.storage import is_address, is_file

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

    def everywhere(self) -> Task:
        """The same for processes in other folders: files of this one by their whole paths, names as they are."""
        model, encoder = (str(Path(n).absolute()) if n and Path(n).exists() else n for n in (self.model, self.encoder))
        styles = tuple(str(Path(style).absolute()) for style in self.styles)
        return replace(self, model=model, encoder=encoder, styles=styles, regions=self.regions and self.regions.absolute())


@dataclass(frozen=True)
class Share:
    """The images of one photo, and how often a worker was lost with it."""

    jobs: list[Job]
    tries: int = 0


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
            self.broken = error  # told when it is asked: what ends a worker while it begins has no sentence

    def ready(self) -> None:
        """Return when all is loaded; raises what was wrong with it."""
        if self.broken is not None:
            raise self.broken

    def work(self, jobs: Sequence[Job], again: bool) -> list[Done]:
        """The images of one photo; `again`: after a worker was lost with it."""
        there = [job for job in jobs if again and not self.order.overwrite and is_file(job.out)]
        done = [Done(job, self.styles[job.style].name, 0.0) for job in there]
        left = [job for job in jobs if job not in there]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MienWarning)
            done += each_done(self.pipe, self.styles, left, self.order)
        notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, MienWarning)))
        return [replace(one, notes=notes if number == 0 else ()) for number, one in enumerate(done)]


class _Crew:
    """The workers, and which photo each has. Work is given to those alone that have said that they are ready."""

    def __init__(self, ray: Any, task: Task, count: int) -> None:
        on_gpu = {"num_gpus": 1} if task.device.startswith("cuda") else {}
        self.ray, self.task, self.lost_early = ray, task, 0
        self.remote = ray.remote(num_cpus=task.threads, **on_gpu)(Worker)
        self.idle: deque[Any] = deque()
        self.busy: dict[Any, tuple[Any, Share | None]] = {}
        for _ in range(count):
            self.start()

    def start(self) -> None:
        """One more worker."""
        worker = self.remote.remote(self.task)
        self.busy[worker.ready.remote()] = worker, None

    def give(self, share: Share) -> None:
        """Let an idle worker do the images of a photo."""
        worker = self.idle.popleft()
        self.busy[worker.work.remote(share.jobs, share.tries > 0)] = worker, share

    @property
    def at_work(self) -> bool:
        """Whether a photo is being worked on."""
        return any(share is not None for _, share in self.busy.values())

    def next(self) -> tuple[Share | None, list[Done] | None]:
        """Wait until a worker is ready (None), has finished its share or is lost with it (no images)."""
        (ready,), _ = self.ray.wait(list(self.busy), num_returns=1)
        worker, share = self.busy.pop(ready)
        try:
            done: list[Done] | None = self.ray.get(ready)
        except self.ray.exceptions.RayActorError as error:
            self._lose(worker, share, error)
            return share, None
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        self.idle.extend([worker] * (_WAITING if share is None else 1))
        return share, done

    def _lose(self, worker: Any, share: Share | None, error: Exception) -> None:
        self.lost_early += share is None
        if self.lost_early > _TRIES:
            raise InputError("Workers of the cluster die while they load the model: give them more memory.") from error
        self.idle = deque(other for other in self.idle if other is not worker)
        if not any(other is worker for other, _ in self.busy.values()):  # the last of what it had
            self.start()


def each_done_on_ray(task: Task, jobs: Sequence[Job], files: BatchConfig) -> Iterator[Done]:
    """Make the images on the cluster that `files.ray` names, in the order in which they are finished.

    Raises `InputError` where there is no Ray, no such cluster, or no worker that can load the model.
    """
    if not jobs:
        return
    ray = _connected(files)
    try:
        given = {str(_absolute(job.out)): job for job in jobs}
        everywhere = (Job(_absolute(job.photo), job.style, _absolute(job.out)) for job in jobs)
        waiting = deque(Share(list(same)) for _, same in groupby(everywhere, key=lambda job: job.photo))
        there = ray.cluster_resources()
        most = int(there.get("GPU", 0) if task.device.startswith("cuda") else there.get("CPU", 1) / task.threads)
        crew = _Crew(ray, task.everywhere(), max(1, min(files.workers or most, most, len(waiting))))
        while waiting or crew.at_work:
            while waiting and crew.idle:
                crew.give(waiting.popleft())
            share, dones = crew.next()
            if share is not None and dones is None and share.tries + 1 < _TRIES:
                waiting.appendleft(Share(share.jobs, share.tries + 1))
                continue
            for done in [] if share is None else [_lost(job, task) for job in share.jobs] if dones is None else dones:
                for note in done.notes:
                    warnings.warn(note, MienWarning, stacklevel=2)
                yield replace(done, job=given[str(done.job.out)])
    finally:
        ray.shutdown()


def _absolute(path: Path) -> Path:
    """The same for a process in another folder."""
    return path if is_address(path) else path.absolute()


def _connected(files: BatchConfig) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError as error:
        raise InputError('`ray` needs an extra: install it with pip install "mien[cluster]".') from error
    local: dict[str, Any] = {"include_dashboard": False, "num_cpus": files.workers} if files.ray == "local" else {}
    _check_reachable(files.ray or "local")
    try:
        ray.init(address=files.ray, log_to_driver=False, logging_level=logging.ERROR, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"There is no Ray cluster at {files.ray} ({str(error)[:120]}): check the address.") from error
    return ray


def _check_reachable(address: str) -> None:
    """Raise `InputError` where nobody answers at host:port: Ray itself would wait for minutes."""
    found = re.fullmatch(r"(?:ray://)?([^/:]+|\[[^]]+\]):(\d{1,5})", address)
    if found is None:
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"There is no Ray cluster at {address} ({error}): check the address.") from error


def _lost(job: Job, task: Task) -> Done:
    error = InputError(f"{job.photo} ended its worker {_TRIES} times: give a smaller image, or more memory per worker.")
    return Done(job, Path(task.styles[job.style]).stem, 0.0, error=error)
