"""The most memory that a piece of Python takes in a process of its own: what docs/limits.md promises is measured with it."""

import os
import subprocess
import sys
from pathlib import Path

import mien

_FRAME = """
import resource, sys
sys.path.insert(0, {source!r})
from mien.errors import MienError
{imports}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {work}
    print("done", end=" ")
except MienError as error:
    print("refused", end=" ")
    print(error, file=sys.stderr)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024))
"""


def peak(imports: str, work: str, *, seconds: float = 240) -> tuple[str, int]:
    """Run `work` after `imports`; "done" or "refused" (a `MienError`), and the bytes by which the process grew meanwhile."""
    code = _FRAME.format(source=str(Path(mien.__file__).parent.parent), imports=imports, work=work)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    outcome, grown = run.stdout.split()
    return outcome, int(grown)
