"""Weights in and out: what is written can be read, by us and by plain torch; what a file is, its content tells."""

import argparse
import hashlib
import json
import pickle
import re
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mien.checkpoint import convert, inspect_file, load_encoder, load_identity, load_model, model_file, native, save_model
from mien.checkpoint.foreign import rosinality
from mien.checkpoint.foreign.deduce import low_pass_filter
from mien.checkpoint.formats import FORMATS, MODEL_KINDS
from mien.errors import CheckpointError, InputError
from mien.inversion.encode import encode
from mien.latents import broadcast
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.embedders import ArcFace
from mien.models.generator import Generator, GeneratorConfig
from mien.models.irse_encoder import EncoderKind, IrseEncoder, IrseEncoderConfig
from mien.models.model import Model, Provenance
from mien.styles import Style
from toys import tiny


def small_model(*, encoder: bool = True, clamp: float | None = None) -> Model:
    generator = Generator(
        GeneratorConfig(32, z_dim=24, w_dim=16, mapping_layers=3, channel_base=256, channel_max=16, conv_clamp=clamp)
    )
    discriminator = Discriminator(DiscriminatorConfig(32, channel_base=256, channel_max=16, conv_clamp=clamp))
    inverter = CompactEncoder(CompactEncoderConfig(32, num_ws=8, w_dim=16, width=8, max_width=16)) if encoder else None
    for module in (generator, discriminator):
        for parameter in module.parameters():  # biases and noise strengths too: an untrained zero would hide an error
            torch.nn.init.normal_(parameter.data)
    generator.mapping.w_avg.normal_()
    generator.eval()
    discriminator.eval()
    return Model(generator, discriminator, inverter, Provenance("small", "CC0", "made by a test", 7))


def assert_same_networks(one: Model, other: Model) -> None:
    assert one.generator.config == other.generator.config
    for a, b in ((one.generator, other.generator), (one.discriminator, other.discriminator)):
        assert a is not None
        assert b is not None
        assert a.state_dict().keys() == b.state_dict().keys()
        for name, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[name]), name


# Our own files.


def test_own_round_trip_is_exact(tmp_path: Path) -> None:
    model, file = small_model(), tmp_path / "model.safetensors"
    assert save_model(file, model) == ()
    read = load_model(file)
    assert_same_networks(model, read)
    assert read.encoder is not None
    assert replace(read.provenance, digest="") == model.provenance
    assert read.provenance.digest == model_file.generator_digest(model.generator)
    assert not read.generator.training
    assert not any(p.requires_grad for p in read.generator.parameters())
    assert list(tmp_path.iterdir()) == [file]  # nothing temporary is left


def test_half_precision_halves_the_file_and_digests_what_is_stored(tmp_path: Path) -> None:
    model, whole, half = small_model(), tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_model(whole, model)
    save_model(half, model, half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    read = load_model(half)
    assert read.provenance.digest == model_file.generator_digest(read.generator) != load_model(whole).provenance.digest
    weight, original = (m.generator.synthesis.block(8).conv0.weight for m in (read, model))
    assert weight.dtype == torch.float32
    assert torch.equal(weight, original.half().float())


def test_existing_files_are_kept(tmp_path: Path) -> None:
    file, model = tmp_path / "model.pt", small_model()
    file.write_text("precious")
    with pytest.raises(InputError, match="`overwrite`"):
        save_model(file, model)
    with pytest.raises(InputError, match="`overwrite`"):
        save_model(file, model, format="mien")
    assert file.read_text() == "precious"
    save_model(file, model, overwrite=True)
    assert_same_networks(model, load_model(file))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, model = tmp_path / "model.pt", small_model()
    file.write_text("precious")

    def full(tree: object, path: Path) -> None:
        Path(path).write_text("half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_model(file, model, overwrite=True)
    assert file.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [file]


def test_encoders_of_others_do_not_go_into_a_model_file(tmp_path: Path) -> None:
    model = small_model(encoder=False)
    model.encoder = IrseEncoder(IrseEncoderConfig("e4e", num_ws=8, width=16))
    with pytest.raises(InputError, match="IrseEncoder"):
        save_model(tmp_path / "model.safetensors", model)
    assert not list(tmp_path.iterdir())


def test_format_goes_by_name_or_option(tmp_path: Path) -> None:
    model = small_model()
    with pytest.raises(InputError, match=r"\.safetensors or \.pt"):
        save_model(tmp_path / "model.bin", model)
    with pytest.raises(InputError, match="no format 'onnx'"):
        save_model(tmp_path / "model.bin", model, format="onnx")
    save_model(tmp_path / "model.bin", model, format="rosinality")
    assert inspect_file(tmp_path / "model.bin").kind == "rosinality"
    with pytest.raises(InputError, match="folder"):
        save_model(tmp_path, model, format="mien")


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_model(file, small_model())
    data = bytearray(file.read_bytes())
    data[-3] ^= 0x10  # the last tensor by name belongs to the generator's synthesis network
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(file)


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "integers"])
def test_loading_is_strict(tmp_path: Path, change: str) -> None:
    file = tmp_path / "model.safetensors"
    save_model(file, small_model())
    tensors, document = native.read(file)
    name = "generator.synthesis.b8.conv0.weight"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["generator.surprise"] = torch.zeros(1)
    elif change == "shape":
        tensors[name] = tensors[name][:, 1:]
    else:
        tensors[name] = tensors[name].to(torch.int32)
    native.write(file, "model", tensors, {k: v for k, v in document.items() if k not in ("kind", "version")})
    expected = {"missing": r"1 missing \(synthesis.b8.conv0.weight\)", "extra": r"1 unexpected \(surprise\)"}
    with pytest.raises(
        CheckpointError, match=expected.get(change, r"1 of another shape or type \(synthesis.b8.conv0.weight\)")
    ):
        load_model(file)


