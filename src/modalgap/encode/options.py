"""Options of a run of ``encode``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modalgap.arguments import checked
from modalgap.encode.device import check_precision, requested_device
from modalgap.errors import OptionError, quoted
from modalgap.work import processors

BATCH = {"cpu": 32}  # items per forward pass; other devices:
BATCH_ELSEWHERE = 256
MOST_WORKERS = 8  # default limit
MOST = {"batch_size": 2**31 - 1, "workers": 1024}


@checked
@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a run; ``encode`` documents each one."""

    template: str | Sequence[str] | None = None
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    strict: bool = False
    keep_repeats: bool = False
    overwrite: bool = False


def engine_options(options: Options) -> dict[str, Any]:
    """The options of the engine, checked.

    Raises:
        OptionError: an invalid value.
    """
    device = requested_device(options.device)
    check_precision(options.precision, device)
    size = options.batch_size
    if size is None:
        size = BATCH.get(device.type, BATCH_ELSEWHERE)
    return {
        "device": device,
        "precision": options.precision,
        "batch_size": _positive("batch_size", size),
        "workers": _workers(options.workers),
    }


def _workers(workers: int | None) -> int:
    if workers is None:
        return min(processors(), MOST_WORKERS)
    return (
        workers if workers == 0 and not isinstance(workers, bool) else _positive("workers", workers)
    )


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{name}: must be an integer of at least 1; got {quoted(value)}")
    if value > MOST[name]:
        found = value if value < 2**64 else "more than 2^64"
        raise OptionError(f"{name}: must be at most {MOST[name]}; got {found}")
    return value
