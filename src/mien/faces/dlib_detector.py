"""dlib's face detector, which takes half a second to be made: once, and in a thread if somebody says early that it is needed.

torch is not imported here, so that the two can load at the same time.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock, Thread
from typing import Any

_MAKING = Lock()


def frontal_detector() -> Any:
    """The detector of upright faces."""
    with _MAKING:  # a cache alone would have two callers make it twice
        return _made()


@lru_cache(maxsize=1)
def _made() -> Any:
    import dlib  # here: only images whose faces must be looked for need it

    return dlib.get_frontal_face_detector()


def make_detector_ahead() -> None:
    """Make it in a thread, while something else is loaded; dlib lets other threads run meanwhile."""
    Thread(target=frontal_detector, name="detector", daemon=True).start()
