"""Folders of data that a command makes in parts: opened if complete, resumed if interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modalgap.atomic import TEMPORARY, made_folder
from modalgap.errors import FileError, OptionError, OutputError, quoted
from modalgap.progress import progress
from modalgap.work import (
    Executor,
    InProcess,
    Parts,
    Processes,
    Span,
    is_unfinished,
    path_of,
    processors,
    remove,
    work_folder,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder to make.

    Attributes:
        folder: the folder.
        kind: the name of the command, for the plan of an unfinished run.
        what: the data, for messages: "a MAD".
        other: how another one differs, for messages: "of other digits or another seed".
        names: the files that it can hold.
        settings: reads the settings that its manifest states; None if there is no manifest.
    """

    folder: Path
    kind: str
    what: str
    other: str
    names: frozenset[str]
    settings: Callable[[Path], Mapping[str, Any] | None]

    def make(
        self,
        settings: Mapping[str, Any],
        fill: Callable[[Path], None],
        load: Callable[[Path], T],
        *,
        overwrite: bool,
    ) -> T:
        """Open the folder if it was made with these settings; otherwise make it.

        Args:
            settings: all settings that determine the content, in the form in which they are read.
            fill: writes the files, with parts in the folder that it is called with.
            load: opens the folder.
            overwrite: whether to replace data of other settings.

        Raises:
            OutputError: the folder cannot be created, or holds other files.
            InputError: the folder holds an unfinished run of other settings.
        """
        work = path_of(self.folder.absolute())
        if self._is_there(settings, work, overwrite=overwrite):
            try:
                result = load(self.folder)
            except FileError:
                if not overwrite:
                    raise
            else:
                remove(work) if is_unfinished(work) else None
                return result
        with (
            made_folder(self.folder),
            work_folder(work, {"kind": self.kind, **settings}, overwrite=overwrite),
        ):
            fill(work)
            remove(work)
        return load(self.folder)

    def _is_there(self, settings: Mapping[str, Any], work: Path, *, overwrite: bool) -> bool:
        """Whether the folder holds this data already; raise an error if it may not be replaced."""
        folder = self.folder
        try:
            inside = [each.name for each in folder.iterdir()]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
        others = sorted(
            name for name in inside if name not in self.names and not name.startswith(TEMPORARY)
        )
        try:
            found = self.settings(folder)
        except FileError:
            if not overwrite:
                raise
            found = {}
        if found is not None:
            if found == settings:
                return True
            if not overwrite:
                raise OutputError(
                    f"{folder}: holds {self.what} {self.other}; replace it with --force or"
                    " overwrite=True"
                )
        elif inside and not is_unfinished(work):
            others = others or sorted(inside)
        if others:
            raise OutputError(
                f"{folder}: must be missing, empty or {self.what} folder; found {others[0]}:"
                " choose another"
            )
        return False


def check_workers(workers: object) -> None:
    """Check a number of processes, or None.

    Raises:
        OptionError: not a whole number of at least 1.
    """
    if workers is not None and (
        isinstance(workers, bool) or not isinstance(workers, int) or workers < 1
    ):
        raise OptionError(f"workers: must be an integer of at least 1; got {quoted(workers)}")


def spans(count: int, size: int) -> list[Span]:
    """The spans of ``count`` items, each of at most ``size``."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def stored(parts: Parts, span: Span, name: str, shape: Sequence[int]) -> NDArray[np.uint8] | None:
    """The bytes of a part of an earlier run; None if it is missing or damaged.

    Args:
        parts: the parts.
        span: the items of the part.
        name: the name of the array.
        shape: the shape of one item.
    """
    try:
        found = parts.read(span).arrays.get(name)
    except FileError:
        return None
    whole = found is not None and found.shape == (span[1] - span[0], *shape)
    return found if whole and found is not None and found.dtype == np.uint8 else None


def blocks(
    setup: Callable[[int], Callable[[int, int], T]],
    todo: Sequence[Span],
    workers: int | None,
    what: str,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Generator[tuple[Span, T]]:
    """Yield each span and what a worker makes of it, in order.

    Args:
        setup: makes the function of a worker, of the first item and the end.
        todo: the spans.
        workers: number of processes; by default one per processor, fewer for few spans.
        what: the items, for the progress bar.
        around: a context in which processes start.
    """
    if workers is None:
        workers = min(processors(), len(todo) // 2)  # starting a process takes longer than a span
    workers = min(workers, len(todo))
    alone = workers <= 1
    executor: Executor = InProcess() if alone else Processes(count=workers)
    total = sum(last - first for first, last in todo)
    with (
        progress(what, total, what) as advance,
        nullcontext() if alone else around(),
        closing(executor.run(setup, todo)) as results,
    ):
        for index, block in results:
            yield todo[index], block
            advance(todo[index][1] - todo[index][0])
