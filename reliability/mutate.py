"""Damage to the content of a file: bytes, numbers, lines and words that readers stumble over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n", b",", b"\t", b'"', b"'", b"{", b"}",
    b"[", b"]", b"[" * 3000, b'{"a":' * 3000, b"null", b"true", b"NaN", b"Infinity", b"-Infinity",
    b"1e999", b"-1", b"9" * 400, b"0x10", b"../../../../tmp/escaped", b"/etc/passwd", b"C:\\x",
    b"http://127.0.0.1:9/x", b"__import__('os').system('true')", b"=cmd()", b"<script>", b"%s%n",
    b"!!python/object/apply:os.system ['true']", b"&a [*a]", b"<<: *a", b"---", b"\xf0\x9f\x90\x88",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"None", b"nan", b" ", b"-", b"--", b"=", b"PK\x03\x04",
    b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04\x95", b"|O", b"<f8", b"F64", b"BF16", b"__metadata__",
    b"shape", b"data_offsets", b"dtype", b"<!ENTITY a 'aaaa'>", b"xlink:href",
    b"url(file:///etc/passwd)",
]  # fmt: skip
LONGEST = 1_000_000  # bytes of a damaged content
Step = Callable[[bytes, int, random.Random], bytes]


def _write(data: bytes, at: int, rng: random.Random) -> bytes:
    new = rng.randbytes(rng.choice((1, 1, 2, 4, 8)))
    return data[:at] + new + data[at + len(new) :]


def _bit(data: bytes, at: int, rng: random.Random) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if data else data


def _insert(data: bytes, at: int, rng: random.Random) -> bytes:
    return data[:at] + rng.randbytes(rng.choice((1, 3, 16, 200))) + data[at:]


def _word(data: bytes, at: int, rng: random.Random) -> bytes:
    new = rng.choice(WORDS)
    return data[:at] + new + data[at + rng.choice((0, len(new))) :]


def _number(data: bytes, at: int, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(NUMBERS) & (1 << 8 * size) - 1
    new = number.to_bytes(size, rng.choice(("little", "little", "big")))
    return data[:at] + new + data[at + size :]


def _decimal(data: bytes, at: int, rng: random.Random) -> bytes:
    end = at
    while end < len(data) and data[end : end + 1].isdigit():
        end += 1
    return data[:at] + str(rng.choice(NUMBERS)).encode() + data[end:]


def _drop(data: bytes, at: int, rng: random.Random) -> bytes:
    return data[:at] + data[at + rng.choice((1, 2, 8, 64, 1000)) :]


def _cut(data: bytes, at: int, _: random.Random) -> bytes:
    return data[:at]


def _repeat(data: bytes, at: int, rng: random.Random) -> bytes:
    piece = data[at : at + rng.choice((1, 8, 64, 500))]
    return data[:at] + piece * rng.choice((2, 3, 50)) + data[at:]


def _move(data: bytes, at: int, rng: random.Random) -> bytes:
    size, to = rng.choice((4, 16, 100)), rng.randrange(len(data) + 1)
    piece, rest = data[at : at + size], data[:at] + data[at + size :]
    return rest[:to] + piece + rest[to:]


def _lines(data: bytes, _: int, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = (lines[j], lines[i]) if rng.random() < 0.5 else (lines[j], lines[j])
    return b"\n".join(lines)


STEPS: Sequence[Step] = (
    _write, _write, _bit, _bit, _insert, _word, _word, _number, _number, _decimal, _drop, _cut,
    _repeat, _move, _lines,
)  # fmt: skip


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """``data`` after one to five random changes; rarely joined with a part of another content."""
    if others and rng.random() < 0.05:
        other = rng.choice(others)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = rng.choice(STEPS)(data, rng.randrange(len(data)) if data else 0, rng)
    return data[:LONGEST]