# The common PyTorch format.


def test_rosinality_files_open_with_plain_torch_and_come_back_exact(tmp_path: Path) -> None:
    model, file = small_model(encoder=False), tmp_path / "model.pt"
    remarks = save_model(file, model)
    assert len(remarks) == 1
    assert "table of channels" in remarks[0]
    tree = torch.load(file, weights_only=True)
    assert set(tree) == {"g", "g_ema", "d", "latent_avg"}
    assert tree["latent_avg"].shape == (16,)
    read = load_model(file)
    assert_same_networks(model, read)
    assert read.provenance.digest == model_file.generator_digest(model.generator)
    z = torch.randn(2, 24)
    w = broadcast(model.generator.mapping(z), 8)
    noise = model.generator.synthesis.noise("const")
    assert torch.equal(model.generator(w, noise), read.generator(w, read.generator.synthesis.noise("const")))


@pytest.mark.parametrize("resolution", [256, 1024])
def test_rosinality_names_and_shapes_are_the_original_ones(shared: Path, resolution: int) -> None:
    with model_file.unfilled():
        generator, discriminator = Generator(GeneratorConfig(resolution)), Discriminator(DiscriminatorConfig(resolution))
    for module in (generator, discriminator):
        module.to_empty(device="cpu")
    tree, remarks = rosinality.tree_of(Model(generator, discriminator))
    assert remarks == []
    for part, name in (("g_ema", "g"), ("d", "d")):
        spec = json.loads((shared / "parity" / f"rosinality_{name}_{resolution}.json").read_text())["tensors"]
        assert {key: list(value.shape) for key, value in tree[part].items()} == {key: shape for key, (shape, _) in spec.items()}
    assert torch.equal(tree["d"]["convs.1.skip.0.kernel"] * 4, tree["g_ema"]["to_rgbs.0.upsample.kernel"])


def test_remarks_say_what_the_format_cannot_hold(tmp_path: Path) -> None:
    model = small_model(clamp=256.0)
    text = " ".join(save_model(tmp_path / "model.pt", model))
    assert "clamp" in text
    assert "encoder" in text


def test_mapping_multiplier_is_folded_into_the_weights(tmp_path: Path) -> None:
    model = small_model()
    model.generator = Generator(replace(model.generator.config, mapping_lr_multiplier=1.0)).eval()
    assert any("multiplier" in remark for remark in save_model(tmp_path / "model.pt", model))
    z = torch.randn(3, 24)
    torch.testing.assert_close(load_model(tmp_path / "model.pt").generator.mapping(z), model.generator.mapping(z))


def rosinality_tree(**more: Any) -> dict[str, Any]:
    tree, _ = rosinality.tree_of(small_model())
    return {**tree, **more}


