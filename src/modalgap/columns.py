"""Columns: results as tables of other libraries, through Arrow's C stream interface.

Every object that has ``__arrow_c_stream__`` is read by ``pyarrow.table(x)``,
``polars.DataFrame(x)``, ``pandas.DataFrame.from_arrow(x)`` and ``duckdb.sql("from x")``. Polars
takes a ``Result``, which is a mapping, for a dictionary: ``polars.DataFrame(pyarrow.table(x))``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from modalgap.errors import InputError

Column = tuple[type[str] | type[float], Sequence[Any]]  # the type, and a value or None for each row


class Columns(ABC):
    """What has columns of text and numbers."""

    @abstractmethod
    def _columns(self) -> Mapping[str, Column]:
        """Name to column; all of one length."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A PyCapsule with an ArrowArrayStream; numbers are float64, text is a large string."""
        import pyarrow as pa

        kinds = {str: pa.large_string(), float: pa.float64()}
        table = pa.table(
            {
                name: pa.array(values, kinds[kind])
                for name, (kind, values) in self._columns().items()
            }
        )
        return table.__arrow_c_stream__(requested_schema)

    def to_frame(self) -> Any:
        """A pandas ``DataFrame`` with one column per column of the Arrow table.

        The description of the class lists the columns. Missing numbers are NaN.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise InputError("to_frame needs pandas: pip install pandas") from error
        return pandas.DataFrame(
            {
                name: pandas.Series(values, dtype=float if kind is float else None)
                for name, (kind, values) in self._columns().items()
            }
        )
