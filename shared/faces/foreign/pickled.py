"""Plain values out of a pickle, without unpickling it.

A pickle is a program for a small stack machine that can call any function. Here its instructions are only listed
(:func:`pickletools.genops`), and those that build plain values are followed: numbers, texts, bytes, lists, tuples,
dicts with texts as keys, and numpy arrays of numbers, whose constructors are recognised by name and never called. Every
other instruction or name is refused, and so is a file that would take too much memory.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.errors import MediaError

MAX_MEMORY_BYTES = 2 << 30
"""About how much memory the values of one pickle may take."""

_CONTAINER_BYTES, _VALUE_BYTES = 120, 40
_HINT = "it is damaged, or was not written by the program that it names"
_TYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})

_VALUES = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE",
        "BINUNICODE", "BINUNICODE8",
    }
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NAMES = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "empty",
    ("builtins", "bytes"): "empty",
    **{
        (f"numpy.{core}.{module}", name): kind
        for core in ("core", "_core")
        for module, name, kind in (
            ("multiarray", "_reconstruct", "reconstruct"),
            ("multiarray", "scalar", "scalar"),
            ("numeric", "_frombuffer", "frombuffer"),
        )
    },
}
"""The names that may stand in a pickle, and what is done in their place."""


@dataclass
class PickledArray:
    """A numpy array of a pickle; ``value`` is filled in when its content has been read."""

    value: np.ndarray | None = None


@dataclass(frozen=True)
class _Name:
    kind: str


@dataclass
class _Type:
    code: str
    order: str = "<"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


def plain_values(data: bytes, what: str, *, max_memory_bytes: int = MAX_MEMORY_BYTES) -> object:
    """The value that the pickle ``data`` describes, with arrays as :class:`PickledArray`.

    Raises:
        MediaError: it is no pickle, holds more than plain values, or would take more than ``max_memory_bytes``.
    """
    try:
        return _Machine(max_memory_bytes).run(data)
    except _RefusedError as error:
        raise MediaError(f"{what} {error}, so it is not read", hint=_HINT) from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise MediaError(f"{what} holds no data that can be read", hint=_HINT) from error


class _RefusedError(Exception):
    """The pickle asks for something that is not done."""


class _Machine:
    """Follows the instructions of one pickle."""

    def __init__(self, max_memory_bytes: int) -> None:
        self._left = max_memory_bytes
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> object:
        for opcode, argument, _place in pickletools.genops(data):
            self._step(opcode.name, argument)
            self._take(0)
        (value,) = self._stack
        return value

    def _take(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _RefusedError("would take too much memory")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._left -= _VALUE_BYTES + (len(argument) if isinstance(argument, bytes | str | bytearray) else 0)
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._left -= _VALUE_BYTES
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._left -= _CONTAINER_BYTES
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self._left -= _CONTAINER_BYTES
            count = _TUPLES[name]
            if len(self._stack) < count:
                raise ValueError("too few values for a tuple")
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._left -= _CONTAINER_BYTES if name in ("MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT") else 0
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise _RefusedError(f"holds the instruction {name}, which plain data does not need")
            step(argument)

    def _mark(self, _none: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        taken, self._stack = self._stack, self._below.pop()
        return taken

    def _list(self, _none: None) -> None:
        taken = self._marked()
        self._stack.append(taken)

    def _tuple(self, _none: None) -> None:
        taken = self._marked()
        self._left -= _CONTAINER_BYTES
        self._stack.append(tuple(taken))

    def _dict(self, _none: None) -> None:
        taken = self._marked()
        self._stack.append({})
        self._fill(taken)

    def _append(self, _none: None) -> None:
        value = self._stack.pop()
        self._need(list).append(value)

    def _appends(self, _none: None) -> None:
        taken = self._marked()
        self._need(list).extend(taken)

    def _setitem(self, _none: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def _setitems(self, _none: None) -> None:
        taken = self._marked()
        self._fill(taken)

    def _fill(self, pairs: list[Any]) -> None:
        target = self._need(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                raise _RefusedError("names something by more than a text")
            target[key] = value

    def _need(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"no {kind.__name__} to fill")
        return self._stack[-1]

    def _memoize(self, _none: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _put(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    _binput = _long_binput = _put

    def _get(self, number: int) -> None:
        self._left -= _VALUE_BYTES
        self._stack.append(self._memo[number])

    _binget = _long_binget = _get

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._named(module, name)

    def _stack_global(self, _none: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise _RefusedError("names code by a value that is no text")
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        kind = _NAMES.get((module, name))
        if kind is None:
            raise _RefusedError(f"asks for {module[:80]}.{name[:80]}, which is code and no data")
        self._stack.append(_Name(kind))

    def _reduce(self, _none: None) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError("calls something that is no constructor of data")
        self._left -= _CONTAINER_BYTES
        match called.kind:
            case "reconstruct":
                self._stack.append(PickledArray())
            case "dtype" if isinstance(arguments[0], str) and arguments[0].lstrip("<>|=") in _TYPES:
                self._stack.append(_Type(arguments[0].lstrip("<>|=")))
            case "scalar":
                self._stack.append(self._array((), arguments[0], arguments[1], "C").item())
            case "frombuffer":
                content, kind, shape, order = arguments
                self._stack.append(PickledArray(self._array(shape, kind, content, order)))
            case "empty" if not arguments:
                self._stack.append(b"")
            case "encode" if isinstance(arguments[0], str):
                self._take(len(arguments[0]))
                self._stack.append(arguments[0].encode("latin-1"))
            case _:
                raise _RefusedError("builds a value of an unusual type")

    def _build(self, _none: None) -> None:
        state, built = self._stack.pop(), self._stack[-1]
        if isinstance(built, _Type) and isinstance(state, tuple) and state[1] in ("<", ">", "|", "="):
            built.order = state[1] if state[1] == ">" else "<"
        elif isinstance(built, PickledArray) and isinstance(state, tuple):
            _version, shape, kind, by_columns, content = state
            built.value = self._array(shape, kind, content, "F" if by_columns else "C")
        else:
            raise _RefusedError("fills a value of an unusual type")

    def _array(self, shape: object, kind: object, content: object, order: object) -> np.ndarray:
        """An array over a copy of the bytes; they have to fill its shape exactly."""
        if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
            raise _RefusedError("holds an array of something other than numbers")
        self._left -= len(content)
        flat = np.frombuffer(bytes(content), kind.dtype)
        return flat.reshape(shape, order="F" if order == "F" else "C")
