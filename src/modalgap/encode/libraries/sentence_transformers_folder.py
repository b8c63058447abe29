"""Find the CLIP model in a folder of sentence-transformers, for transformers to load."""

from __future__ import annotations

import json
from pathlib import Path

from modalgap.errors import FileError

MODULES = "modules.json"
HARMLESS = ("Normalize",)  # features are normalised anyway


def clip_folder(folder: Path, spec: str) -> Path:
    """The folder of the CLIP model, such as ``0_CLIPModel``; otherwise ``folder`` itself.

    Args:
        folder: the folder that the user named.
        spec: the model, for messages.

    Raises:
        FileError: there are modules other than CLIP, or they cannot be read.
    """
    listing = folder / MODULES
    if (folder / "config.json").is_file() or not listing.is_file():
        return folder
    try:
        modules = [
            (str(each["type"]).rpartition(".")[2], str(each["path"]))
            for each in json.loads(listing.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileError(f"{spec}: {MODULES} must list modules with type and path") from error
    kinds = [kind for kind, _ in modules]
    inside = [path for kind, path in modules if kind == "CLIPModel"]
    others = [kind for kind in kinds if kind not in ("CLIPModel", *HARMLESS)]
    if len(inside) != 1 or others:
        raise FileError(
            f"{spec}: {MODULES} must list exactly one CLIPModel; found {', '.join(kinds)}"
        )
    return folder / inside[0]
