"""Reading a graph from an unknown source: it is treated as data, and only styles that mien exported are accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import CheckpointError, shown
from mien.files import read_bytes
from mien.mappers.graph import INPUTS, OPERATORS, OUTPUTS, package

if TYPE_CHECKING:
    import onnx

_MOST_BYTES, _MOST_NODES, _MOST_VALUES, _MOST_SIDE = 1 << 29, 20_000, 1 << 28, 1024


def read_graph(path: Path) -> tuple[onnx.ModelProto, int]:
    """The whole graph of a style in an .onnx file, and the side of its crops in pixels.

    Raises `CheckpointError` for a file that is too large, damaged, refers to other files, holds operators that no graph of mien
    does, or is anything else than a whole style.
    """
    onnx = package("onnx", "export")
    content = read_bytes(path, _MOST_BYTES, CheckpointError)
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own class of errors differs between its implementations
        raise CheckpointError(f"{path} is damaged or no ONNX file: export the style again.") from error
    graph = model.graph
    if len(graph.node) > _MOST_NODES:
        raise CheckpointError(f"{path} has {len(graph.node)} operators, no style has so many: export the style again.")
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    if any(t.external_data or t.data_location == onnx.TensorProto.EXTERNAL for t in tensors):
        raise CheckpointError(f"{path} refers to other files, which mien does not follow: export the style again.")
    if graph.sparse_initializer or model.functions or any(a.HasField("g") or a.graphs for n in graph.node for a in n.attribute):
        raise CheckpointError(f"{path} holds functions or branches, which no style does: export the style again.")
    strange = sorted({n.op_type for n in graph.node if n.op_type not in OPERATORS or n.domain not in ("", "ai.onnx")})
    if strange:
        raise CheckpointError(f"{path} holds the operator {shown(strange[0])}, which no style does: export the style again.")
    if any(min(t.dims, default=1) < 0 or _product(t.dims) > _MOST_VALUES for t in tensors):
        raise CheckpointError(f"{path} holds a tensor of absurd size: export the style again.")
    return model, _side(model, path)


def _side(model: onnx.ModelProto, path: Path) -> int:
    inputs = [[value.name, _shape(value)] for value in model.graph.input]
    outputs = [[value.name, _shape(value)] for value in model.graph.output]
    names = tuple(n for n, _ in inputs), tuple(n for n, _ in outputs)
    for part in ("encoder", "generator"):
        if names == (INPUTS[part], OUTPUTS[part]):
            raise CheckpointError(f"{path} holds the {part} alone, which draws nothing by itself: export the whole style.")
    if names != (INPUTS["all"], OUTPUTS["all"]):
        raise CheckpointError(f"{path} is no style that mien exported: its inputs and outputs are others.")
    side = inputs[0][1][-1] if inputs[0][1] else 0
    wanted = [[3, side, side], [], [], [3, side, side], [1, side, side]]
    found = [shape[1:] for _, shape in (*inputs, *outputs)]
    if found != wanted or not isinstance(side, int) or not 32 <= side <= _MOST_SIDE:
        raise CheckpointError(f"{path} is no style that mien exported: its inputs or outputs have other shapes.")
    return side


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _product(dims: object) -> int:
    total = 1
    for dim in dims:  # type: ignore[attr-defined]
        total *= dim
    return total
