"""Loading with transformers: no weights drawn at random in silence, no progress bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import transformers

from modalgap.encode.quiet import quiet

hf: Any = transformers  # only half of it has types, which fails a strict check


def check_complete(model: Any, found: Mapping[str, Any], unused: tuple[str, ...] = ()) -> None:
    """Check that a file held every weight of a model.

    Args:
        model: the model.
        found: what the library says of the loading (``output_loading_info``).
        unused: beginnings of the names of weights on which the features do not depend.

    Raises:
        ValueError: a weight is missing, or has another shape.
    """
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        raise ValueError(f"{name} must be {tuple(wanted)}; is {tuple(stored)}")
    # integers are positions, which the library computes itself
    learned = {name for name, value in model.state_dict().items() if value.is_floating_point()}
    missing = sorted(learned.intersection(found["missing_keys"]))
    missing = [name for name in missing if not name.startswith(unused)]
    if missing:
        raise ValueError(f"{len(missing)} of {len(learned)} are missing, such as {missing[0]}")


@contextmanager
def silent() -> Iterator[None]:
    """``quiet``, and no progress bars of the library inside the block."""
    bars = hf.utils.logging.is_progress_bar_enabled()
    hf.utils.logging.disable_progress_bar()
    try:
        with quiet():
            yield
    finally:
        if bars:
            hf.utils.logging.enable_progress_bar()
