"""Embeddings as a stream of Arrow record batches: names, factors, and vectors as they are stored.

Vectors in memory are one batch whose buffer is theirs: nothing is copied. Vectors in a file are
read ``BATCH`` rows at a time. Arrow has no bfloat16, so these rows become float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.embeddings.rows import Rows
from modalgap.tabular import unused

BATCH = 16_384
NAME, VECTOR = "name", "vector"
FLOATS = {
    torch.float16: pa.float16(),
    torch.bfloat16: pa.float32(),
    torch.float32: pa.float32(),
    torch.float64: pa.float64(),
}


def reader(
    rows: Rows,
    names: Sequence[str] | None,
    factors: Mapping[str, NDArray[Any]],
    check: Callable[[Tensor, Tensor], object],
) -> pa.RecordBatchReader:
    """A reader of the columns name, if there are names, the factors, and vector.

    A factor that is called name or vector ends in ``_``.

    Args:
        rows: (n, d).
        names: n strings, or None.
        factors: name to (n,) integers or strings.
        check: called with rows of a file and their row numbers; raises an error for invalid ones.
    """
    n, dim = rows.shape
    columns: dict[str, Any] = {} if names is None else {NAME: names}
    for factor, values in factors.items():
        columns[unused(factor, {*columns, NAME, VECTOR})] = values
    kinds = {
        name: pa.int64() if getattr(values, "dtype", None) == "int64" else pa.large_string()
        for name, values in columns.items()
    }
    vectors = pa.list_(FLOATS[rows.dtype], dim)
    schema = pa.schema([*kinds.items(), (VECTOR, vectors)])

    def batches() -> Iterator[pa.RecordBatch]:
        step = n if rows.in_memory else BATCH
        for start in range(0, n, step):
            stop = min(n, start + step)
            raw = rows.read(start, stop)
            if not rows.in_memory:  # those in memory were checked when they were made
                check(raw, torch.arange(start, stop))
            parts = [pa.array(values[start:stop], kinds[name]) for name, values in columns.items()]
            flat = (raw.float() if raw.dtype is torch.bfloat16 else raw).reshape(-1).numpy()
            parts.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), type=vectors))
            yield pa.record_batch(parts, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
