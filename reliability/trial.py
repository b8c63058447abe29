"""One damaged input: it is read in this process, and a fault is written to a file."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import mmap
import resource
import struct
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from modalgap.errors import ModalgapError
from reliability.targets import Target
from reliability.watch import Watch

SECONDS, BYTES = 10.0, 2_000_000_000  # limits for one input
ALIKE = 12
NUMBER = struct.Struct("<q")  # of the file that is replaced
COUNTER = struct.Struct("<qq")  # inputs tried, of which were refused


@dataclass
class Cases:
    """The valid inputs of a target, and the files that are changed.

    Attributes:
        files: those that are damaged, each with its content; of files of one input with one suffix
            the first ``ALIKE``.
        known: all files.
    """

    target: Target
    folder: Path
    files: list[tuple[Path, bytes]] = field(init=False)
    known: set[Path] = field(init=False)

    def __post_init__(self) -> None:
        valid = self.folder / "valid"
        self.target.make(valid)
        kinds: Counter[tuple[Path, str]] = Counter()
        self.files, self.known = [], set()
        for path in sorted(valid.rglob("*")):
            if path.is_file() and not path.is_symlink():
                self.known.add(path)
                kind = self.input_of(path), path.suffix
                kinds[kind] += 1
                if kinds[kind] <= ALIKE:
                    self.files.append((path, path.read_bytes()))
        for each in sorted(valid.iterdir()):
            try:
                self.target.read(each)
            except ModalgapError as error:
                raise ValueError(f"{each.name} must be valid: {error}") from error

    def input_of(self, path: Path) -> Path:
        """The folder of the input that a file belongs to."""
        valid = self.folder / "valid"
        return valid / path.relative_to(valid).parts[0]


def attempt(cases: Cases, number: int, content: bytes, watch: Watch) -> tuple[str, bool]:
    """Read an input with one file replaced; return the fault or "", and whether it was refused."""
    path, valid = cases.files[number]
    path.write_bytes(content)
    watch.seen.clear()
    fault, refused, began = "", False, time.monotonic()
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases.target.read(cases.input_of(path))
    except ModalgapError as error:
        refused = True
        if "\n" in str(error) or not str(error):
            fault = f"not one line: {error}"
    except BaseException as error:
        fault = describe(error)
    finally:
        faulthandler.cancel_dump_traceback_later()
        path.write_bytes(valid)
    if watch.seen:
        fault = f"forbidden: {watch.seen[0]}"
    elif not fault and time.monotonic() - began > SECONDS:
        fault = "took too long"
    return fault, refused


def describe(error: BaseException) -> str:
    """The type of an error and the innermost line of the package that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "modalgap" in each.filename] or frames
    last = own[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:150]}"


class Trial:
    """Tries inputs of a target in this process; faults are written to files."""

    def __init__(self, cases: Cases, faults: Path, shared: mmap.mmap) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.cases, self.faults, self.shared = cases, faults, shared
        self.contents = [content for _, content in cases.files]
        self._watch = Watch(cases.folder, faults)
        self._most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._tried = self._refused = 0

    def run(self, number: int, content: bytes) -> None:
        """Try an input in which one file has another content."""
        (self.cases.folder / "current").write_bytes(NUMBER.pack(number) + content)
        fault, refused = attempt(self.cases, number, content, self._watch)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if not fault and (now - self._most) * 1024 > BYTES:
            fault = f"needed {(now - self._most) / 1e6:.1f} GB"
        self._most = max(self._most, now)
        if fault:
            record(self.cases, number, content, fault, self.faults)
        self._tried, self._refused = self._tried + 1, self._refused + refused
        self.shared[: COUNTER.size] = COUNTER.pack(self._tried, self._refused)
        if self._tried % 200 == 0:
            gc.collect()
            tidy(self.cases)


def tidy(cases: Cases) -> None:
    """Remove what readers wrote beside the inputs."""
    for path in (cases.folder / "valid").rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in cases.known:
            path.unlink()


def record(cases: Cases, number: int, content: bytes, fault: str, faults: Path) -> None:
    """Store one input of each kind of fault."""
    path = cases.files[number][0]
    kind = hashlib.sha256(fault.partition(": ")[0].encode()).hexdigest()[:12]
    folder = faults / f"{cases.folder.name}-{kind}"
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(content)
        about = {"fault": fault, "file": str(path.relative_to(cases.folder / "valid"))}
        (folder / "about.json").write_text(json.dumps(about, indent=1))
