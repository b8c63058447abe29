"""Plain data out of the pickles that some data sets come in, without unpickling.

A pickle is a program for a small stack machine. Two of its instructions import a name and call it,
which is how a pickle does harm. Here the program is read by a machine of our own that has plain
values, containers and arrays, and a fixed list of names, each with a maker written below. Nothing
is imported or called by name, so nothing can run. (``pickle.Unpickler`` with a strict
``find_class`` is nearly that, but a file of ten bytes can still make it fill the memory.)
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from modalgap.data.reading import reading
from modalgap.errors import FileError, quoted

MOST_STEPS = 10_000_000  # instructions; CIFAR-100 has 0.3 million
MOST_VALUES = 10_000_000  # in the result, counted as often as they are referred to
MOST_LEVELS = 100  # of containers in containers
_CODE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SUa][1-9][0-9]{0,6}|O[48]?")

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}

Encoding = Literal["latin1", "bytes"]


def load_plain(data: bytes, *, encoding: Encoding = "latin1") -> Any:
    """The value in a pickle of plain data and numpy arrays.

    Plain data are None, booleans, numbers, strings and bytes in lists, tuples, dicts and sets;
    arrays hold numbers, strings, or plain objects. Protocols 0 to 5 are read.

    Args:
        data: the whole pickle.
        encoding: what the strings of Python 2 become: text with one character a byte, or bytes.

    Returns:
        The value; its arrays may be read-only.

    Raises:
        FileError: it asks for anything else, is cut short, or stands for more than its size.
    """
    if encoding not in ("latin1", "bytes"):
        raise ValueError(f"encoding must be 'latin1' or 'bytes'; got {quoted(encoding)}")
    with reading("pickle"):
        found = _Machine(data, encoding).run()
        _check(found)
        return found


# What the program may ask for ------------------------------------------------------------------


@dataclass(frozen=True)
class _Name:
    """A name that the program asked for; never looked up."""

    text: str


@dataclass(frozen=True)
class _Type:
    """A numpy type: its code, such as "f8", and the bytes' order once that is known."""

    code: str
    order: str = "="

    def made(self) -> np.dtype[Any]:
        code = "O" if self.code.startswith("O") else self.code.replace("a", "S")
        return np.dtype(self.order + code)


class _Unfilled:
    """An array of which the contents come with a later instruction."""


def _type(code: Any, *_: Any) -> _Type:
    code = _text(code)
    if not _CODE.fullmatch(code):
        raise FileError(f"asks for an array of type {quoted(code)}; only plain ones are read")
    return _Type(code)


def _reconstruct(kind: Any, *_: Any) -> _Unfilled:
    if kind != _Name("numpy.ndarray"):
        raise FileError(f"asks for an array that is {_what(kind)}; only numpy.ndarray is read")
    return _Unfilled()


def _from_buffer(
    buffer: Any, kind: Any, shape: Any, order: Any, axes: Any = None
) -> np.ndarray[Any, Any]:
    if order == "K" and axes is not None:
        return _array(buffer, kind, shape, "C").transpose(axes)
    return _array(buffer, kind, shape, order)


def _scalar(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _Type) or kind.made().hasobject:
        raise FileError(f"asks for a number of type {_what(kind)}; only plain ones are read")
    return _array(data, kind, (), "C")[()]


def _encode(text: Any, encoding: Any) -> bytes:
    if _text(encoding) not in ("latin1", "latin-1"):
        raise FileError(f"asks for the encoding {quoted(encoding)}; only latin1 is read")
    return _text(text).encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _set(values: Any) -> set[Any]:
    return {_key(value) for value in _list(values)}


def _frozenset(values: Any) -> frozenset[Any]:
    return frozenset(_set(values))


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _type,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encode,
    "builtins.bytes": _no_bytes,  # what Python 3 writes for b"" before protocol 3
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
}
_NAMES = frozenset({*_CALLS, "numpy.ndarray"})


def _named(module: str, name: str) -> _Name:
    """The name, as numpy 1 and Python 3 have it."""
    asked = f"{module}.{name}"
    known = re.sub(r"^numpy\._core\.", "numpy.core.", asked)
    known = re.sub(r"^__builtin__\.", "builtins.", known)
    if known not in _NAMES:
        raise FileError(f"asks for {asked[:80]}; only plain data and arrays are read")
    return _Name(known)


