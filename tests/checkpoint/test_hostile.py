"""Files from strangers: nothing in them runs, whatever they contain, and each gets one clear sentence.

Every payload here is a real one: the control test shows that Python's own reader does run it.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import re
import struct
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mien.checkpoint import inspect_file, load_encoder, load_identity, load_model
from mien.checkpoint.foreign.torch_file import read_tree
from mien.errors import CheckpointError, ModelMismatchError
from mien.models.generator import Generator, GeneratorConfig
from mien.oneshot.deltas import apply_deltas
from mien.styles import Style

READERS: tuple[Callable[[Path], object], ...] = (load_model, load_encoder, load_identity, inspect_file)


def assert_refused(path: Path, pattern: str = "", *, readers: tuple[Callable[[Path], object], ...] = READERS) -> None:
    """Every reader answers with one sentence that names the file, and, where given, matches `pattern`."""
    for reader in readers:
        with pytest.raises(CheckpointError) as caught:
            reader(path)
        message = str(caught.value)
        assert path.name in message
        assert message.isprintable(), repr(message)
        assert message.endswith(".")
        assert len(message) < 400
        assert re.search(pattern, message), message


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.args


def stream_file(payload: object) -> bytes:
    """A torch file of the old kind."""
    buffer = io.BytesIO()
    torch.save(payload, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def zip_file(payload: object) -> bytes:
    """A torch file of the present kind."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return buffer.getvalue()


def touch(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def attacks(canary: Path) -> dict[str, tuple[object, str]]:
    """{name: (object whose unpickling fires the canary, what the message has to name)}."""
    code = touch(canary)
    fire = Call(exec, code)
    return {
        "exec": (fire, "builtins.exec"),
        "eval": (Call(eval, f"exec({code!r})"), "builtins.eval"),
        "os.system": (Call(os.system, f"{sys.executable} -c {json.dumps(code)}"), r"(posix|nt)\.system"),
        "in a dict": ({"g_ema": {"input.input": fire}}, "builtins.exec"),
        "in an ordered dict": (OrderedDict(latent_avg=fire), "builtins.exec"),
        "in options": ({"args": argparse.Namespace(size=fire)}, "builtins.exec"),
        "nested stream": (Call(torch.storage._load_from_bytes, stream_file(fire)), "builtins.exec|load_from_bytes"),
        "nested zip": (Call(torch.storage._load_from_bytes, zip_file(fire)), "builtins.exec|load_from_bytes"),
        "nested twice": (
            Call(torch.storage._load_from_bytes, stream_file(Call(torch.storage._load_from_bytes, stream_file(fire)))),
            "builtins.exec|load_from_bytes",
        ),
        "in a nested reference": (Call(torch.storage._load_from_bytes, _hostile_reference(code)), "builtins.exec"),
        "torch.load": (Call(torch.load, io.BytesIO(pickle.dumps(fire)), None), r"_io\.BytesIO|torch\.serialization"),
        "tensor type": (Call(torch._tensor._rebuild_from_type_v2, exec, object, (code,), None), "builtins.exec"),
        "getattr": (Call(getattr, Call(__import__, "os"), "system"), r"builtins\.(getattr|__import__)"),
    }


def _hostile_reference(code: str) -> bytes:
    """A stream whose reference to a storage carries the payload."""
    raw = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, raw, protocol=2)

    class Referring(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", Call(exec, code), "0", "cpu", 4, None) if value == "here" else None

    Referring(raw, protocol=2).dump("here")
    pickle.dump(["0"], raw, protocol=2)
    return raw.getvalue()


NAMES = list(attacks(Path("nowhere")))


@pytest.mark.parametrize("wrap", ["pickle", "stream", "zip"])
@pytest.mark.parametrize("name", NAMES)
def test_hostile_pickles_do_not_run(tmp_path: Path, name: str, wrap: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.pkl"
    payload, named = attacks(canary)[name]
    file.write_bytes({"pickle": pickle.dumps, "stream": stream_file, "zip": zip_file}[wrap](payload))
    assert_refused(file, named, readers=(load_model, inspect_file))
    assert not canary.exists()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("getattr", "torch.load", "in a nested reference")])
