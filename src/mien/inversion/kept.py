"""What is the same for every image that a model is given: worked out once, and not again for the same weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from torch import nn

from mien.checkpoint.native import digest

T = TypeVar("T")


class LastOfModel(Generic[T]):
    """The last value that was worked out from networks. One alone is kept, as it may hold images."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # who asks meanwhile waits, rather than work it out as well
        self._kept: tuple[object, T] | None = None

    def get(self, networks: Sequence[nn.Module | None], settings: Sequence[object], work: Callable[[], T]) -> T:
        """What `work` gave for networks of the same weights and for equal `settings`; else what it gives now."""
        key = (*("" if network is None else digest(network.state_dict()) for network in networks), *settings)
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, work())
            return self._kept[1]