def _array(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """An array from its bytes, or from the list of its objects."""
    if not isinstance(kind, _Type):
        raise FileError(f"asks for an array of type {_what(kind)}; only plain ones are read")
    if order not in ("C", "F"):
        raise FileError(f"asks for an array in the order {_what(order)}; only C and F are read")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise FileError("the shape of an array must be whole numbers")
    dtype, count = kind.made(), math.prod(shape)
    if dtype.hasobject:
        if not isinstance(data, list) or len(data) != count:
            raise FileError(f"an array must hold {count} objects; it does not")
        flat = np.empty(count, object)
        for i, value in enumerate(data):
            flat[i] = value
        return flat.reshape(shape, order=order)
    if isinstance(data, str):  # Python 2 had no bytes
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or len(data) != count * dtype.itemsize:
        found = f"{len(data)} bytes" if isinstance(data, bytes | bytearray) else _what(data)
        raise FileError(f"an array must hold {count} x {dtype.itemsize} bytes; found {found}")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


# The machine -------------------------------------------------------------------------------------


class _Machine:
    def __init__(self, data: bytes, encoding: Encoding) -> None:
        self.file = io.BytesIO(data)
        self.encoding = encoding
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.kept: dict[int, list[int]] = {}  # unfinished value by id: where the memo has it

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            byte = self.file.read(1)
            if not byte:
                raise FileError("is cut short")
            opcode = _OPCODES.get(byte.decode("latin1"))
            if opcode is None:
                raise FileError(f"is not a pickle: it has the instruction {quoted(byte)}")
            if opcode.name == "STRING":
                arg: Any = _quoted(self.file.readline())
            else:
                arg = None if opcode.arg is None else opcode.arg.reader(self.file)
            if opcode.name == "STOP":
                return self._end()
            step = _STEPS.get(opcode.name)
            if step is None:
                asked = f" {arg}" if isinstance(arg, str) else ""
                raise FileError(f"asks for {opcode.name}{asked[:80]}; only plain data are read")
            step(self, arg)
        raise FileError(f"must have at most {MOST_STEPS} instructions; has more")

    def _end(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise FileError("must hold one value; it does not")
        return self.stack[0]

    def pop(self) -> Any:
        # what lies below a mark belongs to the container outside
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise FileError("is not a pickle: it takes a value that is not there")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def to_mark(self) -> list[Any]:
        if not self.marks:
            raise FileError("is not a pickle: it takes a mark that is not there")
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def nothing(self, _: Any) -> None:
        pass

    def string(self, arg: str) -> None:
        self.push(arg if self.encoding == "latin1" else arg.encode("latin1"))

    def pop_mark(self, _: Any) -> None:
        self.to_mark()

    def drop(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    def again(self, _: Any) -> None:
        self.push(self.top())

    def put(self, arg: int | None) -> None:
        value, key = self.top(), len(self.memo) if arg is None else arg
        self.memo[key] = value
        if isinstance(value, _Unfilled | _Type):
            self.kept.setdefault(id(value), []).append(key)

    def get(self, arg: int) -> None:
        if arg not in self.memo:
            raise FileError(f"is not a pickle: it refers to value {arg}, which is not there")
        self.push(self.memo[arg])

    def small_tuple(self, length: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(length)])))

    def append(self, _: Any) -> None:
        value = self.pop()
        _list(self.top()).append(value)

    def appends(self, _: Any) -> None:
        values = self.to_mark()
        _list(self.top()).extend(values)

    def add_items(self, _: Any) -> None:
        values = [_key(value) for value in self.to_mark()]
        found = self.top()
        if not isinstance(found, set):
            raise FileError("is not a pickle: it adds to a set that is not there")
        found.update(values)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _fill(self.top(), [key, value])

    def set_items(self, _: Any) -> None:
        values = self.to_mark()
        _fill(self.top(), values)

    def dictionary(self, _: Any) -> None:
        found: dict[Any, Any] = {}
        _fill(found, self.to_mark())
        self.push(found)

    def name(self, arg: str) -> None:
        self.push(_named(*arg.split(" ", 1)))

    def stack_name(self, _: Any) -> None:
        name, module = _text(self.pop()), _text(self.pop())
        self.push(_named(module, name))

    def call(self, _: Any) -> None:
        args, name = self.pop(), self.pop()
        maker = _CALLS.get(name.text) if isinstance(name, _Name) else None
        if maker is None or not isinstance(args, tuple):
            raise FileError(f"calls {_what(name)}; only plain data and arrays are read")
        self.push(maker(*args))

    def build(self, _: Any) -> None:
        """Fill what was made before: an array, or a type that lacks its order of bytes."""
        state, old = self.pop(), self.pop()
        if not isinstance(state, tuple):
            raise FileError(f"gives {_what(old)} a state that is no tuple")
        made: Any
        if isinstance(old, _Unfilled) and len(state) == 5:
            _, shape, kind, fortran, data = state
            made = _array(data, kind, shape, "F" if fortran else "C")
        elif isinstance(old, _Type) and len(state) >= 5:
            order = _text(state[1])
            if order not in ("<", ">", "=", "|") or state[2:5] != (None, None, None):
                raise FileError("asks for an array of records; only plain ones are read")
            made = _Type(old.code, order)
        else:
            raise FileError(f"gives {_what(old)} a state; only plain data and arrays are read")
        for key in self.kept.pop(id(old), ()):
            if self.memo[key] is old:
                self.memo[key] = made
        self.push(made)


