"""Weights of a TorchScript archive, such as those that OpenAI released; its code is not run.

``torch.jit.load`` would compile the code of the archive. Here the code is not read, and nothing is
unpickled: of the pickle that describes the module, only the instructions that build plain values
are followed. A class or function that it names is not imported.
"""

from __future__ import annotations

import pickletools
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REBUILD = "torch._utils _rebuild_tensor_v2"
TYPES = {
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch IntStorage": torch.int32,
    "torch LongStorage": torch.int64,
}
MOST = 16 << 20  # bytes of the description of a module; that of ViT-L/14 has 0.1 million
MARK = object()
CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
VALUES = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}


@dataclass(frozen=True)
class _Name:
    """A class or function, as "module name"."""

    text: str


@dataclass(eq=False)
class _Call:
    """A name with arguments: an object with a state, a tensor or a storage."""

    name: object
    arguments: Any
    state: Any = None


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "constants.pkl" in _members(archive)


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive, by their names in its ``state_dict``.

    Raises:
        ValueError: the archive does not describe a module, or lacks a part of it.
        zipfile.BadZipFile: the archive is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = _members(archive)
        stored = [each for each in members.values() if each.compress_type == zipfile.ZIP_STORED]
        if sum(each.file_size for each in stored) > path.stat().st_size:
            raise ValueError("its members are larger than the file")
        if _read(archive, members, "byteorder", sys.byteorder.encode()) != sys.byteorder.encode():
            raise ValueError("its byte order is that of another kind of machine")
        module = _described(bytes(_read(archive, members, "data.pkl")))
        storages: dict[str, Tensor] = {}
        result = {}
        for name, tensor in _tensors(module):
            storage, offset, shape, strides = tensor.arguments[:4]
            _, kind, key, _, count = storage.arguments
            if not isinstance(key, str) or not isinstance(count, int):
                raise ValueError(f"{name} has no storage")
            if key not in storages:
                dtype = TYPES.get(kind.text)
                if dtype is None:
                    raise ValueError(f"{name} has an unknown type, {kind.text}")
                data = _read(archive, members, f"data/{key}")
                if len(data) != count * dtype.itemsize:
                    raise ValueError(f"{name} must have {count} numbers; the archive has others")
                storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0)
            result[name] = storages[key].as_strided(shape, strides, offset)
    return result


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive, without the name of their common folder."""
    return {each.filename.partition("/")[2]: each for each in archive.infolist()}


def _read(
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    name: str,
    default: bytes | None = None,
) -> bytearray:
    if name not in members and default is not None:
        return bytearray(default)
    if name not in members:
        raise ValueError(f"it has no {name}")
    if members[name].compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} must not be compressed")
    if name == "data.pkl" and members[name].file_size > MOST:
        raise ValueError(f"{name} must have at most {MOST:,} bytes")
    return bytearray(archive.read(members[name]))


def _tensors(module: Any) -> Iterator[tuple[str, _Call]]:
    """Every tensor of a module and of the modules in it, with its full name."""
    if not isinstance(module, _Call) or not isinstance(module.state, dict):
        raise ValueError("it describes no module")
    waiting, seen = [("", module)], {id(module)}
    while waiting:
        prefix, owner = waiting.pop()
        for name, value in owner.state.items():
            if not isinstance(value, _Call):
                continue
            if value.name == _Name(REBUILD):
                yield f"{prefix}{name}", value
            elif isinstance(value.state, dict) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{prefix}{name}.", value))


def _described(pickle: bytes) -> Any:
    """The value that a pickle describes, with a ``_Call`` in place of every call."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = len(stack) - 1 - next(i for i, each in enumerate(reversed(stack)) if each is MARK)
        found = stack[at + 1 :]
        del stack[at:]
        return found

    value: Any
    for opcode, value, _ in pickletools.genops(pickle):
        match opcode.name:
            case "PROTO":
                pass
            case name if name in VALUES:
                stack.append(value)
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case name if name in EMPTY:
                stack.append(EMPTY[name]())
            case "GLOBAL":
                stack.append(_Name(value))
            case "MARK":
                stack.append(MARK)
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "NEWOBJ" | "REDUCE":
                arguments = stack.pop()
                stack.append(_Call(stack.pop(), arguments))
            case "BINPERSID":
                stack.append(_Call("storage", stack.pop()))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case "SETITEMS":
                items = since_mark()
                if not all(isinstance(each, str | int) for each in items[::2]):
                    # the hash of a short pickle of nested tuples can take years
                    raise ValueError("its data.pkl has a key that is no name")
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "STOP":
                return stack.pop()
            case name:
                raise ValueError(f"its data.pkl has the instruction {name}")
    raise ValueError("its data.pkl has no end")
