"""Pickles that the tests share."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from modalgap.data import _unpickle
from modalgap.data.plain_pickle import build

PROTOCOLS = range(6)
PLAIN = [
    None,
    True,
    0,
    -1,
    255,
    65536,
    2**31,
    -(2**80),
    1.5,
    -0.0,
    math.inf,
    "",
    "häßlich \n '\" \\ \u2603 \U0001f600",
    b"",
    b"\x00\xff\n'",
    [],
    (),
    {},
    set(),
    frozenset(),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    {1, "a", (2, None)},
    frozenset([b"x"]),
    {"gnd": [{"bbx": [1.5, 2.0], "easy": [1], "hard": [], "junk": [7]}], "imlist": ["a", "b"]},
    {(1, "a"): [{None: (True, False)}], 2.5: {b"k": "v"}},
    list(range(3000)),
    {i: str(i) for i in range(2500)},
]
ARRAYS = [
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    np.arange(24, dtype=">f4").reshape(2, 3, 4),
    np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(24.0)[::2],
    np.array(2.5),
    np.zeros((0, 3), np.int32),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array([0.5], np.float16),
    np.array(["abc", "ä"]),
    np.array([b"ab", b"c"]),
    np.array(["a.jpg", 3, None, [1, 2], b"x"], object),
    np.array([["a"], ["b"]], object),
]


def load_here(data: bytes) -> Any:
    """As ``load_plain``, without its process and its limits."""
    return build(io.BytesIO(b"".join(_unpickle.answer(io.BytesIO(data), len(data), "latin1"))))


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tolist() == b.tolist()
    else:
        assert a == b
        assert repr(a) == repr(b) or isinstance(a, set | frozenset | dict)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(st.text() | st.integers(), inside, max_size=4)
        | st.tuples(inside, inside)
    ),
    max_leaves=12,
)
