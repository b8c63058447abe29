"""The folder of an unfinished run, next to the output.

Its ``plan.json`` holds all settings that change the numbers. A run resumes only with equal
settings. ``lock`` keeps a second run out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modalgap.atomic import TEMPORARY, replacing
from modalgap.errors import FileError, InputError, OutputError
from modalgap.progress import note

PLAN = "plan.json"
LOCK = "lock"
MOST = 6  # settings that a message names
SUFFIX = ".parts"
TURN = ".lock"


def path_of(target: Path) -> Path:
    """The folder of an unfinished run of an output."""
    return target.with_name(f"{target.name}{SUFFIX}")


def is_unfinished(folder: Path) -> bool:
    """Whether this is the folder of an unfinished run."""
    return folder.name.endswith(SUFFIX) and (folder / PLAN).is_file()


@contextmanager
def work_folder(
    folder: Path,
    plan: Mapping[str, Any],
    *,
    overwrite: bool,
    changed: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """Create the folder of a run, or open it to resume; one run at a time.

    Args:
        folder: the folder of the parts.
        plan: the settings that change the numbers; ``kind`` names the command.
        overwrite: discard a run made with other settings instead of raising an error.
        changed: maps a setting to a message, for settings whose values are hashes.

    Raises:
        InputError: it holds a run made with other settings; the message names them.
        OutputError: it cannot be created, holds other files, or another run uses it.
    """
    _not_foreign(folder)
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    with lock:
        with suppress(ImportError):  # if the system has no such locks
            import fcntl

            try:
                # held by this process only, not by workers that end a moment after a kill
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OutputError(f"{folder}: another run is using it") from error
        _agree(folder, plan, changed or {}, overwrite=overwrite)
        yield folder


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the same folder.

    Args:
        folder: it is created.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / TURN).open("a")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    with lock:
        with suppress(ImportError):  # if the system has no such locks
            import fcntl

            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                note(f"{folder}: another run is using it; waiting for its end")
                fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def _not_foreign(folder: Path) -> None:
    """Raise an error if the folder holds other files, which would be removed with the parts."""
    try:
        names = [each.name for each in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({error.strerror})") from error
    others = [name for name in names if name != LOCK and not name.startswith(TEMPORARY)]
    if others and PLAN not in names:
        raise _foreign(folder, others[0])


def _foreign(folder: Path, found: str) -> OutputError:
    return OutputError(
        f"{folder}: must be missing, empty or of an unfinished run; found {found}: move it away,"
        " or choose another output"
    )


def _agree(
    folder: Path, plan: Mapping[str, Any], changed: Mapping[str, str], *, overwrite: bool
) -> None:
    """Compare the settings with those of the run in the folder, and write them."""
    path = folder / PLAN
    new = json.loads(json.dumps(plan))
    if path.exists():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"{path}: is damaged; remove {folder} to start over") from error
        if not isinstance(old, dict):
            raise FileError(f"{path}: is damaged; remove {folder} to start over")
        if old == new:
            return
        if old.get("kind") != new.get("kind"):
            raise _foreign(folder, f"a {PLAN} of something else")
        if not overwrite:
            other = changes(old, new, changed)
            raise InputError(
                f"{folder}: holds a run made with other settings ({'; '.join(other)}); use the same"
                " settings, or start over with --force or overwrite=True"
            )
        for each in folder.glob("*.safetensors"):
            each.unlink()
    with replacing(path, overwrite=True) as file:
        file.write(json.dumps(new, indent=1).encode())


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any], words: Mapping[str, str] | None = None
) -> list[str]:
    """The settings that differ, each with its old and its new value; at most ``MOST``.

    Args:
        old: the settings before; JSON types. Settings of settings are named "runs.short.steps".
        new: the settings now.
        words: a setting to a message, for settings whose values are hashes.
    """
    before, now = dict(_flat(old)), dict(_flat(new))
    found = [
        (words or {}).get(key) or f"{key}: {_short(before.get(key))}, now {_short(now.get(key))}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]
    more = len(found) - MOST
    return found if more <= 0 else [*found[:MOST], f"and {more} more"]


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def remove(folder: Path) -> None:
    """Remove the folder of a finished run.

    The plan is removed last: what an interruption leaves is still the folder of a run, not other
    files.
    """
    with suppress(OSError):
        for each in folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            elif each.name not in (PLAN, LOCK):
                each.unlink()
    shutil.rmtree(folder, ignore_errors=True)
