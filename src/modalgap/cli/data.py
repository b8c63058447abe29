"""Read the embeddings of a command, write messages about them, and print JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from modalgap.errors import InputError, OptionError, OutputError, quoted
from modalgap.modality import listed, span
from modalgap.progress import note as note
from modalgap.remote import location

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Modalities, Pair

Given = ParamSpec("Given")


def print_json(schema: str, found: Mapping[str, Any]) -> None:
    """Print one object with its schema; standard JSON, without NaN or Infinity."""
    import typer

    text = json.dumps({"schema": schema, **found}, indent=2, ensure_ascii=False, allow_nan=False)
    typer.echo(text)


def read(
    paths: list[str] | None, image: str | None, text: str | None, pairs: str | None
) -> Pair | Embeddings | Modalities:
    """The embeddings that the arguments name."""
    from modalgap.embeddings.store import load_all

    if bool(paths) == bool(image or text):
        raise InputError(
            "give either INPUT, or --image and --text; got " + ("both" if paths else "neither")
        )
    if pairs is not None and not (image and text):
        raise InputError("--pairs needs --image and --text; other files contain their own matches")
    return load_all(paths or None, image=image, text=text, pairs=pairs)


def two_of(found: Pair | Embeddings | Modalities, names: str) -> Pair:
    """Two of the modalities that were read.

    Args:
        found: two or more modalities.
        names: of the two, "image,audio".

    Raises:
        OptionError: not two names, or a name that is not there.
        InputError: one modality.
    """
    from modalgap.embeddings import Embeddings, Modalities, Pair

    if isinstance(found, Embeddings):
        raise InputError(f"--pair needs two modalities; this is one: {found.modality}")
    two = [name.strip() for name in names.split(",")]
    if len(two) != 2:
        raise OptionError(f"--pair must be two names, A,B; got {quoted(names)}")
    if isinstance(found, Pair) and two == [side.modality for side in found.sides]:
        return found
    return (Modalities.of(found) if isinstance(found, Pair) else found).pair(two[0], two[1])


def remark(found: Pair | Embeddings | Modalities, paths: list[str] | None) -> None:
    """Write messages about the input, after the work, so that an error is a single line."""
    from modalgap.embeddings import Modalities, Pair

    sides = found.sides
    if paths and len(sides) == 1 and (len(paths) > 1 or location(paths[0]).suffix == ".npy"):
        files = str(location(paths[0])) if len(paths) == 1 else f"{len(paths)} files, joined,"
        what = "holds" if len(paths) == 1 else "hold"
        note(f"{files} {what} one modality; read as {sides[0].modality}s (see --image, --text)")
    if isinstance(found, Pair) and (lost := _unmatched(found)):
        note(f"without a match: {lost}")
    if isinstance(found, Modalities):
        rows = [f"{count:,} {name}s" for name, count in found.incomplete.items() if count]
        if rows:
            note(f"rows of items that lack a modality: {listed(rows)}")
    for side in sides:
        if not side.were_unit:
            low, high = side.norm_range
            norms = span(f"{low:.4g}", f"{high:.4g}")
            note(f"{side.modality} rows were not unit (norms {norms}); normalised")


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


def check_output(output: Path, *, force: bool) -> None:
    """Refuse, before the work starts, a file that cannot be written; see ``written``."""
    from modalgap.atomic import check_target

    if output.suffix:
        check_target(output, overwrite=force)


def not_an_input(output: Path, *inputs: str | Path | None) -> None:
    """Refuse to overwrite a file that is read."""
    for each in inputs:
        path = None if each is None else location(each)
        if not isinstance(path, Path) or not path.exists() or not output.exists():
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


def resumable(command: Callable[Given, None]) -> Callable[Given, None]:
    """A command that, interrupted by Ctrl-C, says that the same command resumes its work."""

    @wraps(command)
    def run(*args: Given.args, **options: Given.kwargs) -> None:
        try:
            command(*args, **options)
        except KeyboardInterrupt:
            note("interrupted: the same command resumes")
            raise

    return run
