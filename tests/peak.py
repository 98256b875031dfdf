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
{limit}
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


_LIMIT = """
from pathlib import Path
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {more}, used + {more}))
"""


def peak(imports: str, work: str, *, seconds: float = 240, most: float | None = None) -> tuple[str, int]:
    """Run `work` after `imports`; "done" or "refused" (a `MienError`), and the bytes by which the process grew meanwhile.

    On Linux it cannot get more than `most` bytes beside what it has after the imports: then it fails.
    """
    limit = _LIMIT.format(more=int(most)) if most is not None and sys.platform == "linux" else ""
    code = _FRAME.format(source=str(Path(mien.__file__).parent.parent), imports=imports, work=work, limit=limit)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    outcome, grown = run.stdout.split()
    return outcome, int(grown)
