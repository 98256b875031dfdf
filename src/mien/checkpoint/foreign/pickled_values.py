"""What the names in a pickle of weights stand for: tensors, numpy values, dicts, inert records; nothing is looked up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.checkpoint.foreign.limits import Budget, DamagedError, RefusedError
from mien.errors import shown

_MAX_KEY_LENGTH = 16
_MAX_DIMENSIONS = 8
_MAX_DEPTH = 3  # NVIDIA's files hold their tensors as torch files inside the pickle: depth 1


@dataclass(frozen=True)
class Global:
    """A name that a pickle mentions; never looked up."""

    name: str


@dataclass(eq=False)
class Record:
    """An object of a class that is known to be harmless, as inert data."""

    type_name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Attributes and, for a class derived from dict, items."""
        state = self.state if isinstance(self.state, dict) else {}
        return {str(key): value for key, value in {**state, **self.items}.items()}


@dataclass(eq=False)
class Storage:
    """The flat memory [numel] of one or more tensors."""

    values: Tensor


@dataclass(eq=False)
class NumpyArray:
    """A numpy array; its values arrive after it is made."""

    value: np.ndarray[Any, Any] | None = None


@dataclass(eq=False)
class NumpyType:
    """A numpy dtype; its byte order arrives after it is made."""

    code: str
    order: str = "="


@dataclass
class Context:
    """What a value may draw upon: the budget, and a reader for torch files inside byte strings."""

    budget: Budget
    nested: Callable[[bytes, Context], Any] | None = None
    depth: int = 0

    def deeper(self) -> Context:
        """The context of a torch file inside this one."""
        if self.depth >= _MAX_DEPTH:
            raise RefusedError("nests torch files inside torch files")
        return Context(self.budget, self.nested, self.depth + 1)


def simple_key(value: Any) -> Any:
    """A dictionary key or set element, refused unless hashing it is cheap."""
    for item in value if isinstance(value, tuple) and len(value) <= _MAX_KEY_LENGTH else (value,):
        if not isinstance(item, (str, bytes, int, float, type(None))) or (isinstance(item, int) and item.bit_length() > 64):
            raise RefusedError("uses unusual dictionary keys")
    return value


def storage_type(value: Any) -> torch.dtype:
    """The element type of a storage class that a pickle mentions."""
    if not isinstance(value, Global) or value.name not in _STORAGE_NAMES:
        raise RefusedError("refers to a storage of an unknown type")
    return _STORAGE_NAMES[value.name]


_STORAGE_TYPES: dict[str, torch.dtype] = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
_STORAGE_NAMES = {f"{module}.{name}": dtype for module in ("torch", "torch.cuda") for name, dtype in _STORAGE_TYPES.items()}