def test_control_the_payloads_are_real(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this the tests above could pass because the payloads are duds."""
    canary = tmp_path / "canary"
    original = torch.load

    def trusting(*args: object, **options: object) -> object:
        return original(*args, **{**options, "weights_only": False})  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "load", trusting)
    payload = attacks(canary)[name][0]
    with contextlib.suppress(TypeError, AttributeError, RuntimeError):  # some fire and then make no sense as a value
        pickle.loads(pickle.dumps(payload))
    assert canary.exists()


def assembled(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    ("program", "pattern"),
    [
        pytest.param(assembled(b"(", text("x = 1"), b"ibuiltins\nexec\n"), "builtins.exec", id="INST"),
        pytest.param(assembled(b"(cbuiltins\nexec\n", text("x = 1"), b"o"), "builtins.exec", id="OBJ"),
        pytest.param(assembled(text("os"), text("system"), b"\x93"), "os.system", id="STACK_GLOBAL"),
        pytest.param(assembled(b"\x82\x01"), "EXT1", id="extension registry"),
        pytest.param(assembled(b"Pos.system\n"), "PERSID", id="persistent id"),
        pytest.param(assembled(text("x"), b"Q"), "outside itself", id="reference in a plain pickle"),
        pytest.param(assembled(b"cargparse\nNamespace\n}", text("f"), b"cos\nsystem\nsb"), "os.system", id="BUILD of a class"),
        pytest.param(assembled(b"ccollections\nOrderedDict\n}b"), "sets attributes", id="BUILD of a function"),
        pytest.param(assembled(b"ccollections\nOrderedDict\n)\x81"), "not a known class", id="NEWOBJ"),
        pytest.param(assembled(b"cargparse\nNamespace\n)R)R"), "not a function", id="call of an object"),
        pytest.param(assembled(b"ctorch\nFloatStorage\n)R"), "torch.FloatStorage", id="call of a storage class"),
        pytest.param(assembled(b"ccopyreg\n_reconstructor\ncos\nsystem\n"), "os.system", id="copyreg"),
        pytest.param(
            assembled(b"ccopyreg\n_reconstructor\n(cbuiltins\nlist\ncbuiltins\nobject\nNtR"), "list", id="copyreg list"
        ),
        pytest.param(assembled(b"ctorch\nload\n"), "torch.load", id="torch.load"),
        pytest.param(assembled(b"cnumpy\nload\n"), "numpy.load", id="numpy.load"),
        pytest.param(assembled(b"cargparse\nNamespace.__init__.__globals__\n"), "__globals__", id="dotted name"),
        pytest.param(
            assembled(text("argparse"), text("Namespace\x1b[31m"), b"\x93"), r"Namespace\?\[31m", id="terminal escapes"
        ),
        pytest.param(assembled(b"cdnnlib.tflib.network\nNetwork\n"), "TensorFlow", id="TensorFlow"),
    ],
)
def test_each_operation_of_the_pickle_machine_is_guarded(tmp_path: Path, program: bytes, pattern: str) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(program)
    assert_refused(file, pattern, readers=(load_model, inspect_file))


def test_state_of_inert_objects_stays_data(tmp_path: Path) -> None:
    """Setting `__class__` or a method by BUILD leaves a dictionary entry and nothing else."""
    file = tmp_path / "model.pkl"
    file.write_bytes(assembled(b"cargparse\nNamespace\n)\x81}", text("__class__"), text("os"), b"sb"))
    record = read_tree(file)
    assert type(record).__name__ == "Record"
    assert record.fields() == {"__class__": "os"}


def tensor_program(storage: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    return assembled(
        b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\n",
        b"B" + struct.pack("<I", len(storage)) + storage,
        b"\x85R",
        b"".join(pickle.dumps(n, protocol=2)[2:-1] for n in (offset, size, stride)),
        b"\x89NtR",
    )


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        pytest.param(0, (10**9, 10**3), (0, 0), id="stride 0"),
        pytest.param(0, (5,), (1,), id="too long"),
        pytest.param(0, (2, 2), (4, 1), id="stride beyond the end"),
        pytest.param(3, (2,), (1,), id="offset beyond the end"),
        pytest.param(-1, (2,), (1,), id="negative offset"),
        pytest.param(0, (-2, -2), (1, 1), id="negative size"),
        pytest.param(0, (2,), (-1,), id="negative stride"),
        pytest.param(0, (2**62, 4), (1, 1), id="overflow"),
        pytest.param(0, (2, 2), (1,), id="shapes of different length"),
    ],
)
def test_tensors_stay_within_their_storage(tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    storage = stream_file(torch.arange(4.0)._typed_storage())
    file = tmp_path / "model.pkl"
    file.write_bytes(tensor_program(storage, 1, (3,), (1,)))
    assert torch.equal(read_tree(file), torch.tensor([1.0, 2.0, 3.0]))  # an honest one is read
    file.write_bytes(tensor_program(storage, offset, size, stride))
    assert_refused(file, "more data than it holds|impossible shape", readers=(read_tree,))


def claim(data: bytes, count: int) -> bytes:
    """The pickle of a torch file with a storage of four numbers changed into one that claims `count`."""
    changed, found = re.subn(rb"(cpuq.)K\x04", lambda match: match[1] + b"\x8a\x08" + struct.pack("<q", count), data)
    assert found
    return changed


def claiming_zip(count: int) -> bytes:
    """A torch zip with such a claim."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zip_file({"a": torch.arange(4.0)}))) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            target.writestr(info.filename, claim(data, count) if info.filename.endswith("data.pkl") else data)
    return out.getvalue()


BOMBS: dict[str, bytes] = {
    "huge byte string": assembled(b"\x8e" + struct.pack("<Q", 2**60) + b"x"),
    "huge text": assembled(b"\x8d" + struct.pack("<Q", 2**62) + b"x"),
    "huge number": assembled(b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x"),
    "huge bytearray": assembled(b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R"),
    "huge numpy array": assembled(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01\x8a\x05\x00\x00\x00\x00\x10\x85",
        b"cnumpy\ndtype\n(U\x02f4\x89\x88tR\x89U\x04abcdtb",
    ),
    "numpy objects": assembled(b"cnumpy\ndtype\n(U\x02O8\x89\x88tR"),
    "exponential key": assembled(b"}", b"K\x01", b"2\x86" * 60, b"K\x01s"),
    "long key again and again": assembled(b"}(" + b"K\x01" * 50_000 + b"tq\x002(" + b"h\x00K\x01" * 50_000 + b"u"),
    "memo far away": assembled(b"}r\xff\xff\xff\xffj\xfe\xff\xff\xff"),
    "empty stack": assembled(b"000R"),
    "list copied again and again": assembled(
        b"(" + b"K\x01" * 50_000 + b"lq\x00" + b"cbuiltins\nset\nq\x01" + b"h\x01h\x00\x85R0" * 50_000
    ),
    "text encoded again and again": assembled(
        text("x" * 1_000_000) + b"q\x00c_codecs\nencode\nq\x01]" + b"h\x01h\x00\x85Ra" * 100_000
    ),
    "storage of terabytes": claim(stream_file(torch.arange(4.0)._typed_storage()), 2**44),
    "storage of terabytes in a zip": claiming_zip(2**44),
    "deep nesting": assembled(b"]" * 200_000 + b"a" * 199_999),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_cannot_claim_much_memory_or_time(tmp_path: Path, name: str) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(BOMBS[name])
    start = time.process_time()
    assert_refused(file, readers=(load_model,))
    assert time.process_time() - start < 20


def test_torch_files_in_torch_files_come_to_an_end(tmp_path: Path) -> None:
    data = stream_file(torch.arange(4.0)._typed_storage())
    for _ in range(6):
        data = stream_file(Call(torch.storage._load_from_bytes, data))
    file = tmp_path / "model.pt"
    file.write_bytes(data)
    assert_refused(file, "nests torch files", readers=(load_model, inspect_file))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 363\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>Sorry</body></html>"


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(PAGE, "web page.*quota", id="quota page"),
        pytest.param(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page", id="error document"),
        pytest.param(LFS, "git lfs pull", id="git-lfs pointer"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "image", id="image"),
        pytest.param(b"\x1f\x8b\x08" + b"\0" * 50, "gzip", id="gzip"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "HDF5", id="Keras"),
        pytest.param(b"just some words, nothing else", "not a weights file", id="text"),
        pytest.param(random.Random(3).randbytes(5000), "not a weights file", id="random"),
        pytest.param(b"\x80", "not a weights file", id="one byte"),
        pytest.param(struct.pack("<Q", 2**30) + b'{"a": 1}', "cut off", id="safetensors with a huge header"),
        pytest.param(struct.pack("<Q", 8) + b'{"a": 1}', "safetensors", id="safetensors with a malformed header"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, "zip", id="broken zip"),
    ],
)
def test_what_is_no_weights_file_gets_one_sentence(tmp_path: Path, content: bytes, pattern: str) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    assert_refused(file, pattern)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        pytest.param(archive({"readme": b"hello"}), "not one of weights", id="other zip"),
        pytest.param(archive({"model/data.pkl": pickle.dumps({})}), "compressed", id="compressed"),
        pytest.param(archive({"m/data.pkl": b"", "m/constants.pkl": b""}), "TorchScript", id="TorchScript"),
    ],
)
def test_other_zip_files(tmp_path: Path, content: bytes, pattern: str) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    assert_refused(file, pattern)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nothing.pt", "no file")
    (tmp_path / "folder.pt").mkdir()
    assert_refused(tmp_path / "folder.pt", "cannot be read|folder")


@pytest.mark.parametrize(
    "document",
    [
        "not json", "[" * 100_000, "[]", "{}", '{"kind": 3, "version": 1}', '{"kind": "model", "version": 99}',
        '{"kind": "model", "version": 1}', '{"kind": "model", "version": 1, "configs": []}',
        '{"kind": "model", "version": 1, "configs": {"generator": {}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": "64"}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 65}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64, "mapping_layers": 1000000000}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64, "channel_base": 1e999}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64, "unknown": 1}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": true}}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64}}, "provenance": {"licence": 3}}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64}}, "provenance": []}',
        '{"kind": "model", "version": 1, "configs": {"generator": {"resolution": 64}}}',
        '{"kind": "\\u001b[31mred", "version": 1}',
    ],
)  # fmt: skip
def test_damaged_descriptions_of_our_own_files(tmp_path: Path, document: str) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"generator.x": torch.zeros(2)}, file, metadata={"mien": document})
    assert_refused(file, readers=(load_model,))


