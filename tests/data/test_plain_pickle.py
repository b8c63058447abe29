"""Pickles of plain data load as pickle loads them; anything else is one FileError.

``load_plain`` starts a process for each pickle. ``load_here`` does the same in this process, for
tests that read many.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from data.pickle_cases import ARRAYS, PLAIN, PROTOCOLS, _plain, load_here, same
from hypothesis import given
from hypothesis import strategies as st

from modalgap.data.plain_pickle import load_plain
from modalgap.errors import FileError

SCALARS = [
    np.float32(2.5),
    np.int64(-3),
    np.uint8(7),
    np.bool_(True),
    np.str_("ab"),
    np.bytes_(b"x"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    same(load_here(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [*ARRAYS, *SCALARS], ids=lambda value: str(value.dtype))
def test_arrays_and_numbers_come_back(value: Any, protocol: int) -> None:
    same(load_here(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_shared_comes_back_in_every_place(protocol: int) -> None:
    array, row = np.arange(5), ["a"]
    found = load_here(
        pickle.dumps({"a": array, "b": array, "c": [row, row], "d": [array]}, protocol)
    )
    for each in (found["a"], found["b"], *found["d"]):
        same(each, array)
    assert found["c"] == [["a"], ["a"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_process_loads_the_same(protocol: int) -> None:
    values = load_plain(pickle.dumps(PLAIN[-6:-1], protocol))
    for ours, theirs in zip(values, PLAIN[-6:-1], strict=True):  # repr of a set has no fixed order
        same(ours, theirs)
    found = load_plain(pickle.dumps([*ARRAYS, *SCALARS], protocol))
    for each, value in zip(found, [*ARRAYS, *SCALARS], strict=True):
        same(each, value)


@given(_plain, st.sampled_from(PROTOCOLS))
def test_any_plain_value_comes_back(value: Any, protocol: int) -> None:
    same(load_here(pickle.dumps(value, protocol)), value)


# cPickle.dumps({"data": numpy.array([[1, 255]], "u1"), "labels": [6, 9], "f": "\xe4"}, 2) there
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
    b"q\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftbU\x06labels"
    b"q\x08]q\x09(K\x06K\x09eU\x01fU\x01\xe4u."
)


def test_strings_of_python_2_are_text_or_bytes() -> None:
    reference = pickle.loads(PYTHON_2, encoding="latin1")  # noqa: S301 - our own bytes
    found = load_plain(PYTHON_2)
    same(found["data"], reference["data"])
    assert (found["labels"], found["f"]) == ([6, 9], "ä")
    assert load_plain(PYTHON_2, encoding="bytes")[b"f"] == b"\xe4"
    same(load_plain(PYTHON_2, encoding="bytes")[b"data"], reference["data"])


def test_strings_of_protocol_0() -> None:
    assert load_plain(b"S'a\\x00\\xff\\n\\''\n.") == "a\x00\xff\n'"
    assert load_plain(b'S"it\'s"\n.') == "it's"
    with pytest.raises(FileError, match="STRING"):
        load_plain(b"Sabc\n.")
