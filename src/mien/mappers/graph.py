"""The generator path as an ONNX graph: one file that other programs and browsers run."""

from __future__ import annotations

import json
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import InputError
from mien.mappers.config import Part
from mien.mappers.generator_mapper import GeneratorMapper

if TYPE_CHECKING:
    import onnx

OPSET = 17
INPUTS = {
    "all": ("image", "strength", "fidelity"),
    "encoder": ("image",),
    "generator": ("w_plus", "feature_code", "strength", "fidelity"),
}
OUTPUTS = {"all": ("face", "mask"), "encoder": ("w_plus", "feature_code"), "generator": ("face",)}
SEEN = ("w_plus", "feature_code", "heads")
"""Values inside the whole graph at which it may be cut in two; see `Seen`."""
OPERATORS = frozenset(
    [
        "Abs",
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "ConvTranspose",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "Identity",
        "InstanceNormalization",
        "LeakyRelu",
        "MatMul",
        "Max",
        "Mul",
        "Neg",
        "Pad",
        "Pow",
        "PRelu",
        "Range",
        "Reciprocal",
        "ReduceMean",
        "ReduceSum",
        "ReduceSumSquare",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
"""All that a graph of ours may hold; onnxruntime-web runs every one of them, in WebAssembly and on WebGPU."""
_HALF_FROM = 1 << 16  # elements: smaller tensors stay in single precision
_FRAME = (
    "FFHQ alignment, RGB. With the centers of the eyes, e = the point between them, m = the middle of the mouth corners: the "
    "crop is a square around e + 0.1 (m - e), its side is the larger of 4 times the distance between the eyes and 3.6 times "
    "that of e and m, and its upper edge lies along (right eye - left eye) + (m - e) turned by (x, y) -> (y, -x)."
)


def package(name: str, extra: str) -> Any:
    """An optional package; raises `InputError` that says how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f'The package {name} is not installed: run pip install "mien[{extra}]".') from error


class _Part(nn.Module):
    """One part of a mapper as a function of tensors alone."""

    def __init__(self, mapper: GeneratorMapper, part: Part) -> None:
        super().__init__()
        self.mapper, self.part = mapper, part

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        mapper = self.mapper
        if self.part == "generator":
            w_plus, feature_code, strength, fidelity = given
            return (self._face(w_plus, feature_code, strength, fidelity),)
        image = given[0]
        own = mapper.heads(image)
        w_plus, found = mapper.look(image, own)
        feature_code = w_plus[:, :1, :1] * 0 if found is None else found
        if self.part == "encoder":
            return w_plus, feature_code
        face = self._face(w_plus, feature_code, *given[1:])
        return face, mapper.cover(own, face), w_plus, feature_code, own

    def _face(self, w_plus: Tensor, feature_code: Tensor, strength: Tensor, fidelity: Tensor) -> Tensor:
        eased = self.mapper.ease(feature_code if feature_code.ndim == 4 else None, fidelity)
        face: Tensor = self.mapper.synthesis(w_plus, eased, self.mapper.synthesis.at(strength))
        if eased is None:  # a graph has all its inputs, for models without feature codes too
            face = face + 0 * fidelity * feature_code.sum()
        return face.clamp(-1, 1)


def examples(mapper: GeneratorMapper, part: Part, count: int = 2) -> tuple[Tensor, ...]:
    """Inputs of a part, for tracing it and for comparing engines: smooth images, or the codes of such, and usual weights."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 9, 9, generator=generator) * 2 - 1
    image = torch.nn.functional.interpolate(coarse, (mapper.size, mapper.size), mode="bicubic").clamp(-1, 1)
    weights = torch.ones(1), torch.full((1,), mapper.usual_fidelity)
    if part == "generator":
        codes = mapper.encode(image).codes
        return (
            codes.w_plus.clone(),
            torch.zeros(count, 1, 1) if codes.feature_code is None else codes.feature_code.clone(),
            *weights,
        )
    return (image,) if part == "encoder" else (image, *weights)


def build_graph(mapper: GeneratorMapper, part: Part = "all", *, half: bool = True) -> onnx.ModelProto:
    """The graph of a mapper in float32, its weights stored in half precision unless not `half`.

    Raises `InputError` where the packages of the extra `export` are missing.
    """
    onnx: Any = package("onnx", "export")
    package("onnxruntime", "export")
    names = list(OUTPUTS[part]) + (list(SEEN) if part == "all" else [])
    batches = ("image", "face", "mask", *SEEN)
    axes = {name: {0: "batch"} for name in (*INPUTS[part], *names) if name in batches}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer, for every size that it takes as fixed, as it is meant to
        traced = Path(folder) / "traced.onnx"
        # The tracing exporter: five seconds where the one by torch.export takes forty, and without a further package.
        torch.onnx.export(
            _Part(mapper, part).eval(), examples(mapper, part), traced, dynamo=False, opset_version=OPSET,
            input_names=list(INPUTS[part]), output_names=names, dynamic_axes=axes,
        )  # fmt: skip
        model = _folded(traced.read_bytes())
    model.graph.value_info.extend(model.graph.output[len(OUTPUTS[part]) :])
    del model.graph.output[len(OUTPUTS[part]) :]  # their names stay inside: there the graph may be cut in two
    for value in model.graph.output:  # the tracer loses their sides on the way
        if value.name in ("face", "mask"):
            dims = value.type.tensor_type.shape.dim
            for dim, size in zip(dims[1:], (3 if value.name == "face" else 1, mapper.size, mapper.size), strict=True):
                dim.dim_value = size
    for domain in [domain for domain in model.opset_import if domain.domain]:
        model.opset_import.remove(domain)
    if half:
        _halve(model, onnx)
    strange = {node.op_type for node in model.graph.node} - OPERATORS
    assert not strange, f"operators that not every engine runs: {strange}"
    return model  # type: ignore[no-any-return]


def _folded(graph: bytes) -> Any:
    """A graph in which what is constant is worked out, by ONNX Runtime, in standard operators alone."""
    runtime, onnx = package("onnxruntime", "export"), package("onnx", "export")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def at_strength(model: onnx.ModelProto, strength: float) -> onnx.ModelProto:
    """The graph with the strength as a constant, so that an engine works the weights out when it loads it."""
    onnx = package("onnx", "export")
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    inputs = [value for value in fixed.graph.input if value.name != "strength"]
    del fixed.graph.input[:]
    fixed.graph.input.extend(inputs)
    fixed.graph.initializer.append(onnx.numpy_helper.from_array(np.full(1, strength, np.float32), "strength"))
    return fixed  # type: ignore[no-any-return]


def _halve(model: onnx.ModelProto, onnx: Any) -> None:
    """Store large tensors in half precision; a cast brings them back, which engines do once, when they load the file."""
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != "float32" or values.size < _HALF_FROM:
            continue
        name, stored = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype("float16"), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def describe(model: onnx.ModelProto, facts: dict[str, str], size: int) -> None:
    """Write into a graph what a program must know to use it."""
    ranges = {
        "image": f"[N, 3, {size}, {size}] in [-1, 1]", "strength": "[1] in [0, 1]: 0 the base model's face, 1 the full style",
        "fidelity": "[1] in [0, 1]: weight of the feature code", "face": f"[N, 3, {size}, {size}] in [-1, 1]",
        "mask": f"[N, 1, {size}, {size}] in [0, 1]: what the face is to cover of the photo",
        "w_plus": "[N, num_ws, w_dim]", "feature_code": "[N, channels, side, side]",
    }  # fmt: skip
    values = [value.name for value in (*model.graph.input, *model.graph.output)]
    facts = facts | {"frame": _FRAME, "size": str(size), "tensors": json.dumps({name: ranges[name] for name in values})}
    model.producer_name = "mien"
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
