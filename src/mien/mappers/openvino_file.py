"""OpenVINO's own format: an .xml with the operators and a .bin with the weights."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError
from mien.files import write_whole
from mien.mappers.graph import package

if TYPE_CHECKING:
    import onnx

SUFFIX = ".xml"


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
