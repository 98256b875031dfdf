"""Put a photo in the style of one image, and in a style that is ready.

python examples/stylize.py examples/face.png examples/poster.png out
"""

import sys
from pathlib import Path

import mien


def main(photo: str, reference: str, out: str, steps: int = 300) -> None:
    """Learn a style from `reference`, draw `photo` in it and in the ready style ink, and keep the style for later."""
    folder = Path(out)
    pipe = mien.Stylizer.load()

    style = pipe.fit(reference, mien.OneShotConfig(steps=steps))
    style.save(folder / "own.safetensors", overwrite=True)

    found = pipe.align(photo)  # read and searched once for both
    for name, look in {"own": style, "ink": mien.Style.load("ink")}.items():
        result = pipe(look, found, mien.RenderConfig(strength=0.9, keep={"eyes": 0.5}))
        print(name, [face.box for face in result.faces], *result.notes)
        result.save(folder / f"{name}.png", overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
