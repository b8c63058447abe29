"""The versions and the processor on which the bits of a result depend."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modalgap._version import __version__
from modalgap.errors import ModalgapError


@dataclass(frozen=True)
class Versions:
    """What a process computes with.

    Attributes:
        modalgap: version.
        python: version, without the last number.
        torch: version.
        processor: architecture, name and, on Linux, a hash of the instruction sets.
    """

    modalgap: str
    python: str
    torch: str
    processor: str

    @classmethod
    def here(cls) -> Versions:
        """Those of this process. Does not import torch."""
        try:
            torch = version("torch")
        except PackageNotFoundError:
            torch = "none"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return cls(__version__, python, torch, _processor())

    @classmethod
    def of(cls, found: Mapping[str, str]) -> Versions:
        """Those that a worker sent, which may have another version of this class."""
        return cls(**{each.name: found.get(each.name, "unknown") for each in fields(cls)})

    def check(self, other: Versions, node: str) -> str | None:
        """Compare with those of a worker.

        Args:
            other: versions of the worker.
            node: its name, for messages.

        Returns:
            A note if numbers may differ in their last bits, otherwise None.

        Raises:
            ModalgapError: the worker has another version of modalgap.
        """
        if other.modalgap != self.modalgap:
            raise ModalgapError(
                f"{node} has modalgap {other.modalgap}, and this process {self.modalgap}: install"
                " the same version on all nodes"
            )
        differs = [
            f"{name} {getattr(other, name)}, here {getattr(self, name)}"
            for name in ("python", "torch", "processor")
            if getattr(other, name) != getattr(self, name)
        ]
        if not differs:
            return None
        return f"{node} has {'; '.join(differs)}: results agree within 1e-10, not bit for bit"


def _processor() -> str:
    """Architecture and name of the processor; on Linux also a hash of its instruction sets."""
    found = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            found[key.strip()] = value.strip()
    name = found.get("model name") or platform.processor()
    flags = " ".join(sorted((found.get("flags") or found.get("Features") or "").split()))
    digest = hashlib.blake2b(flags.encode(), digest_size=3).hexdigest() if flags else ""
    return " ".join(filter(None, (platform.machine(), name, f"({digest})" if digest else "")))
