"""The child process of ``plain_pickle``: a pickle on stdin becomes JSON and buffers on stdout.

The operating system limits its memory, CPU time, files and processes before it reads the stream.
``find_class`` returns only a ``Call``, which records a name that the stream imports and runs
nothing. The value that the stream describes is checked while it is written.

The output is a line of JSON, in which an object ``{tag: content}`` represents a value that JSON
lacks, and then the contents of bytes and arrays (in NumPy's npy format) in the order of their tags.
Only the standard library is imported. The arguments are the pickle's size and the encoding of its
strings.
"""

import codecs
import contextlib
import io
import json
import math
import pickle
import pickletools
import re
import sys
from typing import Any

MIB = 1 << 20
MOST_LEVELS = 100  # of containers in containers
MOST_STEPS = 2_000_000  # instructions; each can take some 200 bytes. CIFAR-100 has 0.3 million
MOST_VALUES = MOST_STEPS  # each instruction makes at most one; more only by repeating containers
for each in ("raw_unicode_escape", "utf-32-le", "utf-32-be"):
    codecs.lookup(each)  # the first is of pickletools; no file can be opened later
OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
ELEMENT = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SUa][1-9][0-9]{0,6}|O[48]?")
ONLY = "only plain data and arrays are read"
NAMES = {
    "_codecs.encode",
    "builtins.bytes",
    "builtins.frozenset",
    "builtins.set",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
}


class Refused(Exception):  # noqa: N818 - not an error of this program
    """The stream describes something other than plain data."""


class Call:
    """A name that the stream imported, or its call with arguments and perhaps a state."""

    __slots__ = ("args", "name", "state")
    __match_args__ = ("name", "args", "state")

    def __init__(self, name: str, args: tuple[Any, ...] | None = None) -> None:
        self.name, self.args, self.state = name, args, None

    def __call__(self, *args: Any) -> "Call":
        return Call(self.name, args)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Unpickler(pickle.Unpickler):
    """An unpickler that imports nothing."""

    def find_class(self, module: str, name: str) -> Call:
        full = f"{module}.{name}"
        known = re.sub(r"^numpy\._core\.", "numpy.core.", full)  # NumPy 2
        known = re.sub(r"^__builtin__\.", "builtins.", known)  # Python 2
        if known not in NAMES:
            raise Refused(f"imports {full[:80]}; {ONLY}")
        return Call(known)