@pytest.mark.parametrize("new_container", [True, False])
def test_namespaces_and_training_state_are_read_as_data(tmp_path: Path, new_container: bool) -> None:
    file = tmp_path / "model.pt"
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    tree = rosinality_tree(args=argparse.Namespace(size=32, lr=0.002, path=Path("x")), g_optim=adam.state_dict(), ada_aug_p=0.1)
    torch.save(tree, file, _use_new_zipfile_serialization=new_container)
    model = load_model(file)
    assert model.discriminator is not None
    assert torch.equal(model.generator.synthesis.block(4).const, tree["g_ema"]["input.input"][0])


def test_averaged_generator_comes_first(tmp_path: Path) -> None:
    tree = rosinality_tree()
    tree["g"] = rosinality.tree_of(small_model())[0]["g"]
    torch.save(tree, tmp_path / "a.pt")
    assert torch.equal(load_model(tmp_path / "a.pt").generator.synthesis.block(4).const, tree["g_ema"]["input.input"][0])
    del tree["g_ema"]
    torch.save(tree, tmp_path / "b.pt")
    assert torch.equal(load_model(tmp_path / "b.pt").generator.synthesis.block(4).const, tree["g"]["input.input"][0])


def test_other_wrappings_of_a_generator(tmp_path: Path) -> None:
    tree = rosinality_tree()
    state, mean = tree["g_ema"], tree["latent_avg"]
    wrapped = {
        "bare": state,
        "parallel": {"g_ema": {f"module.{k}": v for k, v in state.items()}, "latent_avg": mean},
        "decoder": {"state_dict": {f"decoder.{k}": v for k, v in state.items()}, "latent_avg": mean.repeat(8, 1)},
    }
    for name, contents in wrapped.items():
        torch.save(contents, tmp_path / name)
        generator = load_model(tmp_path / name).generator
        assert torch.equal(generator.synthesis.block(32).conv0.weight, state["convs.4.conv.weight"][0])
        assert name == "bare" or torch.equal(generator.mapping.w_avg, mean)
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").resolution == 32


def test_missing_mean_code_is_computed_the_same_way_each_time_and_said(tmp_path: Path) -> None:
    tree = rosinality_tree()
    del tree["latent_avg"]
    torch.save(tree, tmp_path / "model.pt")
    one, other = load_model(tmp_path / "model.pt"), load_model(tmp_path / "model.pt")
    assert "mean of 10,000 mapped codes" in one.provenance.source
    assert torch.equal(one.generator.mapping.w_avg, other.generator.mapping.w_avg)
    z = torch.randn(10_000, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one.generator.mapping.w_avg, one.generator.mapping(z).mean(dim=0))
    assert any("10,000" in warning for warning in inspect_file(tmp_path / "model.pt").warnings)


@pytest.mark.parametrize("new_container", [True, False])
def test_tensors_saved_on_a_gpu_are_read_on_the_cpu(tmp_path: Path, new_container: bool) -> None:
    file = tmp_path / "model.pt"
    tree = rosinality_tree()
    torch.save(tree, file, _use_new_zipfile_serialization=new_container)
    places = re.compile(rb"X\x03\x00\x00\x00cpu")
    gpu = b"X\x06\x00\x00\x00cuda:0"
    if new_container:
        with zipfile.ZipFile(file) as source:
            parts = {info.filename: source.read(info) for info in source.infolist()}
        with zipfile.ZipFile(file, "w") as target:
            for name, data in parts.items():
                target.writestr(name, places.sub(gpu, data) if name.endswith("data.pkl") else data)
    else:
        file.write_bytes(places.sub(gpu, file.read_bytes()))
    assert b"cuda:0" in file.read_bytes()
    assert torch.equal(load_model(file).generator.synthesis.block(4).const, tree["g_ema"]["input.input"][0])


def test_missing_noise_maps_become_zeros_and_are_said(tmp_path: Path) -> None:
    tree = rosinality_tree()
    tree["g_ema"] = {k: v for k, v in tree["g_ema"].items() if not k.startswith("noises.")}
    torch.save(tree, tmp_path / "model.pt")
    model = load_model(tmp_path / "model.pt")
    assert "noise" in model.provenance.source
    assert model.generator.synthesis.block(8).conv1.noise_const.abs().max() == 0