# Classes whose instances carry settings, not behavior: kept as Records.
_INERT = {
    "argparse.Namespace", "types.SimpleNamespace", "dnnlib.util.EasyDict", "easydict.EasyDict", "yacs.config.CfgNode",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
    "pathlib._local.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
}  # fmt: skip
# Whole pickled networks are kept as well, so that whoever asks for a state dict can say what it got instead.
_INERT_PREFIXES = ("torch.nn.modules.", "omegaconf.")
# Mentioned beside the above, never called.
_MENTIONED = {"numpy.ndarray", "torch.nn.parameter.Parameter", "torch.Tensor"}
_MENTIONED |= {f"builtins.{name}" for name in ("object", "list", "dict", "tuple", "int", "float", "str", "bool", "set")}
_MENTIONED |= {f"torch.{str(dtype).removeprefix('torch.')}" for dtype in _STORAGE_TYPES.values()}
_RENAMED = {
    "__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}  # fmt: skip


def mention(module: Any, name: Any) -> Global:
    """The name `module.name` as a value, refused unless weights need it."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise DamagedError("is damaged or cut off (a name that is not text)")
    full = f"{_RENAMED.get(module, module)}.{name}"
    if full in CALLS or full in _MENTIONED or full in _STORAGE_NAMES or is_inert(full):
        return Global(full)
    if module.startswith(("dnnlib.tflib", "tensorflow")):
        raise RefusedError(
            "is a TensorFlow pickle (StyleGAN, or StyleGAN2 before its PyTorch version): convert it with TensorFlow first"
        )
    raise RefusedError(f"asks Python for {shown(full)}, which weights do not need; nothing in it was run")


def is_inert(name: str) -> bool:
    """Whether objects of the class `name` are kept as Records."""
    return name in _INERT or name.startswith(_INERT_PREFIXES)


def numpy_array(shape: Any, dtype: Any, data: Any, order: Any) -> np.ndarray[Any, Any]:
    """A view of `data` as an array; the sizes must agree."""
    if not isinstance(dtype, NumpyType) or not isinstance(data, (bytes, bytearray)):
        raise RefusedError("holds a numpy array of objects")
    return np.frombuffer(data, np.dtype(dtype.order + dtype.code)).reshape(shape, order="F" if order == "F" else "C")


def _sequence(context: Context, values: Any) -> Any:
    if not isinstance(values, (list, tuple, set, dict)):
        raise DamagedError("is damaged or cut off (a list is not a list)")
    context.budget.spend(operations=len(values))  # copying the same list again and again is work
    return values


def _ordered_dict(context: Context, pairs: Any = ()) -> dict[Any, Any]:
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    return {simple_key(key): value for key, value in _sequence(context, pairs)}


def _set(context: Context, values: Any = ()) -> set[Any]:
    return {simple_key(value) for value in _sequence(context, values)}


def _encode(context: Context, text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise RefusedError("uses an unusual text encoding")
    context.budget.spend(nbytes=len(text))
    return text.encode(encoding)


def _bytes(context: Context, values: Any = b"", encoding: Any = "latin-1") -> bytes:
    if isinstance(values, str):
        return _encode(context, values, encoding)
    if not isinstance(values, (bytes, bytearray)):
        raise RefusedError("makes a byte string in an unusual way")
    return bytes(values) if len(values) == 0 else values  # type: ignore[return-value]


def _as_record(context: Context, cls: Any, _base: Any, _state: Any = None) -> Record | dict[Any, Any]:
    if not isinstance(cls, Global):
        raise RefusedError("makes an object of something that is not a class")
    if cls.name == "collections.OrderedDict":
        return {}
    if not is_inert(cls.name):
        raise RefusedError(f"makes an object of {shown(cls.name)}")
    return Record(cls.name)


def _persistent_object(context: Context, meta: Any) -> Record:
    # NVIDIA's own pickle scheme: class name, state and the source text of the class, which is never executed here.
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise DamagedError("is damaged (an object without a class name)")
    return Record("nvidia." + meta["class_name"], (meta.get("module_src"),), meta.get("state"))


def _tensor(context: Context, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise DamagedError("is damaged (a tensor without its storage)")
    fits = type(size) is tuple and type(stride) is tuple and len(size) == len(stride) <= _MAX_DIMENSIONS
    if not fits or not all(isinstance(n, int) and 0 <= n < 2**48 for n in (offset, *size, *stride)):
        raise DamagedError("is damaged (a tensor of impossible shape)")
    count, last = 1, offset
    for n, step in zip(size, stride, strict=True):
        count, last = count * n, last + (n - 1) * step
    # `count` as well as the last element: a stride of 0 would let one number pose as billions.
    if count > storage.values.numel() or (count and last >= storage.values.numel()):
        raise DamagedError("claims more data than it holds")
    if not count:
        return storage.values.new_empty(tuple(size))
    return storage.values.as_strided(tuple(size), tuple(stride), storage.values.storage_offset() + offset)


def _parameter(context: Context, data: Any, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise DamagedError("is damaged (a parameter without its tensor)")
    return data


def _typed_tensor(context: Context, function: Any, _type: Any, args: Any, *_: Any) -> Any:
    if not isinstance(function, Global) or function.name not in _REBUILD:
        raise RefusedError("makes a tensor in an unusual way")
    return _REBUILD[function.name](context, *args)


def _nested_file(context: Context, data: Any) -> Any:
    if not isinstance(data, (bytes, bytearray)) or context.nested is None:
        raise DamagedError("is damaged (a torch file that is not bytes)")
    return context.nested(bytes(data), context.deeper())


def _size(context: Context, values: Any = ()) -> tuple[Any, ...]:
    return tuple(_sequence(context, values))


def _numpy_type(context: Context, code: Any, *_: Any) -> NumpyType:
    if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", code):
        raise RefusedError("holds numpy values of an unusual type")
    return NumpyType(code.lstrip("<>|="), code[0] if code[0] in "<>" else "=")


def _numpy_scalar(context: Context, dtype: Any, data: Any) -> Any:
    return numpy_array((), dtype, data, "C").item()


def _numpy_empty(context: Context, _type: Any, _shape: Any, _code: Any) -> NumpyArray:
    return NumpyArray()


def _numpy_from_buffer(context: Context, data: Any, dtype: Any, shape: Any, order: Any = "C") -> NumpyArray:
    return NumpyArray(numpy_array(shape, dtype, data, order))


_REBUILD: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}

CALLS: dict[str, Callable[..., Any]] = {
    **_REBUILD,
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    "torch.storage._load_from_bytes": _nested_file,
    "torch.Size": _size,
    "torch.device": lambda context, *args: str(args[0]) if args and isinstance(args[0], str) else "cpu",
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _ordered_dict,
    "collections.defaultdict": lambda context, *_: {},
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _as_record,
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy.core.multiarray._reconstruct": _numpy_empty,
    "numpy.core.numeric._frombuffer": _numpy_from_buffer,
}
"""What a call of the name gives; the first argument is the `Context`, the rest are the pickle's."""
