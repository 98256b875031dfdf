"""A style as a static web page: photos and camera are drawn in the visitor's browser, and nothing is sent anywhere."""

from __future__ import annotations

import json
import tarfile
import tempfile
import warnings
from importlib.resources import files
from pathlib import Path

import torch

from mien.checkpoint import load_model
from mien.checkpoint.face_networks import read_landmark_network
from mien.errors import InputError
from mien.exporters.export_style import export
from mien.files import read_bytes, write_whole
from mien.mappers.graph import OPSET, package
from mien.models.model import Model
from mien.styles import Style, find_model

PAGE = ("index.html", "page.css", "page.js", "faces.js")
RUNTIME = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
_MOST_BYTES = 1 << 28


def export_web(
    style: Style | str | Path, folder: str | Path, *, runtime: str | Path | None = None,
    model: Model | str | Path | None = None,
) -> Path:  # fmt: skip
    """Write a page that draws faces in the style, to be served by any static server; returns the folder, which must be new.

    `runtime` is the package onnxruntime-web: the .tgz that `npm pack onnxruntime-web` downloads, or a folder with its `dist`
    files. It is not part of mien. Raises `InputError`.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise InputError(f"{folder} exists already and is not empty: choose another folder for the page.")
    if runtime is None:
        raise InputError("The page needs onnxruntime-web: run `npm pack onnxruntime-web` and give the .tgz as `runtime`.")
    engine = _runtime_files(Path(runtime))
    loaded = model if isinstance(model, Model) else load_model(find_model(model))
    style = style if isinstance(style, Style) else Style.load(style, loaded)
    folder.mkdir(parents=True, exist_ok=True)
    export(style, folder / "style.onnx", model=loaded)
    write_whole(folder / "landmarks.onnx", landmark_graph())
    for name, content in engine.items():
        write_whole(folder / "runtime" / name, content)
    for name in PAGE:
        write_whole(folder / name, (files("mien.exporters") / "browser" / name).read_bytes())
    terms = str(style.settings.get("licence") or loaded.provenance.license)
    about = {"style": style.name, "size": loaded.resolution, "fidelity": style.fidelity, "license": terms}
    write_whole(folder / "about.json", json.dumps(about))
    return folder


def landmark_graph() -> bytes:
    """The landmark network as a graph: `crop` [N, 3, 64, 64] in [-1, 1] -> `points` [N, 7, 2] in units of its side."""
    package("onnx", "export")
    network = read_landmark_network()
    example = torch.rand(2, 3, network.config.size, network.config.size)
    axes = {"crop": {0: "batch"}, "points": {0: "batch"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = Path(folder) / "landmarks.onnx"
        torch.onnx.export(
            network, (example,), path, dynamo=False, opset_version=OPSET, input_names=["crop"], output_names=["points"],
            dynamic_axes=axes,
        )  # fmt: skip
        return path.read_bytes()


def _runtime_files(source: Path) -> dict[str, bytes]:
    """The files of onnxruntime-web that the page loads, from npm's archive or a folder."""
    if source.is_dir():
        places = [source, source / "dist", source / "package" / "dist"]
        found = {name: place / name for place in reversed(places) for name in RUNTIME if (place / name).is_file()}
        content = {name: read_bytes(path, _MOST_BYTES) for name, path in found.items()}
    elif source.is_file():
        try:
            with tarfile.open(source) as archive:
                content = {}
                for name in RUNTIME:
                    member = archive.getmember(f"package/dist/{name}")
                    inside = archive.extractfile(member) if member.isfile() and member.size <= _MOST_BYTES else None
                    content |= {name: inside.read()} if inside else {}
        except (tarfile.TarError, KeyError, OSError, EOFError) as error:
            raise InputError(f"{source} is not the .tgz that `npm pack onnxruntime-web` downloads: get it again.") from error
    else:
        raise InputError(f"{source} does not exist: run `npm pack onnxruntime-web` and give the .tgz as `runtime`.")
    missing = [name for name in RUNTIME if name not in content]
    if missing:
        raise InputError(f"{source} has no {missing[0]}: give the package onnxruntime-web, version 1.24 or newer.")
    return content