def test_shared_memory_in_a_file_is_not_shared_in_the_model(tmp_path: Path) -> None:
    torch.save(rosinality_tree(), tmp_path / "model.pt")  # g and g_ema share their tensors
    generator = load_model(tmp_path / "model.pt").generator
    pointers = [p.untyped_storage().data_ptr() for p in generator.parameters()]
    assert len(set(pointers)) == len(pointers)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        pytest.param(lambda t: t["g_ema"].pop("convs.1.conv.weight"), "convs.1.conv.weight", id="missing"),
        pytest.param(lambda t: t["g_ema"].update(surprise=torch.zeros(1)), "surprise", id="unexpected"),
        pytest.param(lambda t: t["g_ema"].update({"conv1.noise.weight": torch.zeros(2)}), "conv1.noise.weight", id="shape"),
        pytest.param(lambda t: t["g_ema"].update({"input.input": torch.zeros(1, 7, 4, 4)}), "widths", id="widths"),
        pytest.param(
            lambda t: t["g_ema"].update({"convs.0.conv.blur.kernel": torch.ones(4, 4)}), "low-pass filter", id="other filter"
        ),
        pytest.param(lambda t: (t.pop("g"), t.pop("g_ema")), "no generator", id="only a discriminator"),
        pytest.param(lambda t: t["d"].pop("final_conv.1.bias"), "final_conv.1.bias", id="discriminator"),
        pytest.param(
            lambda t: t["g_ema"].update({"conv1.conv.weight": torch.zeros(0)}), "conv1.conv.weight|shape", id="empty tensor"
        ),
    ],
)
def test_rosinality_files_that_do_not_fit(tmp_path: Path, change: Any, pattern: str) -> None:
    tree = rosinality_tree()
    tree["g_ema"] = dict(tree["g_ema"])
    change(tree)
    torch.save(tree, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=pattern):
        load_model(tmp_path / "model.pt")


def test_kind_insists(tmp_path: Path) -> None:
    save_model(tmp_path / "model.pt", small_model())
    assert load_model(tmp_path / "model.pt", kind="rosinality").resolution == 32
    with pytest.raises(CheckpointError, match="kind rosinality, not nvidia"):
        load_model(tmp_path / "model.pt", kind="nvidia")
    with pytest.raises(InputError, match="no kind of model 'onnx'"):
        load_model(tmp_path / "model.pt", kind="onnx")


def test_what_else_torch_files_hold(tmp_path: Path) -> None:
    cases: dict[str, tuple[object, str]] = {
        "network": (torch.nn.Linear(2, 2), "whole pickled network"),
        "tensor": (torch.zeros(3), "no weights that mien knows"),
        "numbers": ({"epoch": 3}, "holds epoch"),
        "stylegan1": ({"g_running": {"generator.progression.0.conv1.0.weight_orig": torch.zeros(1)}}, "StyleGAN1"),
    }
    for name, (contents, pattern) in cases.items():
        torch.save(contents, tmp_path / name)
        for reader in (load_model, inspect_file):
            with pytest.raises(CheckpointError, match=pattern):
                reader(tmp_path / name)


# NVIDIA's pickles, made here from our own networks.


