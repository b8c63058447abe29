"""The fingerprint is what docs/format.md says, in one pass or in spans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xxhash

import modalgap as mg
from modalgap.embeddings import is_of
from modalgap.embeddings.scan import BLOCK, Scanning, joined

KINDS = ["rows", "text_to_image", "labels"]


def make(kind: str, n: int = 3 * BLOCK + 7) -> mg.Pair:
    random = np.random.default_rng(0)
    m = {"rows": n, "text_to_image": n + 5, "labels": 9}[kind]
    image, text = (random.normal(size=(k, 3)).astype(np.float32) for k in (n, m))
    factors = {"object": np.arange(n) % 3, "color": np.array(["red", "öl"])[np.arange(n) % 2]}
    matches = {} if kind == "rows" else {kind: random.integers(0, min(n, m), max(n, m))}
    if kind == "labels":
        matches = {kind: random.integers(0, m, n)}
    return mg.Pair(mg.Embeddings(image, factors=factors), mg.Embeddings(text, "text"), **matches)


def by_hand(side: mg.Embeddings) -> str:
    rows = side.rows.read(0, side.n).numpy().astype("<f4")
    digest = xxhash.xxh3_128(f"{(side.n, side.dim)}|{side.rows.dtype}|".encode())
    for start in range(0, side.n, 4096):
        digest.update(xxhash.xxh3_128(rows[start : start + 4096].tobytes()).digest())
    return "2-" + with_factors(digest, side)


def earlier(side: mg.Embeddings) -> str:
    digest = xxhash.xxh3_128(f"{(side.n, side.dim)}|{side.rows.dtype}|".encode())
    digest.update(side.rows.read(0, side.n).numpy().astype("<f4").tobytes())
    return with_factors(digest, side)


def with_factors(digest: xxhash.xxh3_128, side: mg.Embeddings) -> str:
    for name in sorted(side.factors):
        values = "\0".join(map(str, side.factors[name].tolist()))
        digest.update(f"|{name}|{values}".encode())
    return digest.hexdigest()


def of_pair(pair: mg.Pair, kind: str, one: str, two: str) -> str:
    digest = xxhash.xxh3_128(f"{one}|{two}|".encode())
    if kind != "rows":
        digest.update(kind.encode())
        digest.update(getattr(pair, kind).astype("<i8").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_the_fingerprint_is_what_the_format_says(kind: str) -> None:
    pair = make(kind)
    assert pair.image.fingerprint == by_hand(pair.image)
    expected = of_pair(pair, kind, by_hand(pair.image), by_hand(pair.text))
    assert pair.fingerprint == "2-" + expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_earlier_form_is_recognised(kind: str) -> None:
    pair = make(kind)
    one, two = earlier(pair.image), earlier(pair.text)
    assert is_of(one, pair.image)
    assert is_of(of_pair(pair, kind, one, two), pair)
    assert is_of(pair.fingerprint, pair)
    other = make(kind, 3 * BLOCK + 8)
    assert not is_of(one, other.image)
    assert not is_of(of_pair(pair, kind, one, two), other)
    assert not is_of(None, pair)


@pytest.mark.parametrize("size", [1, 61, 4087, 4096, 5000, 10**6])
def test_chunks_and_spans_do_not_matter(size: int) -> None:
    rows = torch.randn(2 * BLOCK + 11, 2)
    whole = mg.Embeddings(rows).fingerprint

    def scan(a: int, b: int) -> object:
        scanning = Scanning()
        for start in range(a, b, max(size, 7)):
            part = rows[start : min(start + max(size, 7), b)]
            scanning.hash(part)
            scanning.add(part.norm(dim=1))
        return scanning.result()

    spans = [(0, BLOCK), (BLOCK, 2 * BLOCK), (2 * BLOCK, len(rows))]
    side = mg.Embeddings(rows)
    side.keep([scan(*span) for span in spans])
    side._cache.pop("fingerprint", None)
    assert side.fingerprint == whole
    assert joined([scan(0, len(rows))]) == joined([scan(*span) for span in spans])


def test_every_byte_and_order_count() -> None:
    rows = torch.randn(BLOCK + 3, 2)
    other = rows.clone()
    other[BLOCK, 0] += 1
    swapped = torch.cat([rows[BLOCK:], rows[:BLOCK]])
    found = {mg.Embeddings(each).fingerprint for each in (rows, other, swapped, rows[:-1])}
    assert len(found) == 4
