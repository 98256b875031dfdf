"""Shared fixtures: the folder of outside data, reproducible torch, and a count of the tests that lacked that folder."""

import os
from collections import Counter
from pathlib import Path

import pytest
import torch

# Several workers share the cores: one thread each, also in the processes that tests start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

_REPOSITORY = Path(__file__).parent.parent
_NEEDS_DATA = "needs ../shared"


def shared_folder() -> Path | None:
    """`MIEN_SHARED` or the `shared` folder beside the repository, where there is one."""
    folder = Path(os.environ.get("MIEN_SHARED", _REPOSITORY.parent / "shared"))
    return folder if (folder / "parity").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of parity data and images; skips the test where it is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip(f"{_NEEDS_DATA} (or MIEN_SHARED): parity data and images that are not part of the project")
    return folder


# Whole files, and single tests of others, that run whole commands, learn, or draw at full size; some tests say so themselves.
_SLOW = (
    "batch/test_cluster.py", "checkpoint/test_checkpoint.py", "checkpoint/test_limits.py", "checkpoint/test_parity.py",
    "cli/test_verbs.py", "evaluation/test_model_report.py", "evaluation/test_preference_study.py",
    "exporters/test_export_style.py", "faces/test_detect.py",
    "inversion/test_inversion.py::test_the_prior", "inversion/test_inversion.py::test_optimization",
    "mappers/test_engines.py", "mappers/test_generator_mapper.py::test_the_same_codes",
    "oneshot/test_gaze.py::test_the_layout", "oneshot/test_style_mixing.py::test_a_fit_goes_on",
    "oneshot/test_style_mixing.py::test_options", "streaming/test_frame_engine.py::test_drawing_beside",
    "test_end_to_end.py", "test_limits_page.py", "test_pipeline.py::test_control", "test_pipeline.py::test_fidelity",
    "test_pipeline.py::test_inverters", "test_pipeline.py::test_refinement", "test_pipeline.py::test_several",
    "test_pipeline.py::test_without_a_fidelity", "tools/", "training/test_distributed.py",
    "training/test_run.py::test_an_encoder", "training/test_run.py::test_grown_stages",
    "video/test_whole_clip.py::test_memory", "web/test_desk.py", "web/test_page.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and begin with the files that have it: short tests then fill the last seconds of every worker.

    Among them those come first that have few such tests, as these are the longest.
    """
    for item in items:
        if f"{item.path.relative_to(Path(__file__).parent).as_posix()}::{item.name}".startswith(_SLOW):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: slow.get(item.path, len(items)))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# Tests may skip where their data is absent, and the number is said; where the data is there, skipping is a failure.
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every test that skipped for lack of the outside data."""
    if report.skipped and _NEEDS_DATA in str(report.longrepr):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a test skipped although the data is there."""
    if _skipped and shared_folder() is not None and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests lacked the outside data."""
    folder = shared_folder()
    where = f"data found in {folder}" if folder else "no ../shared and no MIEN_SHARED here"
    terminalreporter.write_line(f"tests skipped for lack of the data in ../shared: {len(_skipped)} ({where})")
    if folder is not None:
        for name in _skipped:
            terminalreporter.write_line(f"FAILED {name}: skipped although its data is there", red=True)
