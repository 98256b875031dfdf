"""The detector is made once, also if it is asked for while it is being made."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mien.faces import dlib_detector


def test_the_detector_is_made_once_and_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    made, begun = [], threading.Event()

    def slowly() -> object:
        made.append(threading.current_thread().name)
        begun.set()
        time.sleep(0.2)
        return object()

    monkeypatch.setitem(sys.modules, "dlib", SimpleNamespace(get_frontal_face_detector=slowly))
    dlib_detector._made.cache_clear()
    try:
        dlib_detector.make_detector_ahead()
        assert begun.wait(30)
        assert dlib_detector.frontal_detector() is dlib_detector.frontal_detector()
        assert made == ["detector"]
    finally:
        dlib_detector._made.cache_clear()


def test_it_needs_no_torch() -> None:
    code = "import sys, mien.faces.dlib_detector; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
