"""A style's graph as a `Mapper`, run by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mien.checkpoint.style_file import StyleFile
from mien.errors import CheckpointError, InputError
from mien.latents import USUAL_FIDELITY, Codes
from mien.mappers.config import Engine
from mien.mappers.generator_mapper import GeneratorMapper
from mien.mappers.graph import SEEN, at_strength, build_graph, package
from mien.mappers.graph_file import read_graph
from mien.mappers.interface import Mapped, Mapper, Seen
from mien.mappers.openvino_file import SUFFIX as OPENVINO_SUFFIX
from mien.mappers.openvino_file import compiled_openvino, cut_in_two, read_openvino, with_strength
from mien.models.model import Model

if TYPE_CHECKING:
    import onnx

GRAPH_SUFFIXES = (".onnx", OPENVINO_SUFFIX)
"""Endings of exported styles."""
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
        self._model, self.size = model, size
        self._describe(engine, {entry.key: entry.value for entry in model.metadata_props}, dtype)
        parts = package("onnx.utils", "export")
        package("openvino" if engine == "openvino" else "onnxruntime", "openvino" if engine == "openvino" else "export")
        try:
            cut = parts.Extractor(model)
            self._encoder = cut.extract_model(["image"], list(SEEN))
            self._rest = cut.extract_model([*SEEN, "strength", "fidelity"], ["face", "mask"])
        except Exception as error:  # of onnx, for names that are not there
            raise CheckpointError("The graph is no style that mien exported: it has no codes inside.") from error

    def _describe(self, engine: Engine, facts: dict[str, str], dtype: torch.dtype) -> None:
        self.engine, self.dtype = engine, dtype
        self.name, self.base = facts.get("style", "style"), facts.get("base_digest", "")
        self.usual_fidelity = _number(facts.get("fidelity"), USUAL_FIDELITY)
        self._prepare()

    def _prepare(self) -> None:
        self._ready: dict[tuple[Any, ...], Run] = {}
        self._lock = Lock()  # a stream encodes in one thread and draws in another

    def by(self, engine: Engine | None, dtype: torch.dtype = torch.float32) -> GraphMapper:
        """The same graph run by another engine; None: by this one."""
        wanted = engine or self.engine
        return (
            self if (wanted, dtype) == (self.engine, self.dtype) else GraphMapper(self._model, self.size, wanted, dtype=dtype)
        )

    def __call__(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """What `draw` makes of what `encode` sees."""
        return self.draw(self.encode(crops), strength=strength, fidelity=fidelity)

    def encode(self, crops: Tensor) -> Seen:
        """See `Mapper`."""
        w_plus, feature_code, heads = (torch.from_numpy(found) for found in self._run(None, {"image": self._array(crops)}))
        return Seen(Codes(w_plus, feature_code if feature_code.ndim == 4 else None), heads)

    def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """See `Mapper`."""
        codes = seen.codes
        feature_code = (
            np.zeros((len(codes.w_plus), 1, 1), np.float32) if codes.feature_code is None else _numpy(codes.feature_code)
        )
        given = {"w_plus": _numpy(codes.w_plus), "feature_code": feature_code, "heads": _numpy(seen.heads)}
        share = self.usual_fidelity if fidelity is None else fidelity
        face, mask = self._run(float(strength), given | {"fidelity": np.full(1, share, np.float32)})
        return Mapped(torch.from_numpy(face), torch.from_numpy(mask))

    def _array(self, crops: Tensor) -> Any:
        if crops.ndim != 4 or crops.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"crops must be [N, 3, {self.size}, {self.size}], got {list(crops.shape)}")
        return _numpy(crops)

    def _run(self, strength: float | None, given: dict[str, Any]) -> list[Any]:
        run = self._compiled(strength, {name: list(value.shape) for name, value in given.items()})
        return [np.array(output) for output in run(given)]

    def _compiled(self, strength: float | None, shapes: dict[str, list[int]]) -> Run:
        """The encoder, or what draws at a strength, for inputs of these shapes and the threads that this caller has."""
        key = strength, *map(tuple, shapes.values()), torch.get_num_threads()
        with self._lock:
            if key not in self._ready:
                if len(self._ready) >= _MOST_KEPT:
                    del self._ready[next(iter(self._ready))]
                self._ready[key] = self._started(strength, shapes)
            return self._ready[key]

    def _started(self, strength: float | None, shapes: dict[str, list[int]]) -> Run:
        model = self._encoder if strength is None else at_strength(self._rest, strength)
        if self.engine == "openvino":
            return compiled_openvino(
                package("openvino", "openvino").Core().read_model(model.SerializeToString()), shapes, self.dtype
            )
        return _in_onnxruntime(model, self.dtype)


class OpenvinoMapper(GraphMapper):
    """The same of a graph in OpenVINO's own format, which no other engine runs."""

    def __init__(self, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Read an .xml file with its .bin. Raises `CheckpointError` for anything but a whole style of mien's."""
        model, facts, self.size = read_openvino(path)
        self._parts = cut_in_two(model, path)
        self._describe("openvino", facts, dtype)

    def by(self, engine: Engine | None, dtype: torch.dtype = torch.float32) -> OpenvinoMapper:
        """The same graph in another number type. Raises `InputError` for another engine."""
        if engine not in (None, "openvino"):
            raise InputError(f"{self.name} is a file of OpenVINO, which the engine {engine} does not run: export it as .onnx.")
        if dtype == self.dtype:
            return self
        other = copy(self)
        other.dtype = dtype
        other._prepare()
        return other

    def _started(self, strength: float | None, shapes: dict[str, list[int]]) -> Run:
        encoder, rest = self._parts
        return compiled_openvino(encoder.clone() if strength is None else with_strength(rest, strength), shapes, self.dtype)


def _in_onnxruntime(model: onnx.ModelProto, dtype: torch.dtype) -> Run:
    runtime = package("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = {value.name for value in session.get_inputs()}
    return lambda given: list(session.run(None, {name: value for name, value in given.items() if name in taken}))


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().float().cpu().contiguous().numpy()


def _number(text: str | None, otherwise: float) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text else otherwise
    except ValueError:
        return otherwise


def open_graph(path: Path) -> GraphMapper:
    """A graph of a whole style: an .onnx file, or an .xml of OpenVINO's. Raises `CheckpointError` for anything else."""
    return OpenvinoMapper(path) if path.suffix.lower() == OPENVINO_SUFFIX else GraphMapper(*read_graph(path))


def open_mapper(
    style: StyleFile | str | Path, model: Model | None = None, engine: Engine | None = None, dtype: torch.dtype = torch.float32
) -> Mapper:
    """A mapper of a style on a model, or of an exported .onnx or .xml file, which needs no model.

    `engine` None: torch for a style, for a file the engine of its kind. Another engine than torch draws a style through its
    graph, which is made in some seconds.
    """
    if not isinstance(style, StyleFile):
        return open_graph(Path(style)).by(engine, dtype)
    if model is None:
        raise InputError("A style is drawn by its model: give it as `model`.")
    mapper = GeneratorMapper(model, style, dtype=dtype if engine in (None, "torch") else torch.float32)
    if engine in (None, "torch"):
        return mapper
    return GraphMapper(build_graph(mapper), mapper.size, engine or "torch", dtype=dtype)
