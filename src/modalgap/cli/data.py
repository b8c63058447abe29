"""Read the embeddings of a command, and write messages about them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modalgap.errors import InputError, OutputError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Pair


def read(
    paths: list[Path] | None, image: Path | None, text: Path | None, pairs: Path | None
) -> Pair | Embeddings:
    """The embeddings that the arguments name."""
    from modalgap.embeddings.store import load_any

    if bool(paths) == bool(image or text):
        raise InputError(
            "give either INPUT, or --image and --text; got " + ("both" if paths else "neither")
        )
    if pairs is not None and not (image and text):
        raise InputError("--pairs needs --image and --text; other files contain their own matches")
    return load_any(paths or None, image=image, text=text, pairs=pairs)


def remark(found: Pair | Embeddings, paths: list[Path] | None) -> None:
    """Write messages about the input, after the work, so that an error is a single line."""
    from modalgap.embeddings import Pair

    sides = found.sides if isinstance(found, Pair) else (found,)
    if paths and len(sides) == 1 and (len(paths) > 1 or paths[0].suffix == ".npy"):
        files = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files, joined,"
        what = "holds" if len(paths) == 1 else "hold"
        note(f"{files} {what} one modality; read as {sides[0].modality}s (see --image, --text)")
    if isinstance(found, Pair) and (lost := _unmatched(found)):
        note(f"without a match: {lost}")
    for side in sides:
        if not side.were_unit:
            low, high = side.norm_range
            note(f"{side.modality} rows were not unit (norms {low:.4g} to {high:.4g}); normalised")


def _unmatched(pair: Pair) -> str:
    """How many images and texts have no match; empty for none."""
    if pair.labels is not None:  # a class without images is no item that is left out
        return ""
    counts = {
        side.modality: side.n - len(set(index.tolist()))
        for side, index in zip(pair.sides, pair.matches, strict=True)
    }
    return " and ".join(f"{count:,} {modality}s" for modality, count in counts.items() if count)


def repeats(about: Mapping[str, Any]) -> None:
    """Write a message about repeated items, if the result has one."""
    if "repeats" in about:
        note(about["repeats"]["note"])


def not_an_input(output: Path, *inputs: Path | None) -> None:
    """Refuse to overwrite a file that is read."""
    for path in inputs:
        if path is None or not path.exists() or not output.exists():
            continue
        folder = path if path.is_dir() else None
        if output.samefile(path) or (folder and output.resolve().parent.samefile(folder)):
            raise OutputError(f"{output}: must not be a file that is being read")


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def names(only: list[str] | None) -> list[str] | None:
    """The names in ``--only``, which may be repeated or comma-separated."""
    if only is None:
        return None
    return [name.strip() for each in only for name in each.split(",") if name.strip()]


def note(message: str) -> None:
    """Write a message to stderr, in one line even if a name has control characters."""
    printable = "".join(c if c.isprintable() else "�" for c in message)
    print(f"modalgap: {printable}", file=sys.stderr)
