"""OpenVINO's own format: an .xml with the operators and a .bin with the weights.

Files from somebody else are data: nothing but a style that mien exported is taken.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import torch

from mien.errors import CheckpointError, InputError, shown
from mien.files import read_bytes, write_whole
from mien.mappers.graph import INPUTS, OUTPUTS, SEEN, package

if TYPE_CHECKING:
    import onnx

SUFFIX = ".xml"
_OPERATORS = frozenset(
    [
        "Add",
        "AvgPool",
        "Broadcast",
        "Clamp",
        "Concat",
        "Const",
        "Convert",
        "Convolution",
        "ConvolutionBackpropData",
        "Divide",
        "Equal",
        "Gather",
        "GroupConvolution",
        "Interpolate",
        "MVN",
        "MatMul",
        "Maximum",
        "Minimum",
        "Multiply",
        "PReLU",
        "Pad",
        "Parameter",
        "Power",
        "Range",
        "ReduceSum",
        "Reshape",
        "Result",
        "Select",
        "ShapeOf",
        "Sigmoid",
        "Slice",
        "Sqrt",
        "Squeeze",
        "Subtract",
        "Transpose",
        "Unsqueeze",
        "VariadicSplit",
    ]
)
"""All that a style's graph holds in this format."""
_MOST_XML, _MOST_BIN, _MOST_LAYERS, _MOST_SIDE = 1 << 25, 1 << 29, 20_000, 1024


def write_openvino(graph: onnx.ModelProto, path: Path, *, half: bool = True) -> None:
    """Write a graph for OpenVINO at `path` and, beside it, its weights as .bin; both have their names only when whole."""
    openvino: Any = package("openvino", "openvino")
    model = openvino.Core().read_model(graph.SerializeToString())
    for entry in graph.metadata_props:
        model.set_rt_info(entry.value, [entry.key])
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        openvino.save_model(model, whole, compress_to_fp16=half)
        weights = whole.with_suffix(".bin")
        if os.path.getsize(weights) == 0:
            raise InputError(f"{path} could not be written: OpenVINO wrote no weights.")
        write_whole(path.with_suffix(".bin"), weights.read_bytes())
        write_whole(path, whole.read_bytes())


def read_openvino(path: Path) -> tuple[Any, dict[str, str], int]:
    """The whole graph of a style in an .xml file and its .bin: an `openvino.Model`, what it says of itself, and its side.

    Raises `CheckpointError` for a file that is damaged, has no weights beside it, holds operators that no graph of mien does,
    or is anything else than a whole style.
    """
    openvino: Any = package("openvino", "openvino")
    weights = path.with_suffix(".bin")
    if not weights.exists():
        raise CheckpointError(f"{path} has no {weights.name} beside it, where its weights are: keep the two files together.")
    content, data = read_bytes(path, _MOST_XML, CheckpointError), read_bytes(weights, _MOST_BIN, CheckpointError)
    facts = _facts(content, len(data), path)
    try:
        model = openvino.Core().read_model(content, openvino.Tensor(np.frombuffer(data, np.uint8)))
    except Exception as error:  # of OpenVINO, which has classes of its own for some
        raise CheckpointError(f"{path} is damaged: export the style again.") from error
    return model, facts, _side(model, path)


def _facts(content: bytes, weights: int, path: Path) -> dict[str, str]:
    """What the file says of itself, once it is known to hold nothing strange."""
    if b"<!" in content:  # entities, which may refer to other files or grow without end
        raise CheckpointError(f"{path} holds definitions of XML, which no style does: export the style again.")
    try:
        root = ElementTree.fromstring(content)  # without definitions there is nothing to expand
    except ElementTree.ParseError as error:
        raise CheckpointError(f"{path} is damaged or no file of OpenVINO: export the style again.") from error
    layers = root.findall("./layers/layer")
    if root.tag != "net" or not layers:
        raise CheckpointError(f"{path} is no file of OpenVINO: give a style that mien exported.")
    if len(layers) > _MOST_LAYERS:
        raise CheckpointError(f"{path} has {len(layers)} operators, no style has so many: export the style again.")
    for layer in layers:
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in _OPERATORS or not version.startswith("opset") or layer.find("./body") is not None:
            raise CheckpointError(f"{path} holds the operator {shown(kind)}, which no style does: export the style again.")
        place = layer.find("./data")
        if kind == "Const" and not _lies_within(place, weights):
            raise CheckpointError(
                f"{path} does not fit its weights in {path.with_suffix('.bin').name}: export the style again."
            )
    return {entry.tag: entry.get("value", "") for entry in root.findall("./rt_info/*")}