class Persistent:
    """Pickles as NVIDIA's persistent objects do: class name, state, and source text, which their reader would execute."""

    source = ""

    def __init__(self, class_name: str, **state: Any) -> None:
        self.class_name = class_name
        self.state = {"training": False, "_parameters": {}, "_buffers": {}, "_modules": {}, **state}

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        meta = {"type": "class", "version": 6, "module_src": self.source, "class_name": self.class_name, "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def add(root: Persistent, name: str, value: Tensor) -> None:
    """Put a tensor where its dotted name says."""
    *path, last = name.split(".")
    for part in path:
        root = root.state["_modules"].setdefault(part, Persistent("Layer", bias_gain=np.float64(0.01), conv_clamp=256))
    group = "_buffers" if last in ("w_avg", "noise_const", "resample_filter") else "_parameters"
    root.state[group][last] = torch.nn.Parameter(value.clone()) if group == "_parameters" else value.clone()


def nvidia_tree(model: Model) -> dict[str, Any]:
    """The contents of a StyleGAN2-ADA pickle with the given networks."""
    assert model.discriminator is not None
    generator, discriminator = (
        Persistent("Generator", c_dim=0, img_channels=3),
        Persistent("Discriminator", c_dim=0, img_channels=3),
    )
    for name, value in model.generator.state_dict().items():
        add(generator, name.replace("mapping.layers.", "mapping.fc"), value)
    for name, value in model.discriminator.state_dict().items():
        add(discriminator, name.replace("fromrgb.conv.", f"b{model.resolution}.fromrgb."), value)
    for r in (4, 8, 16, 32):
        add(generator, f"synthesis.b{r}.resample_filter", low_pass_filter(1.0))
    deviation = Persistent("MinibatchStdLayer", group_size=4, num_channels=1)
    discriminator.state["_modules"]["b4"].state["_modules"]["mbstd"] = deviation
    return {"G": None, "D": discriminator, "G_ema": generator, "augment_pipe": None}


@pytest.fixture
def _persistence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the name that the pickles ask for, so that they can be written."""

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
        exec(meta["module_src"], {})

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module = types.ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    package = types.ModuleType("torch_utils")
    package.persistence = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_utils", package)
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)


@pytest.mark.usefixtures("_persistence")
@pytest.mark.parametrize("numpy_name", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_nvidia_pickles_are_read_and_their_source_is_not_executed(
    tmp_path: Path, numpy_name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, file, model = tmp_path / "canary", tmp_path / "model.pkl", small_model(clamp=256.0)
    monkeypatch.setattr(Persistent, "source", f"open({str(canary)!r}, 'w').close()")
    data = pickle.dumps(nvidia_tree(model), protocol=3)
    data = data.replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n").replace(
        b"cnumpy._core.multiarray", b"c" + numpy_name
    )
    assert b"c" + numpy_name + b"\nscalar\n" in data
    file.write_bytes(data)
    assert_same_networks(model, load_model(file))
    assert not canary.exists()
    pickle.loads(data)  # the control: Python's own reader does execute it
    assert canary.exists()


def endless() -> list[Any]:
    """Small in memory, 2^80 elements as text."""
    value: list[Any] = []
    for _ in range(80):
        value = [value, value]
    return value


def _set(path: str, **state: Any) -> Any:
    def change(tree: dict[str, Any]) -> None:
        name, *inner = path.split(".")
        target = tree[name]
        for part in inner:
            target = target.state["_modules"][part]
        target.state.update(state)

    return change


@pytest.mark.usefixtures("_persistence")
@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        pytest.param(_set("G_ema", c_dim=10), "conditional model \\(10 classes\\)", id="conditional"),
        pytest.param(_set("D", c_dim=10), "conditional", id="conditional discriminator"),
        pytest.param(_set("G_ema", img_channels=1), "images of 1 channels", id="gray"),
        pytest.param(_set("G_ema.synthesis", _modules={"input": Persistent("SynthesisInput")}), "StyleGAN3", id="StyleGAN3"),
        pytest.param(_set("G_ema", _modules={"backbone": Persistent("Generator")}), "not a StyleGAN2", id="EG3D"),
        pytest.param(_set("G_ema.synthesis.b32", architecture="orig"), "architecture orig", id="other generator"),
        pytest.param(_set("D.b32", architecture="skip"), "architecture skip", id="other discriminator"),
        pytest.param(_set("D.b4.mbstd", num_channels=2), "minibatch standard deviation", id="deviation channels"),
        pytest.param(_set("D.b4", _modules={}), "no part 'mbstd'|missing", id="no end"),
        pytest.param(_set("G_ema.mapping", _modules={}), "mapping.fc0.weight", id="no mapping"),
        pytest.param(_set("G_ema.synthesis.b8.conv0", _parameters={}), "missing", id="no weights"),
        pytest.param(_set("G_ema.synthesis.b8", _buffers={"resample_filter": torch.ones(4, 4)}), "low-pass", id="other filter"),
        pytest.param(_set("G_ema", img_channels=endless()), "images of list channels", id="endless as text"),
        pytest.param(_set("G_ema.mapping", _modules={"x" * 200: Persistent("Layer")}), "a part named xxx", id="long name"),
        pytest.param(lambda tree: tree.update(G_ema=None), "no generator", id="only a discriminator"),
    ],
)
def test_nvidia_variants_that_do_not_fit(tmp_path: Path, change: Any, pattern: str) -> None:
    tree, file = nvidia_tree(small_model()), tmp_path / "model.pkl"
    change(tree)
    file.write_bytes(pickle.dumps(tree))
    with pytest.raises(CheckpointError, match=pattern):
        load_model(file)


def test_modules_that_contain_themselves_come_to_an_end(tmp_path: Path) -> None:
    """The name `synthesis` leads back to the whole, for ever."""
    begin = b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n}q\x00("
    meta = b"U\nclass_nameU\tGeneratorU\x05state}(U\x05c_dimK\x00U\x08_modules}q\x01uu\x85Rq\x02"
    inside = b"0h\x01U\tsynthesish\x02s0h\x01U\x01ah\x02s0h\x01U\x01bh\x02s0"
    file = tmp_path / "model.pkl"
    file.write_bytes(begin + meta + inside + b"}U\x05G_emah\x02s.")
    with pytest.raises(CheckpointError, match="more modules than any"):
        load_model(file)


# Encoders and the identity network.


def published_name(ours: str) -> str:
    """The published name of one of our parameters: the inverse of the importer's table, written out separately."""
    unit = {"norm0": "0", "conv0": "1", "act": "2", "conv1": "3", "norm1": "4", "squeeze": "5.fc1", "excite": "5.fc2"}
    words = ours.removeprefix("backbone.").split(".")
    if words[0] == "stem":
        return ".".join(["input_layer", {"conv": "0", "norm": "1", "act": "2"}[words[1]], *words[2:]])
    if words[0] == "body":
        part = {"shortcut": "shortcut_layer.0", "shortcut_norm": "shortcut_layer.1"}.get(words[2])
        return ".".join(["body", words[1], part or f"res_layer.{unit[words[2]]}", *words[3:]])
    if words[0] == "rows":
        return ".".join(["styles", words[1], "linear" if words[2] == "linear" else f"convs.{2 * int(words[3])}", words[-1]])
    outer = {"lateral_middle": "latlayer1", "lateral_fine": "latlayer2", "norm0": "output_layer.0", "linear": "output_layer.3"}
    return ".".join([{**outer, "norm1": "output_layer.4"}[words[0]], *words[1:]])


def published_encoder(kind: EncoderKind, rows: int = 9) -> tuple[IrseEncoder, dict[str, Tensor]]:
    encoder = IrseEncoder(IrseEncoderConfig(kind, num_ws=rows, width=16)).eval()
    return encoder, {published_name(name): value for name, value in encoder.state_dict().items()}


TYPES: dict[str, EncoderKind] = {
    "GradualStyleEncoder": "psp",
    "Encoder4Editing": "e4e",
    "BackboneEncoder": "restyle-psp",
    "ProgressiveBackboneEncoder": "restyle-e4e",
}


@pytest.mark.parametrize("encoder_type", TYPES)
@torch.inference_mode()
def test_encoders_are_told_apart_by_their_options(tmp_path: Path, encoder_type: str) -> None:
    encoder, state = published_encoder(TYPES[encoder_type])
    mean = torch.randn(9, 128)
    opts = {"encoder_type": encoder_type, "lr": 0.1, "device": "cuda:0"}
    checkpoint = {"state_dict": {f"encoder.{k}": v for k, v in state.items()}, "latent_avg": mean, "opts": opts}
    torch.save(checkpoint, tmp_path / "a.pt")
    torch.save({**checkpoint, "opts": argparse.Namespace(**opts)}, tmp_path / "b.pt")
    image = torch.randn(1, 6 if encoder.config.iterative else 3, 256, 256)
    for name in ("a.pt", "b.pt"):
        loaded = load_encoder(tmp_path / name)
        assert loaded.kind == TYPES[encoder_type]
        assert loaded.opts == opts
        assert loaded.latent_avg is not None
        assert torch.equal(loaded.latent_avg, mean)
        assert torch.equal(loaded.encoder.latent_avg, mean)  # type: ignore[arg-type]
    assert torch.equal(loaded.encoder(image), encoder(image))
    assert inspect_file(tmp_path / "a.pt").kind == TYPES[encoder_type]
    with pytest.raises(CheckpointError, match=f"is {TYPES[encoder_type]}, not"):
        load_encoder(tmp_path / "a.pt", kind=next(kind for kind in TYPES.values() if kind != TYPES[encoder_type]))
    with pytest.raises(CheckpointError, match="`encoder`"):
        load_model(tmp_path / "a.pt")


@pytest.mark.parametrize(("one", "other"), [("psp", "e4e"), ("restyle-psp", "restyle-e4e")])
def test_bare_state_dicts_need_a_kind(tmp_path: Path, one: EncoderKind, other: EncoderKind) -> None:
    file = tmp_path / "encoder.pt"
    torch.save(published_encoder(one)[1], file)
    with pytest.raises(CheckpointError, match=f"say its `kind`, {one} or {other}"):
        load_encoder(file)
    for kind in (one, other):
        loaded = load_encoder(file, kind=kind)
        assert loaded.kind == kind
        assert loaded.latent_avg is None
    with pytest.raises(CheckpointError, match=f"{one} or {other}, not"):
        load_encoder(file, kind="e4e" if one != "psp" else "restyle-e4e")
    with pytest.raises(InputError, match="no kind of encoder 'x'"):
        load_encoder(file, kind="x")
    info = inspect_file(file)
    assert info.kind == f"{one} or {other}"
    assert "`kind`" in info.warnings[0]


@torch.inference_mode()
def test_progressive_encoders_correct_their_first_row() -> None:
    """e4e's rows are offsets to row 0, pSp's are codes of their own: equal weights, different sums."""
    one, state = published_encoder("psp")
    other = IrseEncoder(IrseEncoderConfig("e4e", num_ws=9, width=16)).eval()
    other.load_state_dict(one.state_dict())
    image = torch.randn(1, 3, 256, 256)
    psp, e4e = one(image), other(image)
    assert state
    torch.testing.assert_close(e4e[:, 0], psp[:, 0])
    torch.testing.assert_close(e4e[:, 1:], psp[:, :1] + psp[:, 1:])


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["psp", "restyle-psp"])
def test_offsets_start_from_the_encoders_own_mean_code(kind: EncoderKind) -> None:
    generator = Generator(GeneratorConfig(32, z_dim=8, w_dim=128, mapping_layers=1, channel_base=256, channel_max=16)).eval()
    model = Model(generator, encoder=published_encoder(kind, rows=8)[0])
    assert isinstance(model.encoder, IrseEncoder)
    image, mean = torch.randn(1, 3, 32, 32).clamp(-1, 1), torch.randn(8, 128)
    with_models = encode(model, image).w_plus
    generator.mapping.w_avg.normal_()
    moved = encode(model, image).w_plus
    assert not torch.allclose(with_models, moved)  # without one of its own, the model's counts
    model.encoder.latent_avg = mean
    own = encode(model, image).w_plus
    if kind == "psp":
        torch.testing.assert_close(own - mean, moved - generator.mapping.w_avg, rtol=1e-4, atol=1e-4)
    generator.mapping.w_avg.normal_()
    assert torch.equal(encode(model, image).w_plus, own)


