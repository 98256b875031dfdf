"""The settings of rendering: what is refused, and that command and library start from the same."""

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from mien.cli.options import DrawFlags, RenderFlags
from mien.config import settings
from mien.editing.config import Control, Strength
from mien.errors import InputError
from mien.inversion.config import InvertConfig
from mien.latents import USUAL_FIDELITY
from mien.render_config import RenderConfig


def test_the_command_starts_from_the_defaults_of_the_library() -> None:
    library = replace(RenderConfig(), strength=Strength.of(RenderConfig().strength))
    assert RenderFlags().config() == DrawFlags().config() == library


def test_every_flag_reaches_its_setting() -> None:
    given = RenderFlags("coarse=1,middle=0.5,fine=2", 0.3, "w+", 7, True).config(Control({"eyes": 1.0}, {"nose": 0.5}))
    plain = RenderConfig()
    assert all(getattr(given, f.name) != getattr(plain, f.name) for f in fields(given) if f.name not in ("upscale", "hair"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strength": -1.0}, "strength"),
        ({"fidelity": 1.5}, "fidelity"),
        ({"refine_steps": -1}, "refinement"),
        ({"inverter": "magic"}, "magic"),
        ({"keep": {"ear": 1.0}}, "eyes, brows"),
        ({"keep": {"eyes": 1.0}, "exaggerate": {"eyes": 1.0}}, "kept and exaggerated"),
        ({"upscale": "much"}, "upscale"),
        ({"upscale": 0.5}, "upscale"),
        ({"upscale": True}, "upscale"),
    ],
)
def test_what_cannot_be_is_refused_at_once(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RenderConfig(**wrong)


def test_an_inverter_is_a_name_or_all_its_settings() -> None:
    assert RenderConfig(inverter="iterated").inversion == InvertConfig("iterated")
    assert RenderConfig(inverter=InvertConfig("w", 3)).inversion == InvertConfig("w", 3)


def test_the_sentence_of_fidelity_tells_the_usual_value() -> None:
    sentence = next(s.sentence for s in settings(RenderConfig) if s.name == "fidelity")
    assert f"None: {USUAL_FIDELITY}," in sentence


def test_settings_can_be_read_without_torch() -> None:
    code = (
        "import sys; from mien.config import settings; from mien.render_config import RenderConfig;"
        "assert all(s.sentence for s in settings(RenderConfig)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