def _lies_within(place: ElementTree.Element | None, weights: int) -> bool:
    offset, size = ("" if place is None else place.get(name, "") for name in ("offset", "size"))
    return offset.isdecimal() and size.isdecimal() and len(offset + size) < 40 and int(offset) + int(size) <= weights


def _side(model: Any, path: Path) -> int:
    """The side of the crops; raises `CheckpointError` for another graph than a whole style's."""
    inputs, outputs = ({port.get_any_name(): port for port in ports} for ports in (model.inputs, model.outputs))
    for part in ("encoder", "generator"):
        if (set(inputs), set(outputs)) == (set(INPUTS[part]), set(OUTPUTS[part])):
            raise CheckpointError(f"{path} holds the {part} alone, which draws nothing by itself: export the whole style.")
    if (set(inputs), set(outputs)) != (set(INPUTS["all"]), set(OUTPUTS["all"])):
        raise CheckpointError(f"{path} is no style that mien exported: its inputs and outputs are others.")
    found = [
        [d.get_length() if d.is_static else 0 for d in port.partial_shape][1:] for port in (*inputs.values(), *outputs.values())
    ]
    side = next((shape[-1] for shape in found if len(shape) == 3), 0)
    shapes = sorted(found)
    if shapes != sorted([[3, side, side], [], [], [3, side, side], [1, side, side]]) or not 32 <= side <= _MOST_SIDE:
        raise CheckpointError(f"{path} is no style that mien exported: its inputs or outputs have other shapes.")
    return side


def cut_in_two(model: Any, path: Path) -> tuple[Any, Any]:
    """The encoder of a whole graph (`image` -> what is seen), and what draws from that: two `openvino.Model`."""
    openvino: Any = package("openvino", "openvino")
    encoder, rest = model.clone(), model.clone()

    def ports(whole: Any) -> list[Any]:
        named = {name: out for op in whole.get_ops() for out in op.outputs() for name in out.get_names()}
        if not set(SEEN) <= named.keys():
            raise CheckpointError(f"{path} is no style that this mien exported: export the style again.")
        return [named[name] for name in SEEN]

    image = next(p for p in encoder.get_parameters() if "image" in p.output(0).get_names())
    encoder = openvino.Model([openvino.opset8.result(out) for out in ports(encoder)], [image], "encoder")
    given = []
    for name, out in zip(SEEN, ports(rest), strict=True):
        users = list(out.get_target_inputs())
        parameter = openvino.opset8.parameter(out.get_partial_shape(), out.get_element_type())
        for user in users:
            user.replace_source_output(parameter.output(0))
        out.set_names(set())
        parameter.output(0).set_names({name})
        given.append(parameter)
    others = [p for p in rest.get_parameters() if "image" not in p.output(0).get_names()]
    return encoder, openvino.Model(rest.get_results(), [*given, *others], "generator")


def with_strength(model: Any, strength: float) -> Any:
    """A copy with the strength as a constant, so that the weights are worked out when it is compiled."""
    openvino: Any = package("openvino", "openvino")
    fixed = model.clone()
    for parameter in fixed.get_parameters():
        if "strength" in parameter.output(0).get_names():
            constant = openvino.opset8.constant(np.full(1, strength, np.float32))
            for user in list(parameter.output(0).get_target_inputs()):
                user.replace_source_output(constant.output(0))
            fixed.remove_parameter(parameter)
    return fixed


def compiled_openvino(model: Any, shapes: dict[str, list[int]], dtype: torch.dtype) -> Callable[[dict[str, Any]], list[Any]]:
    """A model as a function of named arrays of these shapes; others are left alone. It changes the model."""
    openvino: Any = package("openvino", "openvino")
    taken = [value.get_any_name() for value in model.inputs]
    model.reshape({name: shapes[name] for name in taken})
    settings = {
        # Left alone it takes bfloat16 on some processors and says nothing.
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda given: list(request.infer({name: given[name] for name in taken}).values())
