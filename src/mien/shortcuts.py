"""`Stylizer` in single calls, with the model opened for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from PIL import Image

from mien.config import with_settings
from mien.errors import InputError
from mien.faces.config import AlignConfig
from mien.inversion.methods import Inversion
from mien.media.image_input import ImageLike
from mien.oneshot.config import OneShotConfig
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.styles import StyleLike, is_style

_DRAWING = {field.name for field in fields(RenderConfig)}


def stylize(
    photo: ImageLike, reference: ImageLike | Sequence[ImageLike] | None = None, *, style: StyleLike | None = None,
    config: RenderConfig | None = None, learning: OneShotConfig | None = None, model: str | Path | Stylizer | None = None,
    progress: Progress | None = None, **settings: Any,
) -> Image.Image:  # fmt: skip
    """Redraw every face of a photo in the style of a reference (learned first, in a minute or two), or in a finished `style`.

    `reference` is an image, or a few of one style; `style` the name of a ready one or a file: give one of the two. `config`
    says how it is drawn, `learning` how it is learned, and `settings` are any of both by name, as in `strength=0.8, steps=200`.
    `model` is a name or file, or a `Stylizer`, which is faster for many photos. Raises `FaceNotFoundError` where there is no
    face, and `InputError`.

    >>> mien.stylize("me.jpg", style="ink").save("stylized.png")
    """
    if style is None and is_style(reference):
        reference, style = None, reference
    if (reference is None) == (style is None):
        raise InputError("A photo takes its style either from a reference or from a finished style: give one of the two.")
    of_learning = next((name for name in settings if name not in _DRAWING), None)
    config, learning = with_settings(settings, config or RenderConfig(), learning or OneShotConfig())
    if of_learning and style is not None:
        raise InputError(f"`{of_learning}` says how a style is learned, and a finished style is given: leave it out.")
    pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
    found = pipe.align(photo, AlignConfig().one() if config.crop else AlignConfig())  # told before a style is learned
    if style is not None:
        look = pipe.style(style)
    else:
        assert reference is not None
        look = pipe.fit(reference, learning, progress=progress)
    return pipe.apply(look, found, config).image


def invert(
    photo: ImageLike, config: RenderConfig | None = None, *, align: AlignConfig | None = None,
    model: str | Path | Stylizer | None = None, progress: Progress | None = None,
) -> Inversion:  # fmt: skip
    """The code of one face (the largest, unless `align` says otherwise), and what the model renders for it.

    Only the inverter and `refine_steps` of `config` are used. `model` as for `stylize`.

    >>> inversion = mien.invert("me.jpg", mien.RenderConfig(inverter="iterated"))
    >>> inversion.image.save("inverted.png")
    """
    pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
    return pipe.invert(photo, config, align=align, progress=progress)


def sample(
    count: int = 1,
    *,
    seed: int = 0,
    psi: float = 0.7,
    style: StyleLike | None = None,
    model: str | Path | Stylizer | None = None,
) -> list[Image.Image]:  # fmt: skip
    """Random synthetic faces, in the model's own look or in a style; the same seed gives the same faces.

    `psi` is the truncation: 0 is the mean face, 1 the model's whole variety. `model` as for `stylize`.

    >>> mien.sample(4, seed=1)[0].save("face.png")
    """
    pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
    return pipe.sample(count, seed=seed, psi=psi, style=style)
