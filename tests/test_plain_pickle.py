"""Plain data out of pickles: as pickle has them, and nothing but plain data."""

from __future__ import annotations

import builtins
import contextlib
import functools
import math
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modalgap.data import plain_pickle
from modalgap.data.plain_pickle import load_plain
from modalgap.errors import FileError

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
SCALARS = [
    np.float32(2.5),
    np.int64(-3),
    np.uint8(7),
    np.bool_(True),
    np.str_("ab"),
    np.bytes_(b"x"),
]


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tolist() == b.tolist()
    else:
        assert a == b
        assert repr(a) == repr(b) or isinstance(a, set | frozenset | dict)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    same(load_plain(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [*ARRAYS, *SCALARS], ids=lambda value: str(value.dtype))
def test_arrays_and_numbers_come_back(value: Any, protocol: int) -> None:
    same(load_plain(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_shared_comes_back_in_every_place(protocol: int) -> None:
    array, row = np.arange(5), ["a"]
    found = load_plain(
        pickle.dumps({"a": array, "b": array, "c": [row, row], "d": [array]}, protocol)
    )
    for each in (found["a"], found["b"], *found["d"]):
        same(each, array)
    assert found["c"] == [["a"], ["a"]]


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


@given(_plain, st.sampled_from(PROTOCOLS))
def test_any_plain_value_comes_back(value: Any, protocol: int) -> None:
    same(load_plain(pickle.dumps(value, protocol)), value)


@given(_plain, st.sampled_from(PROTOCOLS), st.data())
def test_damage_is_refused_or_gives_plain_data(value: Any, protocol: int, data: Any) -> None:
    whole = bytearray(pickle.dumps(value, protocol))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FileError):
        load_plain(bytes(whole))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [PLAIN[-4], ARRAYS[0], ARRAYS[-1]])
def test_every_cut_is_refused(value: Any, protocol: int) -> None:
    whole = pickle.dumps(value, protocol)
    for length in range(len(whole)):
        with pytest.raises(FileError):
            load_plain(whole[:length])


# Python 2 ------------------------------------------------------------------------------------

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
    with pytest.raises(FileError, match="quotes"):
        load_plain(b"Sabc\n.")


def test_an_unknown_encoding_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="encoding"):
        load_plain(b"N.", encoding="utf-8")  # type: ignore[arg-type]


# Refusals ------------------------------------------------------------------------------------


class _Runs:
    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


class _Plain:
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (_Runs(os.system, ("touch ran",)), "system"),
        (_Runs(builtins.eval, ("open('ran', 'w')",)), "eval"),
        (_Runs(builtins.exec, ("open('ran', 'w')",)), "exec"),
        (_Runs(getattr, (_Runs(__import__, ("os",)), "system")), "getattr|import"),
        (_Runs(functools.partial, (print, "x")), "partial|print"),
        (_Runs(np.load, ("x.npy", None, True)), "load"),
        (_Plain(), "_Plain|_reconstructor"),
        (_Plain, "_Plain"),
        (Path("x"), "Path"),
        (len, "len"),
        (np.ndarray, "ndarray"),
        (np.dtype("f8"), "type"),
        (range(3), "range"),
        (np.zeros(2, [("a", "f8"), ("b", "i4")]), "type"),
        (np.array(["2020"], "datetime64[Y]"), "type"),
        (np.zeros(2, np.longdouble), "type"),
        (np.ma.masked_array([1], [True]), "ma"),
        (np.array([len], object), "len"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_refuses_what_is_not_plain(
    value: Any, named: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrapped in (value, [1, {"a": value}], (value,)):
        with pytest.raises(FileError, match=named) as caught:
            load_plain(pickle.dumps(wrapped, protocol))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"", "cut short"),
        (b"\xff.", "not a pickle"),
        (b".", "one value"),
        (b"NN.", "one value"),
        (b"(N.", "one value"),
        (b"0.", "not there"),
        (b"h\x05.", "not there"),
        (b"t.", "mark"),
        (b"Na.", "list|not there"),
        (b"N(NNu.", "dict"),
        (b"}(Nu.", "dict"),
        (b"}]Ns.", "key"),
        (b"})\x85\x85Ns.", "key"),
        (b"N(Ne.", "list"),
        (b"cos\nsystem\n(S'x'\ntR.", "os.system"),
        (b"(S'x'\nios\nsystem\n.", "INST os system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", "ndarray.__init__"),
        (b"\x80\x04\x8c\x0bnumpy.ma.os\x8c\x06system\x93.", "system"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"\x80\x02NQ.", "BINPERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"N)R.", "calls"),
        (b"cnumpy\nndarray\n)R.", "ndarray"),
        (b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntRNb.", "no tuple"),
        (b"]N\x85b.", "list"),
        (b"]}b.", "list"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "rot13"),
        (b"c__builtin__\nbytes\n(I9999999999\ntR.", "not what it should be"),
        (b"cnumpy\ndtype\n(S'V999999999999'\nI0\nI1\ntR.", "V9999"),
    ],
)
def test_refuses_programs_that_are_wrong(program: bytes, said: str) -> None:
    with pytest.raises(FileError, match=said) as caught:
        load_plain(program)
    assert "\n" not in str(caught.value)


