"""What somebody would try first in Python works, or says what to do instead."""

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mien
from mien.checkpoint.model_file import write_model
from mien.cli.app import VERBS
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.styles import find_model
from toys import script, tiny, tiny_discriminator

pytestmark = [pytest.mark.filterwarnings("ignore:To the model"), pytest.mark.filterwarnings("ignore:.*was drawn at 32 px")]

R = 32
WHOLE = mien.AlignConfig(aligned=True)
QUICK = mien.OneShotConfig(steps=2, random_from="32px")
PLAIN = mien.RenderConfig(refine_steps=0, upscale="none")


def toy_model() -> Model:
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactEncoderConfig(R, num_ws=8, w_dim=16, width=8, max_width=16))
    return Model(tiny(R), tiny_discriminator(R), encoder)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    torch.manual_seed(3)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6), (64, 64), mode="bicubic").clamp(0, 1)[0]
    return Image.fromarray((smooth.permute(1, 2, 0).numpy() * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def pipe() -> mien.Stylizer:
    return mien.Stylizer(toy_model())


@pytest.fixture(scope="module")
def style(pipe: mien.Stylizer, photo: Image.Image) -> mien.Style:
    return pipe.fit(photo, QUICK, align=WHOLE)


def test_an_image_of_any_kind_goes_in_and_a_pil_image_comes_out(
    pipe: mien.Stylizer, style: mien.Style, photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "me.png")
    data = (tmp_path / "me.png").read_bytes()
    images = [photo, np.asarray(photo), data, io.BytesIO(data), tmp_path / "me.png", str(tmp_path / "me.png")]
    drawn = [pipe(style, image, PLAIN, align=WHOLE).image for image in images]
    assert all(image.tobytes() == drawn[0].tobytes() for image in drawn)
    assert drawn[0].tobytes() != photo.tobytes()
    with_alpha = photo.copy()
    with_alpha.putalpha(128)
    assert pipe(style, with_alpha, PLAIN, align=WHOLE).image.mode == "RGBA"


def test_style_and_photo_in_either_order(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image) -> None:
    wanted = pipe.apply(style, photo, mien.RenderConfig(0.5, refine_steps=0, upscale="none"), align=WHOLE).image.tobytes()
    assert pipe(style, photo, PLAIN, strength=0.5, align=WHOLE).image.tobytes() == wanted
    assert pipe(photo, style=style, config=PLAIN, strength=0.5, align=WHOLE).image.tobytes() == wanted
    with pytest.raises(mien.MienError, match="style and a photo"):
        pipe(photo)  # type: ignore[call-overload]


def test_a_result_shows_saves_and_notes(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image, tmp_path: Path) -> None:
    with pytest.warns(mien.MienWarning, match="enlarged 2.0 times"):
        result = pipe(style, photo, PLAIN, align=WHOLE)
    assert "enlarged 2.0 times" in result.notes[0]
    assert result.faces[0].box == (0, 0, 64, 64)
    assert result.faces[0].image.size == (R, R)
    for name in ("out.png", "out.webp", "out.jpg"):
        assert Image.open(result.save(tmp_path / name)).size == (64, 64)
    assert Image.open(tmp_path / "out.png").tobytes() == result.image.tobytes()
    with pytest.raises(mien.MienError, match="exists already"):
        result.save(tmp_path / "out.png")


def test_a_photo_is_searched_once(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image) -> None:
    found = pipe.align(photo, WHOLE)
    assert pipe.align(found) is found
    assert pipe(style, found, PLAIN).image.tobytes() == pipe(style, photo, PLAIN, align=WHOLE).image.tobytes()
    assert found.faces[0].image.size == (R, R)


def test_a_model_that_was_not_loaded_here_stays_as_it_is(photo: Image.Image) -> None:
    model = toy_model()
    model.generator.requires_grad_(True).train()
    assert model.discriminator is not None
    before = copy.deepcopy(model.generator.state_dict())
    pipe = mien.Stylizer(model)
    pipe.fit(photo, QUICK, align=WHOLE)
    assert model.generator.training
    assert all(p.requires_grad and p.grad is None for p in model.generator.parameters())
    assert all(p.grad is None for p in model.discriminator.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.generator.state_dict().items())
    assert not any(p.requires_grad for p in pipe.model.generator.parameters())


def test_models_and_styles_have_names(tmp_path: Path) -> None:
    assert mien.list_styles() == list(mien.styles.ready_styles()) == ["comic", "ink", "poster", "toon"]
    assert all(path.exists() for path in mien.styles.ready_styles().values())
    assert mien.list_models()[0] == "faces"
    assert mien.Style.load("Ink").name == mien.Style.load("ink").name
    with pytest.raises(mien.MienError, match="Did you mean ink"):
        mien.Style.load("inc")
    assert find_model("Faces") == find_model() == find_model(None)
    write_model(tmp_path / "tiny.safetensors", toy_model())
    for load in (mien.Stylizer.load, mien.Stylizer.from_pretrained):
        assert load(tmp_path / "tiny.safetensors", device="cpu", dtype=torch.bfloat16).to("cpu").resolution == R
    with pytest.raises(mien.MienError, match="no device 'gpu'"):
        mien.Stylizer.load(tmp_path / "tiny.safetensors", device="gpu")


@pytest.mark.slow
def test_one_call(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(mien.MienError, match="one of the two"):
        mien.stylize(photo, model=pipe)
    with pytest.raises(mien.MienError, match="No face"):
        mien.stylize(photo, style=style, model=pipe)
    crop = mien.invert(photo, PLAIN, align=WHOLE, model=pipe)
    assert crop.image.size == (R, R)
    assert [face.size for face in mien.sample(2, seed=1, style=style, model=pipe)] == [(R, R)] * 2
    assert mien.align_faces(photo, WHOLE, size=48)[0].image.size == (48, 48)


def test_swapped_layers_of_files(tmp_path: Path) -> None:
    write_model(tmp_path / "tiny.safetensors", toy_model())
    swapped = mien.swap_layers(tmp_path / "tiny.safetensors", str(tmp_path / "tiny.safetensors"), at=16)
    mien.save_model(tmp_path / "swapped.safetensors", swapped)
    assert (
        mien.inspect_file(tmp_path / "swapped.safetensors").resolution
        == mien.load_model(tmp_path / "swapped.safetensors").resolution
    )


def test_warnings_can_be_silenced_alone(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=mien.MienWarning)
        pipe(style, photo, PLAIN, align=WHOLE)
    assert not [w for w in caught if issubclass(w.category, mien.MienWarning)]


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    file = Path(__file__).parent.parent / "examples" / "stylize.py"
    example = script(file)
    example.main(str(file.parent / "face.png"), str(file.parent / "poster.png"), str(tmp_path), steps=2)
    assert {path.name for path in tmp_path.iterdir()} == {"own.safetensors", "own.png", "ink.png"}


def test_settings_go_by_name_in_every_call(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image) -> None:
    half = pipe(style, photo, mien.RenderConfig(strength=0.5, refine_steps=0, upscale="none"), align=WHOLE)
    assert np.array_equal(half, pipe(photo, style=style, config=PLAIN, align=WHOLE, strength=0.5))
    learned = pipe.fit(photo, QUICK, align=WHOLE, steps=1, seed=7)
    assert (learned.settings["fit"]["steps"], learned.settings["fit"]["seed"]) == (1, 7)
    with pytest.raises(mien.MienError, match="no setting 'strenght' here: did you mean `strength`"):
        pipe(style, photo, strenght=1)
    with pytest.raises(mien.MienError, match="`steps` says how a style is learned, and a finished style is given"):
        mien.stylize(photo, style="ink", steps=3)
    with pytest.raises(mien.MienError, match="`seed` says how a style is learned: give it to `fit`"):
        pipe(style, photo, seed=3)


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: mien.apply_folder("photos", "ink", "out", skip_existin=True), "skip_existing"),
        (lambda: mien.stylize_video("me.mp4", "ink", "out.mp4", qualiti=90), "quality"),
        (lambda: mien.prepare_dataset("photos", "faces.zip", resolutio=64), "resolution"),
        (lambda: mien.evaluate(["me.jpg"], aligne=True), "aligned"),
        (lambda: mien.train("faces.zip", "run", kimgs=1), "kimg"),
        (lambda: mien.serve(prt=8000), "port"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_before_any_work(call: Callable[[], object], setting: str) -> None:
    with pytest.raises(mien.MienError, match=f"did you mean `{setting}`"):
        call()


def test_one_call_tells_settings_of_drawing_and_learning_apart(
    pipe: mien.Stylizer, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    whole = pipe.align(photo, WHOLE)
    monkeypatch.setattr(pipe, "align", lambda *given: whole)
    monkeypatch.setattr(pipe, "fit", lambda reference, learning, **rest: seen.update(learning=learning) or "style")
    monkeypatch.setattr(
        pipe, "apply", lambda look, found, config: seen.update(look=look, config=config) or mien.Result(whole.image_data, [])
    )
    mien.stylize(photo, photo, model=pipe, strength=0.8, steps=9)
    assert seen == {"look": "style", "config": mien.RenderConfig(strength=0.8), "learning": mien.OneShotConfig(steps=9)}
    monkeypatch.setattr(pipe, "style", lambda name: f"ready {name}")
    mien.stylize(photo, "INK", model=pipe)
    assert seen["look"] == "ready INK"


def test_the_photo_may_come_before_the_style(pipe: mien.Stylizer, style: mien.Style, photo: Image.Image) -> None:
    assert np.array_equal(pipe(photo, style, PLAIN, align=WHOLE), pipe(style, photo, PLAIN, align=WHOLE))


def test_what_is_shown_of_results_styles_and_pipelines_is_short(
    pipe: mien.Stylizer, style: mien.Style, photo: Image.Image
) -> None:
    result = pipe(style, photo, PLAIN, align=WHOLE)
    assert repr(result) == "Result(64 x 64, 1 face)"
    assert np.asarray(result).shape == (64, 64, 3)
    assert repr(mien.Style.load("ink")) == "Style('ink', 256 px)"
    assert repr(pipe).startswith("Stylizer(")
    assert len(repr(pipe)) < 80


def test_names_that_are_not_there_say_where_to_begin() -> None:
    with pytest.raises(AttributeError, match=r"it is called mien\.Stylizer"):
        mien.Pipeline  # noqa: B018
    with pytest.raises(mien.MienError, match="name of a ready style"):
        mien.load_model("toon")
    assert mien.load_model("faces").resolution == 256


# What a verb does, a documented function does: the verb is its clothes.
_VERBS = {
    "stylize": "stylize", "apply": "apply_folder style_sheet", "fit": "Stylizer.fit", "video": "stylize_video",
    "faces": "faces.number_faces", "sample": "sample", "masks": "evaluation.draw_masks",
    "regions": "Stylizer.find_regions editing.draw_regions", "align": "align_faces",
    "invert": "invert evaluation.compare_inverters", "serve": "serve", "evaluate": "evaluate",
    "blind": "evaluation.lay_out_study evaluation.count_votes", "models": "list_models list_styles download_model",
    "inspect": "inspect_file styles.preview", "convert": "checkpoint.convert", "export": "export exporters.export_web",
    "dataset": "prepare_dataset", "train": "train", "swap": "swap_layers editing.draw_swaps", "sweep": "evaluation.sweep",
    "report": "evaluation.report_on",
    "bench": "evaluation.measure_speed evaluation.measure_streams training.measure_training training.time_filters",
}  # fmt: skip


def test_what_a_verb_does_is_a_documented_function() -> None:
    assert set(_VERBS) == set(VERBS)
    page = (Path(__file__).parent.parent / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    headings = {line.split()[1].removeprefix("mien.") for line in page.splitlines() if line.startswith("###")}
    assert not {name for names in _VERBS.values() for name in names.split()} - headings
