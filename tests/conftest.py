"""Shared fixtures: the folder of outside data, and quiet, reproducible torch."""

import os
from pathlib import Path

import pytest
import torch

_REPOSITORY = Path(__file__).parent.parent


def shared_folder() -> Path | None:
    """`MIEN_SHARED` or the `shared` folder beside the repository, where there is one."""
    folder = Path(os.environ.get("MIEN_SHARED", _REPOSITORY.parent / "shared"))
    return folder if (folder / "parity").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of parity data and pictures; skips the test where it is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs ../shared (or MIEN_SHARED): parity data and pictures that are not part of the project")
    return folder


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