@torch.inference_mode()
def test_identity_network(tmp_path: Path) -> None:
    network = ArcFace(width=16).eval()
    file = tmp_path / "arcface.pth"
    torch.save({published_name(name): value for name, value in network.state_dict().items()}, file)
    read, face = load_identity(file), torch.randn(2, 3, 112, 112)
    assert torch.equal(read(face), network(face))
    torch.testing.assert_close(read(face).norm(dim=1), torch.ones(2))
    assert read.embed_crop(torch.randn(2, 3, 64, 64)).shape == (2, 128)
    assert inspect_file(file).kind == "arcface"
    with pytest.raises(CheckpointError, match="identity network"):
        load_model(file)
    with pytest.raises(CheckpointError, match="is not an encoder"):
        load_encoder(file)


# Inspection and conversion.


def test_inspect_a_model(tmp_path: Path) -> None:
    model, file = small_model(), tmp_path / "model.safetensors"
    save_model(file, model)
    info = inspect_file(file)
    assert (info.kind, info.resolution, info.license) == ("model", 32, "CC0")
    assert info.parts == ("generator", "discriminator", "encoder")
    assert info.parameters["generator"] == sum(p.numel() for p in model.generator.parameters())
    assert info.channels == {4: 16, 8: 16, 16: 16, 32: 8}
    assert info.config["discriminator"]["mbstd_group"] == 4
    assert info.provenance["source"] == "made by a test"
    assert info.digest == model_file.generator_digest(model.generator)
    assert info.size == file.stat().st_size
    assert info.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert info.warnings == ()
    assert json.loads(json.dumps(info.as_json()))["parts"] == ["generator", "discriminator", "encoder"]


