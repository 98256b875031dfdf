"""What a user of diffusers, rembg or whisper types before reading anything: eleven of twelve work, one says why not."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien

_EXAMPLES = Path(__file__).parent.parent / "examples"

GUESSES = (
    'pipe = mien.Stylizer.from_pretrained("faces")',
    'pipe = mien.Stylizer(); pipe("me.jpg", style="ink").images[0].save("1.png")',
    'pipe = pipe.to("cpu")',
    'mien.stylize(Image.open("me.jpg"), style="ink").save("2.png")',
    'mien.stylize(open("me.jpg", "rb").read(), "reference.png", steps=2).save("3.png")',
    'style = pipe.fit(Image.open("reference.png"), steps=2); style.save("mine.safetensors")',
    'pipe("me.jpg", mien.Style.load("mine.safetensors"), strength=0.8).save("4.png")',
    'assert "ink" in mien.list_styles() and "faces" in mien.list_models()',
    'assert np.asarray(pipe(np.asarray(Image.open("me.jpg")), "ink")).shape == (320, 320, 3)',
    'first, second = pipe(["me.jpg", "me.jpg"], style="ink", refine_steps=0)',
    "help(mien)",
    'pipe("me.jpg", style="ink", seed=3)',
)


@pytest.mark.slow
def test_eleven_of_twelve_guesses_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in (("me.jpg", "face.png"), ("reference.png", "toon.png")):
        Image.open(_EXAMPLES / source).convert("RGB").resize((320, 320)).save(name)
    names, refused, printed = {"mien": mien, "Image": Image, "np": np}, {}, io.StringIO()
    for guess in GUESSES:
        try:
            with contextlib.redirect_stdout(printed):
                exec(guess, names)
        except Exception as error:
            refused[guess] = f"{type(error).__name__}: {error}"
    assert list(refused) == [GUESSES[-1]], refused
    assert "`seed` says how a style is learned: give it to `fit`" in refused[GUESSES[-1]]
    assert len(list(tmp_path.glob("[1-4].png"))) == 4
    assert all(name in printed.getvalue() for name in ("stylize", "Stylizer", "list_styles", "mien.evaluation"))