class Writer:
    """Turns values into JSON and ``buffers``; ``left`` bounds the size of the output."""

    def __init__(self, size: int) -> None:
        self.left = 16 * MIB + 8 * size
        self.values = 0
        self.buffers: list[bytes | bytearray] = []

    def tree(self, value: Any, level: int = 0) -> Any:
        kind = type(value)
        self.spend(16 + (len(value) if kind is str else 0))
        self.values += 1
        if self.values > MOST_VALUES:
            raise Refused(f"must describe at most {MOST_VALUES:,} values; describes more")
        if level > MOST_LEVELS:
            raise Refused(f"must nest at most {MOST_LEVELS} levels deep; nests deeper")
        if value is None or kind in (bool, int, float, str):
            return value
        if kind in (bytes, bytearray):
            return self.buffer(kind.__name__, value)
        if kind is dict:
            return {"dict": self.each([each for item in value.items() for each in item], level)}
        if kind in (list, tuple, set, frozenset):
            items = self.each(value, level)
            return items if kind is list else {kind.__name__: items}
        return self.called(value, level)

    def each(self, values: Any, level: int) -> list[Any]:
        return [self.tree(value, level + 1) for value in values]

    def called(self, call: Call, level: int) -> Any:
        match call.name.rpartition(".")[2], call.args, call.state:
            case "_reconstruct", (Call("numpy.ndarray", None), *_), (_, shape, dtype, order, data):
                return self.array(data, dtype, shape, "F" if order else "C", level)
            case "_frombuffer", (data, dtype, shape, "K", tuple(axes)), None:
                return {"transposed": [self.array(data, dtype, shape, "C", level), axes]}
            case "_frombuffer", (data, dtype, shape, "C" | "F" as order, *_), None:
                return self.array(data, dtype, shape, order, level)
            case "scalar", (dtype, data), None:
                return {"scalar": self.array(data, dtype, (), "C", level)}
            case "encode" | "bytes", _, None:
                return self.buffer("bytes", contents(call))
            case "set" | "frozenset" as name, (list(values),), None:
                return {name: self.each(values, level)}
        raise Refused(f"calls {call.name} with unknown arguments; {ONLY}")

    def array(self, data: Any, dtype: Any, shape: Any, order: str, level: int) -> Any:
        code, sign = element(dtype)
        if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
            raise Refused("the shape of an array must be whole numbers")
        size = math.prod(shape)
        if code.startswith("O"):
            if type(data) is not list or len(data) != size:
                raise Refused(f"an array must hold {size:.3g} objects; it does not")
            return {"objects": [self.each(data, level), shape, order]}
        size *= int(code[1:]) * (4 if code.startswith("U") else 1)
        data = contents(data)
        if len(data) != size:
            raise Refused(f"an array must hold {size:.3g} bytes; it does not")
        if code.startswith("U"):
            check_text(data, sign)
        descr = sign + code.replace("a", "S")
        head = repr({"descr": descr, "fortran_order": order == "F", "shape": shape}).encode()
        self.buffer("npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
        return self.buffer("npy", data)

    def buffer(self, tag: str, data: bytes | bytearray) -> dict[str, int]:
        self.spend(len(data))
        self.buffers.append(data)
        return {tag: len(data)}

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Refused("must describe at most 16 MiB and 8 times its size; describes more")


def contents(value: Any) -> bytes | bytearray:
    """Bytes: of Python 3, of Python 2, or as Python 3 writes them before protocol 3."""
    match value:
        case bytes() | bytearray():
            return value
        case str():
            return value.encode("latin1")
        case Call("_codecs.encode", (str(text), "latin1"), None):
            return text.encode("latin1")
        case Call("builtins.bytes", (), None):
            return b""
    raise Refused(f"must have bytes where it has {getattr(value, 'name', type(value).__name__)}")


def check_text(data: bytes | bytearray, sign: str) -> None:
    """Refuse characters that Unicode lacks: NumPy keeps them, and fails where they are read."""
    order = {"<": "le", ">": "be"}.get(sign, "le" if sys.byteorder == "little" else "be")
    try:
        data.decode(f"utf-32-{order}", "surrogatepass")
    except UnicodeDecodeError:
        raise Refused("an array of text must hold characters of Unicode; it does not") from None


def element(dtype: Any) -> tuple[str, str]:
    """The code of an array's elements, such as "f8", and their byte order."""
    if type(dtype) is not Call or dtype.name != "numpy.dtype" or not dtype.args:
        raise Refused(f"has an array of an unknown type; {ONLY}")
    texts = [dtype.args[0], dtype.state[1] if dtype.state else "="]
    code, sign = (str(each, "latin1") if type(each) is bytes else str(each) for each in texts)
    if not ELEMENT.fullmatch(code) or sign not in ("<", ">", "=", "|"):
        raise Refused(f"has an array of type {code[:80]}; {ONLY}")
    if dtype.state and dtype.state[2:5] != (None, None, None):
        raise Refused(f"has an array of records; {ONLY}")
    return code, sign


def check(data: bytes) -> None:
    """Refuse streams that need much memory, also on systems without limits.

    Ten bytes can make the unpickler allocate a memo of 64 GB.
    """
    file = io.BytesIO(data)
    for step in range(MOST_STEPS):
        opcode = OPCODES.get(file.read(1))
        if opcode is None or opcode.name == "STOP":  # the unpickler reports the error
            return
        if opcode.name == "STRING":  # pickletools reads only those in ASCII
            file.readline()
        elif opcode.arg:
            stored = opcode.arg.reader(file)
            if opcode.name.endswith("PUT") and stored > step:
                raise Refused(f"stores value {stored} after {step} instructions")
    raise Refused(f"must have at most {MOST_STEPS} instructions; has more")


def answer(stream: Any, size: int, encoding: str) -> list[bytes | bytearray]:
    """The output."""
    try:
        data = stream.read()
        check(data)
        writer = Writer(size)
        tree = writer.tree(Unpickler(io.BytesIO(data), encoding=encoding).load())
        return [json.dumps(tree).encode() + b"\n", *writer.buffers]
    except Refused as error:
        reason = str(error)
    except MemoryError:
        reason = "must fit in memory; it does not"
    except Exception as error:
        reason = f"is not a pickle of plain data ({type(error).__name__}: {str(error)[:160]})"
    return [json.dumps({"refused": reason}).encode() + b"\n"]


def limit(size: int) -> None:
    """Limit this process, if the system supports it; Windows does not."""
    try:
        import resource
    except ImportError:
        return
    limits = {"AS": 256 * MIB + 8 * size, "CPU": 5 + size // (16 * MIB), "NOFILE": 3}
    for name, most in (limits | dict.fromkeys(("CORE", "FSIZE", "NPROC"), 0)).items():
        with contextlib.suppress(ValueError, OSError):  # the limit is lower already, or unknown
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def main() -> None:
    size, encoding = int(sys.argv[1]), sys.argv[2]
    limit(size)
    sys.stdout.buffer.writelines(answer(sys.stdin.buffer, size, encoding))


if __name__ == "__main__":
    main()
