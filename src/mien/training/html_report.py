"""The page of a training run: curves and sample grids in one HTML file that needs no other and no network."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mien.training.run_folder import RunFolder

_CURVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Losses", ("generator", "discriminator")),
    ("Logits", ("real_logit", "fake_logit")),
    ("r_t (mean sign of real logits) and ADA strength", ("real_sign", "ada_p")),
    ("Penalties", ("r1", "path_length", "structure")),
    ("Images per second", ("images_per_second",)),
)
_COLORS = ("#1f6f8b", "#d1495b", "#6a994e")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 560, 180, 52, 22
_POINTS = 400
_GRIDS = 6

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
figure{margin:0 0 1.5em;display:inline-block;vertical-align:top}figcaption{color:#555;margin-bottom:.3em}
svg text{font-size:11px;fill:#666}pre{background:#f4f4f2;padding:1em;overflow:auto}img{max-width:100%;image-rendering:auto}"""


def page(folder: RunFolder) -> str:
    """The HTML of a run, from its statistics, grids, plan and configuration."""
    lines = folder.lines()
    parts = [f"<h1>{html.escape(folder.path.resolve().name)}</h1>"]
    if lines:
        last = lines[-1]
        parts.append(
            f"<p>{last['px']} px, {last['images'] / 1000:.1f}k images, {last['steps']} steps, "
            f"{last['images_per_second']:.1f} images/s, ADA strength {last['ada_p']:.3f}</p>"
        )
    for title, names in _CURVES:
        there = [name for name in names if any(line.get(name) is not None for line in lines)]
        if there:
            parts.append(f"<figure><figcaption>{html.escape(title)}</figcaption>{_chart(lines, there)}</figure>")
    grids = folder.grids()
    step = max(1, math.ceil(len(grids) / _GRIDS))
    for path in grids[::-1][::step]:  # the newest first
        parts.append(_figure(path))
    source = folder.path / "samples" / "source.png"
    if source.exists():
        parts.append(_figure(source))
    for name in ("plan.txt", "data.txt", "config.toml"):
        file = folder.path / name
        if file.exists():
            parts.append(f"<h2>{name}</h2><pre>{html.escape(file.read_text(encoding='utf-8')[:20_000])}</pre>")
    title = html.escape(folder.path.resolve().name)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n'


def _figure(path: Path) -> str:
    with Image.open(path) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><figcaption>{html.escape(path.stem)}</figcaption><img alt="" src="data:image/jpeg;base64,{data}"></figure>'


def _chart(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """One SVG with a curve per name over the number of images."""
    curves = [[(float(line["images"]), float(line[name])) for line in lines if line.get(name) is not None] for name in names]
    xs, ys = [x for c in curves for x, _ in c], [y for c in curves for _, y in c]
    right = max(max(xs), 1.0)
    low, high = min(*ys, 0.0), max(ys)
    high = high if high > low else low + 1.0

    def place(x: float, y: float) -> str:
        return f"{_LEFT + x / right * (_WIDTH - _LEFT - 8):.1f},{8 + (high - y) / (high - low) * (_HEIGHT - _BOTTOM - 8):.1f}"

    shapes = []
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        x, y = place(0, value).split(",")
        shapes.append(f'<path d="M{x} {y}H{_WIDTH - 8}" stroke="#ddd"/><text x="4" y="{float(y) + 4:.1f}">{value:.3g}</text>')
        edge = ("start", "middle", "end")[round(share * 2)]
        x = place(right * share, low).split(",")[0]
        shapes.append(f'<text x="{x}" y="{_HEIGHT - 5}" text-anchor="{edge}">{right * share / 1000:.3g}k</text>')
    for i, (name, curve) in enumerate(zip(names, curves, strict=True)):
        thin = curve[:: max(1, math.ceil(len(curve) / _POINTS))]
        points = " ".join(place(x, y) for x, y in thin)
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{_COLORS[i]}" stroke-width="1.5"/>')
        shapes.append(f'<text x="{_LEFT + 8 + 130 * i}" y="18" style="fill:{_COLORS[i]}">{html.escape(name)}</text>')
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">{"".join(shapes)}</svg>'
