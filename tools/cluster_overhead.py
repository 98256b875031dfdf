"""What a Ray cluster costs beside a plain run: the same photos by one process, and by one worker of a local cluster.

python tools/cluster_overhead.py --photos 200 [--refine 0]

Prints seconds of both (with starting and loading), the median photo of each, and the overhead in per cent. Photos are random
faces of the model that ships with mien, 512 px. It needs `pip install "mien[cluster]"`, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import mien
from mien.errors import MienWarning


def measure(photos: int, refine_steps: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds of the plain run and of the cluster for so many photos: all of it, and the median photo."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        for number, face in enumerate(mien.sample(min(photos, 8), seed=1)):
            for copy in range(number, photos, 8):
                face.resize((512, 512)).save(folder / "photos" / f"{copy:04}.jpg", quality=90)
        config = mien.RenderConfig(refine_steps=refine_steps)
        seconds = []
        for out, ray in (("plain", None), ("cluster", "local")):
            files = mien.batch.BatchConfig(ray=ray, workers=1 if ray else None, report=folder / f"{out}.jsonl")
            begun = time.monotonic()
            done = mien.apply_folder(folder / "photos", "ink", folder / out, config, files=files)
            whole = time.monotonic() - begun
            lines = (folder / f"{out}.jsonl").read_text(encoding="utf-8").splitlines()
            seconds.append((whole, median(json.loads(line)["seconds"] for line in lines)))
            assert done.written == photos, done.failed
        same = [(folder / "plain" / p.name).read_bytes() == p.read_bytes() for p in (folder / "cluster").iterdir()]
        assert all(same), "the cluster made other images"
    return seconds[0], seconds[1]


def main() -> None:
    """The command."""
    import warnings

    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--refine", type=int, default=20, help="refinement steps per face")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # as a worker
    warnings.simplefilter("ignore", MienWarning)
    plain, cluster = measure(asked.photos, asked.refine)
    for name, (whole, one) in (("plain", plain), ("cluster", cluster)):
        print(f"{name}: {asked.photos} photos in {whole:.1f} s, the median one in {one:.3f} s")
    print(f"overhead {(cluster[0] / plain[0] - 1) * 100:+.1f} %")


if __name__ == "__main__":
    main()
