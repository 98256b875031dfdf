"""A style as one graph in a file: built, compared with PyTorch, and only then written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mien import __version__
from mien.checkpoint import load_model
from mien.errors import InputError
from mien.files import written_whole
from mien.latents import Codes
from mien.mappers.config import Part
from mien.mappers.generator_mapper import GeneratorMapper
from mien.mappers.graph import INPUTS, OUTPUTS, build_graph, describe, examples, package
from mien.mappers.interface import Seen
from mien.mappers.openvino_file import SUFFIX as OPENVINO_SUFFIX
from mien.mappers.openvino_file import write_openvino
from mien.models.model import Model, frozen
from mien.styles import Style, find_model

if TYPE_CHECKING:
    import onnx

_CLOSE = 1 / 255  # of an image's range: the mean difference up to which weights are stored in half precision
_CODES_CLOSE = 0.02  # the same for codes, whose values are about 1
_STRENGTHS = (1.0, 0.0)


@dataclass(frozen=True)
class Exported:
    """What was written, and how near to PyTorch it computes."""

    path: Path
    part: Part
    half: bool
    """Whether the weights are stored in half precision."""
    mean_difference: float
    """Of images in [0, 1] (of codes: in their own units), between ONNX Runtime and PyTorch."""
    largest_difference: float
    bytes: int


def export(
    style: Style | str | Path, path: str | Path, *, model: Model | str | Path | None = None, part: Part = "all",
    overwrite: bool = False,
) -> Exported:  # fmt: skip
    """Write a style as a graph that takes crops and gives drawn faces: .onnx, or OpenVINO's .xml with its .bin.

    Inputs are `image` [N, 3, S, S], `strength` [1] and `fidelity` [1], outputs `face` and `mask`; the file's metadata says what
    they mean, and the license. `part` writes the encoder or the generator alone. `model` is the one that the style belongs to
    (None: the embedded one). Weights are stored in half precision if images stay within 1/255 on average of PyTorch's.
    Raises `InputError` for another suffix, a taken name or a missing package, and `ModelMismatchError`.

    >>> mien.export("toon", "toon.onnx").half
    True
    """
    path = Path(path)
    if path.suffix.lower() not in (".onnx", OPENVINO_SUFFIX):
        raise InputError(f"{path}: a style is exported as .onnx, or as .xml for OpenVINO: choose one of these names.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")
    package("onnx", "export")
    if path.suffix.lower() == OPENVINO_SUFFIX:
        package("openvino", "openvino")
    loaded = model if isinstance(model, Model) else load_model(find_model(model))
    style = style if isinstance(style, Style) else Style.load(style, loaded)
    mapper = GeneratorMapper(frozen(loaded, torch.device("cpu")), style)
    for half in (True, False):
        graph = build_graph(mapper, part, half=half)
        mean, largest = differences(graph, mapper, part)
        if mean <= (_CODES_CLOSE if part == "encoder" else _CLOSE):
            break
    else:
        raise InputError(f"The graph of {style.name!r} differs from PyTorch by {mean:.3f} on average: it was not written.")
    describe(graph, _facts(style, loaded, mapper, (mean, largest)), mapper.size)
    if path.suffix.lower() == OPENVINO_SUFFIX:
        write_openvino(graph, path, half=half)
    else:
        with written_whole(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(graph.SerializeToString())
    return Exported(path, part, half, mean, largest, path.stat().st_size)


def differences(graph: onnx.ModelProto, mapper: GeneratorMapper, part: Part) -> tuple[float, float]:
    """Mean and largest difference of a graph in ONNX Runtime from its mapper in PyTorch, images and masks in [0, 1]."""
    runtime = package("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    total, count, largest = 0.0, 0, 0.0
    for strength in _STRENGTHS if part != "encoder" else _STRENGTHS[:1]:
        given = dict(zip(INPUTS[part], examples(mapper, part), strict=True))
        if "strength" in given:
            given["strength"] = torch.full((1,), strength)
        outputs = session.run(list(OUTPUTS[part]), {name: value.numpy() for name, value in given.items()})
        for name, output, expected in zip(OUTPUTS[part], outputs, _expected(mapper, part, given, strength), strict=True):
            gap = (torch.from_numpy(output) - expected).abs() * (0.5 if name == "face" else 1.0)
            total, count, largest = total + float(gap.sum()), count + gap.numel(), max(largest, float(gap.max()))
    return total / count, largest


def _expected(mapper: GeneratorMapper, part: Part, given: dict[str, torch.Tensor], strength: float) -> tuple[torch.Tensor, ...]:
    if part == "generator":
        codes = given["feature_code"] if given["feature_code"].ndim == 4 else None
        seen = Seen(Codes(given["w_plus"], codes), torch.zeros(2, 1, mapper.heads.size, mapper.heads.size))
        return (mapper.draw(seen, strength=strength).faces,)
    if part == "encoder":
        found = mapper.encode(given["image"]).codes
        return found.w_plus, torch.zeros(len(found.w_plus), 1, 1) if found.feature_code is None else found.feature_code
    mapped = mapper(given["image"], strength=strength)
    return mapped.faces, mapped.masks


def _facts(style: Style, model: Model, mapper: GeneratorMapper, difference: tuple[float, float]) -> dict[str, str]:
    return {
        "mien": __version__, "style": style.name, "license": str(style.settings.get("licence") or model.provenance.license),
        "base_model": model.provenance.name, "base_digest": style.base, "fidelity": f"{mapper.usual_fidelity:g}",
        "difference_from_pytorch": f"mean {difference[0]:.2e}, largest {difference[1]:.2e}",
    }  # fmt: skip
