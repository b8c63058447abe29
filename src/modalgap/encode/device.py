"""Devices and precisions of a model."""

from __future__ import annotations

import re

import torch

from modalgap.errors import OptionError, quoted
from modalgap.work import executor

DEVICES = ("cpu", "cuda", "mps")
PRECISIONS = ("fp32", "bf16", "fp16")


def device_of(name: str) -> torch.device:
    """The device with this name; "auto" is the best available device.

    Raises:
        OptionError: the device is not available.
    """
    if isinstance(name, str) and name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in DEVICES:
        raise _refusal(name, f"it must be one of {', '.join(DEVICES)}")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise _refusal(name, f"not available here; available: {', '.join(_here())}") from error
    return device


def requested_device(name: str) -> torch.device:
    """The device of this name. If other processes do the work, this one need not have a GPU."""
    if not executor().local and isinstance(name, str) and re.fullmatch("cuda(:[0-9]+)?", name):
        return torch.device("cuda")
    return device_of(name)


def worker_device(kind: str, worker: int) -> torch.device:
    """The device of a worker, by its number: workers of one machine share its GPUs evenly.

    Raises:
        OptionError: the worker has no such device.
    """
    if kind == "cuda":
        return device_of(f"cuda:{worker % max(torch.cuda.device_count(), 1)}")
    return device_of(kind)


def _refusal(name: object, reason: str) -> OptionError:
    return OptionError(f"device: cannot use {quoted(str(name)[:40])} ({reason})")


def _here() -> list[str]:
    """The devices of this machine."""
    found = ["cpu", *(f"cuda:{i}" for i in range(min(torch.cuda.device_count(), 8)))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def check_precision(name: str, device: torch.device) -> None:
    """Check that a precision exists and that the device supports it.

    Raises:
        OptionError: it does not.
    """
    if name not in PRECISIONS:
        raise OptionError.unknown("precision", str(name), PRECISIONS)
    if name == "fp16" and device.type == "cpu":
        raise OptionError("precision: fp16 needs a GPU; on the CPU use bf16 or fp32")