def test_inspect_says_what_is_odd(tmp_path: Path) -> None:
    model = small_model()
    model.discriminator = None
    model.generator.synthesis.block(8).conv0.weight.data[0, 0, 0, 0] = float("nan")
    save_model(tmp_path / "model.pt", model)
    warnings = " ".join(inspect_file(tmp_path / "model.pt").warnings)
    assert "not learn a style" in warnings
    assert "not finite" in warnings


def test_inspect_a_style_shows_its_description(tmp_path: Path) -> None:
    file = tmp_path / "ink.safetensors"
    style = Style(
        "ink \x1b[31m",
        "0123456789abcdef",
        32,
        {"b8.conv0.weight": torch.zeros(3).half()},
        torch.zeros(3, 4, 4, dtype=torch.uint8),
        {"steps": 5},
    )
    style.save(file)
    info = inspect_file(file)
    assert info.kind == "style"
    assert info.summary.startswith("Style of mien named ink ?[31m")
    assert info.digest == "0123456789abcdef"
    assert info.document["settings"] == {"steps": 5}
    assert "\x1b" not in info.document["name"]
    assert info.parameters == {"synthesis": 3, "thumbnail": 48}
    with pytest.raises(CheckpointError, match="is a style of mien, not a model"):
        load_model(file)


