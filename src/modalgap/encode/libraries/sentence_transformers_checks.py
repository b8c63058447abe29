"""Check a folder of sentence-transformers before the library reads it.

The library may unpickle ``pytorch_model.bin``, import classes that the folder names, and turn a
model of another kind into one of token averages. Here these are errors.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from modalgap.errors import FileError, quoted

OWN = "sentence_transformers."  # classes of the library itself
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin")
NEEDLESS = (  # files of a repository that are never read
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.ot", "*.msgpack", "*.gguf"),
    *("*.onnx", "*.onnx_data", "onnx/*", "openvino/*", "*.py"),
)


def check_folder(folder: Path, spec: str) -> None:
    """Check that a folder holds weights in safetensors, and names classes of the library only.

    Raises:
        FileError: it does not.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        if not (folder / "config.json").is_file():
            raise FileError(f"{spec}: must be a folder with modules.json or config.json")
        _check_weights(folder, spec)
        return
    settings = folder / "config_sentence_transformers.json"
    stored = _read(settings, spec) if settings.is_file() else {}
    kind = stored.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise FileError(f"{spec}: must be a SentenceTransformer; found {quoted(kind)}")
    modules = _read(listing, spec, list)
    for module in modules:
        try:
            kind, path = module["type"], module["path"]
            inside = PurePosixPath(path)
            fits = isinstance(kind, str) and not inside.is_absolute() and ".." not in inside.parts
        except (TypeError, KeyError):
            fits = False
        if not fits:
            raise FileError(f"{spec}: modules.json must list modules with type and path inside")
        _check_class(kind, spec)
        _check_weights(folder / path, spec)
        if path:  # of a Router, whose modules are in folders of their own
            for below in sorted((folder / path).rglob("*")):
                if below.is_dir():
                    _check_weights(below, spec)
    for router in sorted(folder.rglob("router_config.json")):
        for kind in _read(router, spec).get("types", {}).values():
            _check_class(kind, spec)
        for below in sorted(router.parent.iterdir()):
            if below.is_dir():
                _check_weights(below, spec)


def _check_class(kind: object, spec: str) -> None:
    if not isinstance(kind, str) or not kind.startswith(OWN):
        raise FileError(
            f"{spec}: modules must be classes of sentence-transformers, because code of a model is"
            f" never run; found {quoted(kind)}"
        )


def _check_weights(folder: Path, spec: str) -> None:
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    if "adapter_config.json" in names:
        raise FileError(f"{spec}: an adapter of PEFT must be merged into its model first")
    pickled = [name for name in PICKLED if name in names]
    if pickled and not any(name.endswith(".safetensors") for name in names):
        raise FileError(
            f"{spec}: weights must be in safetensors, because nothing is unpickled; found"
            f" {pickled[0]} (with the library: model.save_pretrained(FOLDER))"
        )


def _read(path: Path, spec: str, kind: type[Any] = dict) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{spec}: {path.name} must be JSON ({error})") from error
    if not isinstance(found, kind):
        raise FileError(f"{spec}: {path.name} must hold a {kind.__name__}")
    return found
