"""Where a model runs, and how precisely."""

from __future__ import annotations

import torch

from modalgap.errors import OptionError

DEVICES = ("cpu", "cuda", "mps")
PRECISIONS = ("fp32", "bf16", "fp16")


def device_of(name: str) -> torch.device:
    """The device of that name; "auto" is the best there is.

    Raises:
        OptionError: there is no such device here.
    """
    if isinstance(name, str) and name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICES:
            raise RuntimeError(f"it must be one of {', '.join(DEVICES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise OptionError(f"device: cannot use {name!r} ({reason})") from error
    return device


def check_precision(name: str, device: torch.device) -> None:
    """Refuse a precision that there is not, or that the device lacks.

    Raises:
        OptionError: that.
    """
    if name not in PRECISIONS:
        raise OptionError.unknown("precision", str(name), PRECISIONS)
    if name == "fp16" and device.type == "cpu":
        raise OptionError("precision: fp16 needs a GPU; on the CPU take bf16 or fp32")