_Step = Callable[[_Machine, Any], None]


def _constant(value: Any) -> _Step:
    return lambda machine, _: machine.push(value)


def _new(kind: Callable[[], Any]) -> _Step:
    return lambda machine, _: machine.push(kind())


def _tuple(length: int) -> _Step:
    return lambda machine, _: machine.small_tuple(length)


def _gathered(kind: Callable[[list[Any]], Any]) -> _Step:
    return lambda machine, _: machine.push(kind(machine.to_mark()))


_VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE SHORT_BINUNICODE"
    " BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8"
)
_STEPS: dict[str, _Step] = {
    **dict.fromkeys(_VALUES.split(), _Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine.string),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("PROTO", "FRAME"), _Machine.nothing),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_LIST": _new(list),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_DICT": _new(dict),
    "EMPTY_SET": _new(set),
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.again,
    "TUPLE": _gathered(tuple),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": _gathered(list),
    "FROZENSET": _gathered(_frozenset),
    "DICT": _Machine.dictionary,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.add_items,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}


# Checks --------------------------------------------------------------------------------------


def _check(found: Any) -> None:
    """Refuse what is not plain, refers to itself, or unfolds to far more than it is."""
    waiting: list[tuple[Any, int]] = [(found, 0)]
    count = 0
    while waiting:
        value, level = waiting.pop()
        count += 1
        if level > MOST_LEVELS:
            raise FileError(f"must nest at most {MOST_LEVELS} levels deep; nests deeper")
        if isinstance(value, dict):
            inside = [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            inside = list(value)
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            inside = list(value.flat)
        elif isinstance(value, _Name | _Type | _Unfilled):
            raise FileError(f"holds {_what(value)}; only plain data and arrays are read")
        else:
            continue
        if count + len(waiting) + len(inside) > MOST_VALUES:
            raise FileError(f"must hold at most {MOST_VALUES} values; holds more")
        waiting.extend((each, level + 1) for each in inside)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FileError("is not a pickle: it adds to a list that is not there")
    return value


def _text(value: Any) -> str:
    if isinstance(value, bytes):  # a string of Python 2
        value = value.decode("latin1")
    if not isinstance(value, str):
        raise FileError(f"must have text where it has {_what(value)}")
    return value


def _key(value: Any) -> Any:
    """A key of a dict or a set: a plain value, or a tuple of such. Deeper ones can crash hash()."""
    for each in value if isinstance(value, tuple) else (value,):
        if not isinstance(each, str | bytes | int | float | np.generic | None):
            raise FileError(f"has {_what(each)} for a key; only plain values can be")
    return value


def _fill(found: Any, values: list[Any]) -> None:
    if not isinstance(found, dict) or len(values) % 2:
        raise FileError("is not a pickle: it adds to a dict that is not there")
    for key, value in zip(values[::2], values[1::2], strict=True):
        found[_key(key)] = value


def _quoted(line: bytes) -> str:
    """A string of protocol 0 in its quotes; one character a byte."""
    text = line.rstrip(b"\n")
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise FileError("is not a pickle: it has a string without its quotes")
    return text[1:-1].decode("unicode_escape") if b"\\" in text else text[1:-1].decode("latin1")


def _what(value: Any) -> str:
    if isinstance(value, _Name):
        return value.text
    if isinstance(value, _Type):
        return "a type"
    return "an unfilled array" if isinstance(value, _Unfilled) else type(value).__name__
