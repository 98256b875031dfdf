"""A style's graph as a `Mapper`, run by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mien.checkpoint.style_file import StyleFile
from mien.errors import CheckpointError, InputError
from mien.latents import USUAL_FIDELITY, Codes
from mien.mappers.config import Engine
from mien.mappers.generator_mapper import GeneratorMapper
from mien.mappers.graph import CODES, build_graph, package
from mien.mappers.graph_file import read_graph
from mien.mappers.interface import Mapped, Mapper
from mien.models.model import Model

if TYPE_CHECKING:
    import onnx

GRAPH_SUFFIX = ".onnx"
Run: TypeAlias = Callable[[dict[str, Any]], list[Any]]
_MOST_KEPT = 4  # compiled graphs: one for the codes, and one for each strength and batch in use


class GraphMapper:
    """A whole graph of a style, as `mien.export` writes it.

    It is cut in two at the codes, so that a stream may smooth them. A strength is compiled into the graph when it is first
    used, in about a second: frames then cost the same as at any other strength.
    """

    def __init__(
        self, model: onnx.ModelProto, size: int, engine: Engine = "onnxruntime", *, dtype: torch.dtype = torch.float32
    ) -> None:
        """Take a graph that `build_graph` made or `read_graph` read; `dtype` bfloat16 is for OpenVINO alone."""
        if engine == "torch":
            raise InputError("A graph is run by the engine onnxruntime or openvino; torch needs the style itself.")
        self._model, self.size, self.engine, self.dtype = model, size, engine, dtype
        facts = {entry.key: entry.value for entry in model.metadata_props}
        self.name, self.base = facts.get("style", "style"), facts.get("base_digest", "")
        self.usual_fidelity = _number(facts.get("fidelity"), USUAL_FIDELITY)
        parts = package("onnx.utils", "export")
        package("openvino" if engine == "openvino" else "onnxruntime", "openvino" if engine == "openvino" else "export")
        try:
            cut = parts.Extractor(model)
            self._encoder = cut.extract_model(["image"], list(CODES))
            self._rest = cut.extract_model([*CODES, "image", "strength", "fidelity"], ["face", "mask"])
        except Exception as error:  # of onnx, for names that are not there
            raise CheckpointError("The graph is no style that mien exported: it has no codes inside.") from error
        self._ready: dict[tuple[Any, ...], Run] = {}

    def by(self, engine: Engine | None, dtype: torch.dtype = torch.float32) -> GraphMapper:
        """The same graph run by another engine; None: by this one."""
        wanted = engine or self.engine
        return (
            self if (wanted, dtype) == (self.engine, self.dtype) else GraphMapper(self._model, self.size, wanted, dtype=dtype)
        )

    def __call__(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """What `draw` makes of the codes that `encode` finds."""
        return self.draw(self.encode(crops), crops, strength=strength, fidelity=fidelity)

    def encode(self, crops: Tensor) -> Codes:
        """See `Mapper`."""
        w_plus, feature_code = self._run(None, {"image": self._array(crops)})
        return Codes(torch.from_numpy(w_plus), torch.from_numpy(feature_code) if feature_code.ndim == 4 else None)

    def draw(self, codes: Codes, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """See `Mapper`."""
        feature_code = np.zeros((len(crops), 1, 1), np.float32) if codes.feature_code is None else _numpy(codes.feature_code)
        given = {"w_plus": _numpy(codes.w_plus), "feature_code": feature_code, "image": self._array(crops)}
        share = self.usual_fidelity if fidelity is None else fidelity
        face, mask = self._run(float(strength), given | {"fidelity": np.full(1, share, np.float32)})
        return Mapped(torch.from_numpy(face), torch.from_numpy(mask))

    def _array(self, crops: Tensor) -> Any:
        if crops.ndim != 4 or crops.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"crops must be [N, 3, {self.size}, {self.size}], got {list(crops.shape)}")
        return _numpy(crops)

    def _run(self, strength: float | None, given: dict[str, Any]) -> list[Any]:
        key = strength, len(given["image"])
        if key not in self._ready:
            if len(self._ready) >= _MOST_KEPT:
                del self._ready[next(iter(self._ready))]
            model = self._encoder if strength is None else _with_strength(self._rest, strength)
            start = _in_openvino if self.engine == "openvino" else _in_onnxruntime
            self._ready[key] = start(model, {name: list(value.shape) for name, value in given.items()}, self.dtype)
        taken = {value.name for value in (self._encoder if strength is None else self._rest).graph.input}
        return [np.array(output) for output in self._ready[key]({n: v for n, v in given.items() if n in taken})]


def _with_strength(model: onnx.ModelProto, strength: float) -> onnx.ModelProto:
    """The graph with the strength as a constant, so that an engine works the weights out when it loads it."""
    onnx = package("onnx", "export")
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    inputs = [value for value in fixed.graph.input if value.name != "strength"]
    del fixed.graph.input[:]
    fixed.graph.input.extend(inputs)
    fixed.graph.initializer.append(onnx.numpy_helper.from_array(np.full(1, strength, np.float32), "strength"))
    return fixed  # type: ignore[no-any-return]


def _in_onnxruntime(model: onnx.ModelProto, shapes: dict[str, list[int]], dtype: torch.dtype) -> Run:
    runtime = package("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda given: list(session.run(None, given))


def _in_openvino(model: onnx.ModelProto, shapes: dict[str, list[int]], dtype: torch.dtype) -> Run:
    openvino = package("openvino", "openvino")
    core = openvino.Core()
    read = core.read_model(model.SerializeToString())
    read.reshape({value.get_any_name(): shapes[value.get_any_name()] for value in read.inputs})
    settings = {
        # Left alone it takes bfloat16 on some processors and says nothing.
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY",
    }  # fmt: skip
    request = core.compile_model(read, "CPU", settings).create_infer_request()
    return lambda given: list(request.infer(given).values())


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().float().cpu().contiguous().numpy()


def _number(text: str | None, otherwise: float) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text else otherwise
    except ValueError:
        return otherwise


def open_mapper(
    style: StyleFile | str | Path, model: Model | None = None, engine: Engine | None = None, dtype: torch.dtype = torch.float32
) -> Mapper:
    """A mapper of a style on a model, or of an exported .onnx file, which needs no model.

    `engine` None: torch for a style, ONNX Runtime for a file. Another engine than torch draws a style through its graph, which
    is made in some seconds.
    """
    if not isinstance(style, StyleFile):
        return GraphMapper(*read_graph(Path(style)), engine or "onnxruntime", dtype=dtype)
    if model is None:
        raise InputError("A style is drawn by its model: give it as `model`.")
    mapper = GeneratorMapper(model, style, dtype=dtype if engine in (None, "torch") else torch.float32)
    if engine in (None, "torch"):
        return mapper
    return GraphMapper(build_graph(mapper), mapper.size, engine or "torch", dtype=dtype)
