"""Configuration classes: TOML there and back, strictness, sentences; and the choice of device, number type, seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.config import from_mapping, from_toml, to_toml, with_settings
from mien.errors import InputError
from mien.oneshot.config import OneShotConfig
from mien.render_config import RenderConfig
from mien.runtime import pick_device, pick_dtype, seeded, set_threads
from mien.training.config import TrainConfig


@dataclass(frozen=True)
class InnerConfig:
    cut: Annotated[int, "where"] = 3


@dataclass(frozen=True)
class OuterConfig:
    needed: Annotated[str, "must be given"]
    rate: Annotated[float, "how fast"] = 0.5
    kind: Annotated[Literal["a", "b"], "which"] = "a"
    count: Annotated[int | None, "None: all"] = None
    sizes: Annotated[tuple[int, ...], "in pixels"] = (32, 64)
    pair: Annotated[tuple[int, float], "two"] = (1, 2.0)
    weights: Annotated[Mapping[str, float], "by folder"] = field(default_factory=dict)
    where: Annotated[Path, "a file"] = Path("x")
    on: Annotated[bool, "or off"] = False
    inner: Annotated[InnerConfig, "nested"] = InnerConfig()

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("rate must not be negative")


@given(
    needed=st.text(), rate=st.floats(0, 1e9), kind=st.sampled_from(["a", "b"]), count=st.none() | st.integers(-(2**62), 2**62),
    sizes=st.lists(st.integers(0, 2048)).map(tuple), on=st.booleans(), cut=st.integers(0, 9),
    weights=st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0, 9), max_size=3),
)  # fmt: skip
def test_toml_there_and_back(cut: int, **values: Any) -> None:
    config = OuterConfig(inner=InnerConfig(cut), **values)
    path = Path("/tmp") / "unused"
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    text = to_toml(config)
    # A lone surrogate is no text that a file could hold.
    if text.encode("utf-8", "ignore").decode() == text:
        assert from_mapping(OuterConfig, tomllib.loads(text), str(path)) == config


def test_toml_file_has_the_sentences(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(to_toml(OuterConfig("x")), encoding="utf-8")
    assert "# how fast\nrate = 0.5" in file.read_text(encoding="utf-8")
    assert "# nested\n[inner]\n# where\ncut = 3" in file.read_text(encoding="utf-8")
    assert from_toml(OuterConfig, file) == OuterConfig("x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('needed = "x"\nsped = 1', "no setting 'sped'"),
        ("rate = 1.0", "lacks 'needed'"),
        ('needed = "x"\nrate = "fast"', "must be float"),
        ('needed = "x"\non = 1', "must be bool"),
        ('needed = "x"\ncount = true', "must be int"),
        ('needed = "x"\nkind = "c"', "one of a, b"),
        ('needed = "x"\npair = [1]', "2 values"),
        ('needed = "x"\nsizes = [1, "2"]', "must be int"),
        ('needed = "x"\nrate = -1.0', "must not be negative"),
        ('needed = "x"\n[inner]\ncat = 1', "no setting 'cat'"),
        ("needed = ", "cannot be read as TOML"),
    ],
)
def test_wrong_files_get_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        from_toml(OuterConfig, file)
    assert "\n" not in str(caught.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        from_toml(OuterConfig, tmp_path / "none.toml")


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(InputError, match="no device 'tpu'"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="not available"):
            pick_device("cuda")


def test_dtypes() -> None:
    assert (pick_dtype("float32"), pick_dtype("bfloat16")) == (torch.float32, torch.bfloat16)
    with pytest.raises(InputError, match="no number type"):
        pick_dtype("int7")


def test_threads() -> None:
    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    set_threads(None)
    assert torch.get_num_threads() == 1
    set_threads(before)
    with pytest.raises(InputError, match="from 1 to"):
        set_threads(0)


def test_seeds() -> None:
    assert torch.equal(torch.randn(3, generator=seeded(5)), torch.randn(3, generator=seeded(5)))
    assert not torch.equal(torch.randn(3, generator=seeded(5)), torch.randn(3, generator=seeded(6)))
    with pytest.raises(InputError, match="whole number"):
        seeded(-1)


def test_runs_of_before_are_read_by_the_names_of_today() -> None:
    found = from_mapping(TrainConfig, {"data": "faces", "soft_ground": True, "reconstruction": {"detail_share": 0.25}})
    assert found.blurred_background
    assert found.reconstruction.feature_code_share == 0.25


def test_each_setting_goes_to_the_first_configuration_that_has_it() -> None:
    drawing, learning = with_settings({"strength": 0.5, "steps": 3, "seed": 7}, RenderConfig(), OneShotConfig(batch=1))
    assert (drawing, learning) == (RenderConfig(strength=0.5), OneShotConfig(steps=3, seed=7, batch=1))
    with pytest.raises(InputError, match=r"no setting 'zzz' here: the settings are strength, .* steps"):
        with_settings({"zzz": 1}, RenderConfig(), OneShotConfig())
