"""Parquet files."""

from __future__ import annotations

from layouts.shards import (
    picture,
)


def images(count: int) -> list[bytes | None]:
    return [picture(i) for i in range(count)]
