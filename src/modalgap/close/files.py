"""Files of maps: ``.safetensors``, with every number in full precision (float64).

Tensors: ``ROLE.N.matrix`` and ``ROLE.N.offset`` for step N of a role. Metadata: ``format``
("modalgap.map"), ``version``, and ``map``, a JSON object with method, options, dims, steps
(whether each is followed by normalisation), fitted_on and facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from modalgap._version import __version__
from modalgap.atomic import check_target, replacing
from modalgap.close.step import Step
from modalgap.errors import FileError, InputError, OutputError, quoted
from modalgap.tensor_files import sort_metadata

FORMAT, VERSION = "modalgap.map", 1
Made = TypeVar("Made")


def write(
    path: str | Path,
    roles: Mapping[str, Sequence[Step]],
    facts: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a map.

    Args:
        path: ends in .safetensors.
        roles: role to its steps.
        facts: all other entries of the file; plain JSON types.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: the extension is wrong, or the file exists or cannot be written.
    """
    path = _path(path)
    if path.suffix.lower() != ".safetensors":
        raise OutputError(f"{path}: must end in .safetensors; found {path.suffix or 'nothing'}")
    check_target(path, overwrite=overwrite)
    tensors = {
        f"{role}.{number}.{name}": np.ascontiguousarray(array, np.float64)
        for role, steps in roles.items()
        for number, step in enumerate(steps)
        for name, array in (("matrix", step.matrix), ("offset", step.offset))
        if array is not None
    }
    units = {role: [step.unit for step in steps] for role, steps in roles.items()}
    text = json.dumps({**facts, "steps": units, "modalgap": __version__})
    metadata = {"format": FORMAT, "version": str(VERSION), "map": text}
    with replacing(path, overwrite=overwrite) as file:
        file.write(to_bytes(tensors, metadata))
        sort_metadata(file)
    return path


def read(path: str | Path, make: Callable[..., Made]) -> Made:
    """Read a map that ``write`` wrote.

    Args:
        path: the file.
        make: called with ``roles`` and the facts; an InputError that it raises becomes a FileError.

    Raises:
        FileError: there is no such file, it is not a map, or its parts do not fit together.
    """
    path = _path(path)
    if not path.is_file():
        raise FileError(f"{path}: must be a map; found no such file")
    if path.suffix.lower() == ".json":
        raise FileError(
            f"{path}: must be a map, .safetensors; found .json (score scales, of close fit zscore,"
            " are used by modalgap search --scales; a map exported as JSON is not read)"
        )
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise FileError(f"{path}: must be a map written by modalgap; found another file")
            if metadata.get("version") != str(VERSION):
                raise FileError(
                    f"{path}: must be of map version {VERSION}; found"
                    f" {quoted(str(metadata.get('version'))[:40])}"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise FileError(f"{path}: cannot be read as safetensors ({error})") from error
    try:
        parts = _parts(json.loads(metadata["map"]), tensors)
        # no lone surrogates
        json.dumps([parts["method"], *parts["roles"]], ensure_ascii=False).encode()
        return make(**parts)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, InputError) else "its parts do not fit together"
        raise FileError(f"{path}: {reason}") from error


def _path(path: str | Path) -> Path:
    if not isinstance(path, str | Path):
        raise InputError(f"path: must be a path; got {type(path).__name__}")
    return Path(path)


def _parts(stored: Any, tensors: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    roles, used = {}, set()
    for role, units in stored["steps"].items():
        steps = []
        for number, unit in enumerate(units):
            parts = {}
            for name in ("matrix", "offset"):
                key = f"{role}.{number}.{name}"
                if key in tensors:
                    used.add(key)
                    if tensors[key].dtype != np.float64:
                        raise InputError(f"map: {key} must be float64; found {tensors[key].dtype}")
                    parts[name] = tensors[key]
            if not isinstance(unit, bool):
                raise TypeError(unit)
            steps.append(Step(parts.get("matrix"), parts.get("offset"), unit))
        roles[role] = tuple(steps)
    if used != set(tensors):
        raise InputError(
            f"map: no step has the tensor {quoted(sorted(set(tensors) - used)[0][:80])}"
        )
    dims = stored["dims"]
    if not all(isinstance(d, int) and not isinstance(d, bool) and d > 0 for d in dims.values()):
        raise TypeError(dims)
    fitted = {
        str(role): {str(key): str(value) for key, value in known.items()}
        for role, known in stored["fitted_on"].items()
    }
    if not isinstance(stored["method"], str):
        raise TypeError(stored["method"])
    return {
        "dims": dims,
        "roles": roles,
        "method": stored["method"],
        "options": dict(stored["options"]),
        "fitted_on": fitted,
        "facts": dict(stored["facts"]),
    }