def test_inspect_the_nvidia_file(shared: Path) -> None:
    info = inspect_file(shared / "parity" / "nvidia_small.pkl")
    assert (info.kind, info.resolution) == ("nvidia", 64)
    assert info.channels == {4: 32, 8: 32, 16: 32, 32: 32, 64: 16}
    assert info.parts == ("generator", "discriminator")


def test_convert_there_and_back(shared: Path, tmp_path: Path) -> None:
    source = shared / "parity" / "nvidia_small.pkl"
    there = convert(source, tmp_path / "a.pt")
    assert there.format == "rosinality"
    assert any("clamp" in remark for remark in there.remarks)
    back = convert(tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert back.format == "mien"
    assert back.remarks == ()
    one, other = load_model(source), load_model(tmp_path / "b.safetensors")
    assert one.provenance.digest == other.provenance.digest
    assert "a.pt" in other.provenance.source
    assert torch.equal(one.generator.mapping.w_avg, other.generator.mapping.w_avg)
    half = convert(source, tmp_path / "c.safetensors", half=True)
    assert half.target.stat().st_size < 0.6 * (tmp_path / "b.safetensors").stat().st_size
    with pytest.raises(InputError, match="`overwrite`"):
        convert(source, tmp_path / "a.pt")
    with pytest.raises(InputError, match="another name"):
        convert(tmp_path / "a.pt", tmp_path / "a.pt", overwrite=True)
    with pytest.raises(CheckpointError, match="not mien"):
        convert(source, tmp_path / "d.pt", kind="mien")
    assert not (tmp_path / "d.pt").exists()


def test_inspect_says_encoder_and_decoder(tmp_path: Path) -> None:
    """A file of e4e holds both; each is what the file is good for."""
    generator = tiny(32)
    _, published = published_encoder("e4e", generator.num_ws)
    tree, _ = rosinality.tree_of(Model(generator))
    state = {f"encoder.{name}": value for name, value in published.items()}
    state |= {f"decoder.{name}": value for name, value in tree["g_ema"].items()}
    file = tmp_path / "e4e.pt"
    torch.save({"state_dict": state, "opts": {"encoder_type": "Encoder4Editing"}}, file)
    info = inspect_file(file)
    assert info.kind == "e4e"
    assert info.summary == "Encoder e4e, 8 rows; and StyleGAN2 model in the common PyTorch format, 32 px."
    assert set(info.parts) == {"encoder", "generator"}
    assert load_model(file).resolution == 32
    assert load_encoder(file).kind == "e4e"


def test_a_format_is_one_entry() -> None:
    names = [form.name for form in FORMATS]
    assert len(set(names)) == len(names)
    assert {form.name for form in FORMATS if form.role == "model"} == set(MODEL_KINDS) == {"mien", "nvidia", "rosinality"}