def test_hostile_style_files(tmp_path: Path) -> None:
    file, image = tmp_path / "style.safetensors", torch.zeros(3, 4, 4, dtype=torch.uint8)
    honest = {"kind": "style", "version": 1, "name": "ink", "base": "0" * 16, "resolution": 32, "settings": {}}
    generator = Generator(GeneratorConfig(32, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8))
    for tensors in ({"synthesis.nothing.weight": torch.zeros(3).half()}, {"synthesis.b4.const": torch.zeros(3).half()}):
        save_file({**tensors, "thumbnail": image}, file, metadata={"mien": json.dumps(honest)})
        style = Style.load(file)
        with pytest.raises(ModelMismatchError, match="parts that this model does not have"):
            apply_deltas(generator.synthesis, style.deltas)
    for key, value in {"name": 3, "base": None, "resolution": "32", "settings": []}.items():
        save_file({"thumbnail": image}, file, metadata={"mien": json.dumps({**honest, key: value})})
        assert_refused(file, "damaged style", readers=(Style.load,))
        save_file({"thumbnail": image}, file, metadata={"mien": json.dumps({k: v for k, v in honest.items() if k != key})})
        assert_refused(file, "damaged style", readers=(Style.load,))
    save_file({"thumbnail": image.float()}, file, metadata={"mien": json.dumps(honest)})
    assert_refused(file, "number types", readers=(Style.load,))