def _array_program(shape: bytes, data: bytes, code: bytes = b"f8") -> bytes:
    """numpy.core.numeric._frombuffer(data, dtype(code), shape, "C")."""
    made = b"cnumpy.core.numeric\n_frombuffer\n(C" + bytes([len(data)]) + data
    return made + b"cnumpy\ndtype\n(V" + code + b"\nI0\nI1\ntR(" + shape + b"tVC\ntR."


def test_the_size_of_an_array_is_checked() -> None:
    same(load_plain(_array_program(b"K\x01", struct.pack("=d", 2.5))), np.array([2.5]))
    for shape in (b"K\x02", b"", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f", b"I" + b"9" * 40 + b"\n"):
        if shape:
            with pytest.raises(FileError, match="must hold"):
                load_plain(_array_program(shape, struct.pack("=d", 2.5)))
    for shape in (b"J\xff\xff\xff\xff", b"N", b"\x88", b"Vx\n"):
        with pytest.raises(FileError, match="whole numbers"):
            load_plain(_array_program(shape, b"12345678"))
    with pytest.raises(FileError, match="objects"):
        load_plain(_array_program(b"K\x01", b"12345678", b"O8"))
    with pytest.raises(FileError):
        load_plain(_array_program(b"K\x00" * 65, b""))


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="levels"):  # a million lists in one another
        load_plain(b"]" * 1_000_000 + b"a" * 999_999 + b".")
    with pytest.raises(FileError, match="levels"):
        load_plain(b"N" + b"\x85" * 1_000_000 + b".")
    with pytest.raises(FileError, match="levels"):  # a list in itself
        load_plain(b"]q\x00h\x00a.")
    doubled = (
        b"(lp0\n" + b"".join(b"(lp%d\ng%d\nag%d\na" % (i + 1, i, i) for i in range(60)) + b"t."
    )
    monkeypatch.setattr(plain_pickle, "MOST_VALUES", 100_000)
    with pytest.raises(FileError, match="at most"):  # 2^60 values in a kilobyte
        load_plain(b"(" + doubled)
    # places in the memo that C code would make room for
    assert load_plain(b"Nr\xff\xff\xff\xff.") is None
    for size in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff"):
        with pytest.raises(FileError):
            load_plain(b"B" + size + b"abc.")
    with pytest.raises(FileError):
        load_plain(b"\x8e" + b"\xff" * 8 + b"abc.")
    with pytest.raises(FileError):
        load_plain(b"I" + b"9" * 10_000 + b"\n.")
    monkeypatch.setattr(plain_pickle, "MOST_STEPS", 1000)
    with pytest.raises(FileError, match="instructions"):
        load_plain(b"N0" * 1000 + b"N.")
