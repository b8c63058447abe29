"""Whether the data of a configuration exists, before libraries are loaded or processes start."""

from __future__ import annotations

from pathlib import Path

from modalgap.data.find import check_exists
from modalgap.train.config import Data


def check_data(data: Data) -> None:
    """Check that the data exists; it is not read.

    Raises:
        InputError: it does not.
    """
    if data.source != "mad":
        check_exists(data.source, data.split, data.root)
    elif data.digits is not None and not Path(data.digits).exists():
        from modalgap.data.mad import digits

        digits(data.digits)  # raises the error