def honest_files() -> dict[str, bytes]:
    """Small files of every readable container."""
    tree = {
        "g_ema": {"a": torch.randn(3, 4), "b": torch.arange(5)},
        "m": torch.nn.BatchNorm1d(3).state_dict(),
        "args": argparse.Namespace(size=256, n=np.float64(2)),
    }
    return {"zip": zip_file(tree), "stream": stream_file(tree), "pickle": pickle.dumps(tree)}


@pytest.mark.parametrize("name", ["zip", "stream", "pickle"])
def test_damage_never_gets_past_the_error_tree(tmp_path: Path, name: str) -> None:
    """Cut, changed, removed and inserted bytes: a sentence or a value, never another exception."""
    data, file, random_ = honest_files()[name], tmp_path / "model.pt", random.Random(name)
    file.write_bytes(data)
    assert torch.equal(read_tree(file)["m"]["weight"], torch.ones(3))
    refused = 0
    for turn in range(150):
        broken = bytearray(data)
        at = random_.randrange(len(data))
        if turn % 3 == 0:
            del broken[at:]
        elif turn % 3 == 1:
            for _ in range(4):
                broken[random_.randrange(len(data))] = random_.randrange(256)
        else:
            broken[at:at] = random_.randbytes(3)
        file.write_bytes(broken)
        with contextlib.suppress(CheckpointError):
            read_tree(file) if broken else load_model(file)
            continue
        refused += 1
    assert refused > 50


def test_truncated_nvidia_file(shared: Path, tmp_path: Path) -> None:
    data = (shared / "parity" / "nvidia_small.pkl").read_bytes()
    file = tmp_path / "model.pkl"
    for cut in (3, 100, 5_000, 96_109, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:cut])
        assert_refused(file, "damaged|cut off", readers=(load_model, inspect_file))
