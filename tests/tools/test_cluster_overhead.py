"""The benchmark of the cluster runs, and both ways make the same images."""

from pathlib import Path

import pytest

from toys import script


@pytest.mark.slow
def test_both_ways_are_measured() -> None:
    pytest.importorskip("ray")
    plain, cluster = script(Path(__file__).parents[2] / "tools" / "cluster_overhead.py").measure(2, 0)
    assert all(whole > one > 0 for whole, one in (plain, cluster))
