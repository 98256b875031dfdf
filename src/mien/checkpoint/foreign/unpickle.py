"""Reads pickles as data: an interpreter of the pickle machine that never imports, calls or builds anything a file names.

A pickle is a small program, and Python's own reader runs whatever functions it asks for. Here the operations that build plain
data are carried out, `pickled_values` says what the few known names stand for, and every other name is refused in one sentence.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, Protocol

from mien.checkpoint.foreign.limits import DamagedError, RefusedError
from mien.checkpoint.foreign.pickled_values import (
    CALLS,
    Context,
    Global,
    NumpyArray,
    NumpyType,
    Record,
    Storage,
    is_inert,
    mention,
    numpy_array,
    simple_key,
)
from mien.errors import shown


class Stream(Protocol):
    """What an open binary file, `io.BytesIO` and `mmap.mmap` have in common."""

    def read(self, n: int = ..., /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


Persistent = Callable[[Any], Storage]


def interpret(stream: Stream, context: Context, persistent: Persistent | None = None) -> Any:
    """What the pickle at the stream's position stands for: plain data, tensors and the inert classes of `pickled_values`.

    `persistent` answers the file's references to storages. The stream is left behind the pickle's last operation.
    Raises `DamagedError` or `RefusedError`, whose texts continue a sentence that begins with the file's name.
    """
    try:
        return _Machine(context, persistent).run(stream)
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedError(f"is damaged or cut off ({shown(error)})") from error


class _Machine:
    """The pickle machine: a stack, the stacks below the open marks, and the memo."""

    def __init__(self, context: Context, persistent: Persistent | None) -> None:
        self.context, self.persistent = context, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: Stream) -> Any:
        for opcode, arg, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            self.context.budget.spend(operations=1)
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _LITERALS:
                self.stack.append(arg)
            elif name in _PUTS:
                self.memo[len(self.memo) if arg is None else arg] = self.stack[-1]  # type: ignore[index]
            elif name in _GETS:
                self.stack.append(self.memo[arg])  # type: ignore[index]
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name in _STEPS:
                _STEPS[name](self, arg)
            elif name not in ("PROTO", "FRAME"):
                raise RefusedError(f"uses the pickle operation {name}, which weights do not need")
        raise DamagedError("is cut off")

    # The stack.

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def push_marked(self, make: Callable[[list[Any]], Any]) -> None:
        value = make(self.marked())
        self.stack.append(value)

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def duplicate(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def push_tuple(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise IndexError("empty stack")
        self.stack[-count:] = [items]

    # Containers.

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        target = target.items if isinstance(target, Record) else target
        if type(target) is not dict or len(items) % 2:
            raise RefusedError("sets items of something that is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[simple_key(key)] = value

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise RefusedError("appends to something that is not a list")
        self.stack[-1].extend(items)

    def append_one(self, _: Any) -> None:
        item = self.stack.pop()
        self.append([item])

    def add_items(self, _: Any) -> None:
        items = self.marked()
        if type(self.stack[-1]) is not set:
            raise RefusedError("adds to something that is not a set")
        self.stack[-1].update(simple_key(item) for item in items)

    def push_dict(self, _: Any) -> None:
        items = self.marked()
        self.stack.append({})
        self.set_items(items)

    # Names, calls, objects and their state.

    def global_name(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.stack.append(mention(module, name))

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(mention(module, name))

    def reduce(self, _: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or type(args) is not tuple:
            raise RefusedError("calls something that is not a function")
        if is_inert(function.name):
            self.stack.append(Record(function.name, args))
        elif function.name in CALLS:
            self.stack.append(CALLS[function.name](self.context, *args))
        else:
            raise RefusedError(f"calls {shown(function.name)}, which weights do not need")

    def make(self, cls: Any, args: Any) -> None:
        if not isinstance(cls, Global) or not is_inert(cls.name):
            raise RefusedError("makes an object of something that is not a known class")
        self.stack.append(Record(cls.name, tuple(args)))

    def new_object(self, _: Any) -> None:
        args, cls = self.stack.pop(), self.stack.pop()
        self.make(cls, args)

    def new_object_named(self, _: Any) -> None:
        _names, args, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.make(cls, args)

    def old_object(self, _: Any) -> None:
        cls, *args = self.marked()
        self.make(cls, args)

    def old_instance(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        cls, args = mention(module, name), self.marked()
        self.make(cls, args)

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, NumpyType):
            target.order = state[1] if state[1] in ("<", ">") else "="
        elif isinstance(target, NumpyArray):
            _version, shape, dtype, fortran, data = state
            target.value = numpy_array(shape, dtype, data, "F" if fortran else "C")
        elif type(target) is not dict:  # attributes of an ordered dict (`_metadata` of a state dict) are of no use
            raise RefusedError("sets attributes of something that has none")

    def persistent_id(self, _: Any) -> None:
        if self.persistent is None:
            raise RefusedError("refers to data outside itself")
        self.stack.append(self.persistent(self.stack.pop()))


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
}  # fmt: skip
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.marked().clear(),
    "DUP": _Machine.duplicate,
    "TUPLE": lambda machine, _: machine.push_marked(tuple),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "LIST": lambda machine, _: machine.push_marked(list),
    "DICT": _Machine.push_dict,
    "FROZENSET": lambda machine, _: machine.push_marked(lambda items: {simple_key(item) for item in items}),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.marked()),
    "APPEND": _Machine.append_one,
    "APPENDS": lambda machine, _: machine.append(machine.marked()),
    "ADDITEMS": _Machine.add_items,
    "GLOBAL": _Machine.global_name,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "NEWOBJ_EX": _Machine.new_object_named,
    "OBJ": _Machine.old_object,
    "INST": _Machine.old_instance,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
