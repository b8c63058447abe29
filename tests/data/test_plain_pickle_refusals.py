"""Pickles of plain data load as pickle loads them; anything else is one FileError.

``load_plain`` starts a process for each pickle. ``load_here`` does the same in this process, for
tests that read many.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import os
import pickle
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.pickle_cases import ARRAYS, PLAIN, PROTOCOLS, _plain, load_here, same
from hypothesis import given, settings
from hypothesis import strategies as st

from modalgap.data import _unpickle, plain_pickle
from modalgap.data.plain_pickle import load_plain
from modalgap.errors import FileError


@settings(max_examples=40)  # a process for each: damage can ask for all memory
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
            load_here(whole[:length])


# Python 2 -----------------------------------------------------------------------------------------


def test_an_unknown_encoding_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="encoding"):
        load_plain(b"N.", encoding="utf-8")  # type: ignore[arg-type]


class _Runs:
    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


class _Plain:
    pass


# Refusals -----------------------------------------------------------------------------------------


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
    for load, each in ((load_plain, value), (load_here, [1, {"a": value}]), (load_here, (value,))):
        with pytest.raises(FileError, match=named) as caught:
            load(pickle.dumps(each, protocol))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"", "Ran out of input"),
        (b"\xff.", "invalid load key"),
        (b"\x80\xff.", "protocol"),
        (b".", "stack underflow"),
        (b"0.", "underflow"),
        (b"h\x05.", "Memo"),
        (b"t.", "MARK"),
        (b"Na.", "underflow"),
        (b"NNa.", "append"),
        (b"}(Nu.", "odd number"),
        (b"}]Ns.", "unhashable"),
        (b"}(lNs.", "unhashable"),
        (b"cos\nsystem\n(S'x'\ntR.", "os.system"),
        (b"(S'x'\nios\nsystem\n.", "os.system"),
        (b"(cbuiltins\neval\nS'x'\no.", "builtins.eval"),
        (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", "ndarray.__init__"),
        (b"\x80\x04\x8c\x0bnumpy.ma.os\x8c\x06system\x93.", "system"),
        (b"cmodalgap.data._unpickle\nCall\n.", "Call"),
        (b"c__main__\nsys\n.", "__main__"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"\x80\x04cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX"),
        (b"\x80\x02NQ.", "persistent id"),
        (b"Pname\n.", "persistent id"),
        (b"\x80\x02\x82\x01.", "extension code"),
        (b"\x80\x02\x83\x01\x00.", "extension code"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "extension code"),
        (b"\x80\x05\x97.", "buffer"),
        (b"\x80\x05N\x98.", "bytes-like"),
        (b"N)R.", "not callable"),
        (b"cnumpy\nndarray\n)R.", "ndarray"),
        (b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntRNb.", "numpy.dtype"),
        (b"]N\x85b.", "__dict__|setstate|state"),
        (b"]}b.", "__dict__|setstate|state|list"),
        # a state that would overwrite an attribute or a method of what find_class returns
        (b"cbuiltins\nset\n}S'name'\nS'numpy.ndarray'\nsb.", "builtins.set"),
        (b"cbuiltins\nset\n((ltR}S'args'\nNsb.", "builtins.set"),
        (b"cbuiltins\nset\n((ltRN\x85R.", "builtins.set"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "_codecs.encode"),
        (b"c__builtin__\nbytes\n(I9999999999\ntR.", "builtins.bytes"),
        (b"cnumpy\ndtype\n(S'V999999999999'\nI0\nI1\ntR.", "numpy.dtype"),
        (b"cnumpy\ndtype\n)Rq\x00(h\x00h\x00h\x00h\x00h\x00tb.", "numpy.dtype"),
        (b"I" + b"9" * 10_000 + b"\n.", "int"),
        (b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x7f" * 2**20 + b".", "limit"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_refuses_streams_that_are_wrong(program: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        load_plain(program)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_state_does_not_overwrite_attributes() -> None:
    # the form of BUILD that would call setattr(set, "name", "os.system")
    assert load_plain(b"cbuiltins\nset\nN}S'name'\nS'os.system'\ns\x86b((ltR.") == set()


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


def _hostile() -> dict[str, tuple[bytes, str]]:
    """Small streams that ask for much memory, time or stack, and what the message must name."""
    doubled = b"".join(b"]q%c(h%ch%ce" % (i + 1, i, i) for i in range(60))
    # integers of one hash: each key is compared with all before it
    keys = [b"\x8a\x0c" + ((2**61 - 1) * i).to_bytes(12, "little") for i in range(100_000)]
    far = struct.pack("<Q", 1 << 40)
    data = b"B" + struct.pack("<I", 2**20) + b"x" * 2**20
    # NumPy scalars, whose hash only the parent computes
    double = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(Vc16\nI0\nI1\ntRC\x10%btR"
    scalars = [double % struct.pack("=dd", -1000003.0 * i, float(i)) for i in range(1, 200)]
    return {
        "a million lists in one another": (b"]" * 10**6 + b"a" * (10**6 - 1) + b".", "levels"),
        "a million tuples in one another": (b"N" + b"\x85" * 10**6 + b".", "levels"),
        "as a key, which crashes hash()": (
            b"}N" + b"\x85" * 10**6 + b"Ns.",
            "memory|levels|status",
        ),
        "a list in itself": (b"]q\x00h\x00a.", "levels"),
        "a dict in itself": (b"}q\x00Nh\x00s.", "levels"),
        "an array in itself": (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nI0\nC\x01bt"
            b"Rq\x00(K\x01K\x01\x85cnumpy\ndtype\n(VO8\nI0\nI1\ntRK\x00]h\x00atb.",
            "levels",
        ),
        "2^60 lists in a kilobyte": (b"]q\x00(" + doubled + b"t.", "at most"),
        "a megabyte, a million times": (data + b"q\x00(" + b"h\x00" * 10**6 + b"t.", "at most"),
        "1.9 million sets": (b"(" + b"\x8f" * 1_900_000 + b"t.", "memory"),
        "4 million lists": (b"]" * 2**22 + b".", "instructions"),
        "a place in the memo": (b"Nr\xff\xff\xff\xff.", "stores value"),
        "a place in the memo as text": (b"Np4294967295\n.", "stores value"),
        "a frame": (b"\x80\x04\x95" + far + b"N.", "truncated"),
        "bytes": (b"\x80\x04\x8e" + far + b"abc.", "only 4 remain"),
        "a bytearray": (b"\x80\x05\x96" + far + b"abc.", "only 4 remain"),
        "a string": (b"\x80\x04\x8d" + far + b"abc.", "only 4 remain"),
        "bytes of 4 GiB": (b"B\xff\xff\xff\xffabc.", "only 4 remain"),
        "keys of one hash": (b"}(" + b"N".join(keys) + b"Nu.", "time"),
        "values of one hash": (b"cbuiltins\nset\n((" + b"".join(keys) + b"ltR.", "same hash"),
        "numbers of one hash": (b"}(" + b"N".join(scalars) + b"Nu.", "same hash"),
        "a character too large": (_array_program(b"K\x01", b"\xff" * 4, b"U1"), "Unicode"),
    }


def test_the_number_of_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is repeated needs two bytes each time."""
    monkeypatch.setattr(_unpickle, "MOST_VALUES", 1001)
    for rows, fits in ((90, True), (91, False)):
        data = pickle.dumps([[1] * 10] * rows)
        if fits:
            assert load_here(data) == [[1] * 10] * rows
        else:
            with pytest.raises(FileError, match="at most 1,001 values"):
                load_here(data)


@pytest.mark.parametrize("name", _hostile())
def test_hostile_streams_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, message = _hostile()[name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(FileError, match=message) as caught:
        load_plain(data)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert capfd.readouterr() == ("", "")


def test_the_process_has_limits(tmp_path: Path) -> None:
    program = (
        f"import os, resource, sys; sys.path.insert(0, {str(plain_pickle.PROGRAM.parent)!r});"
        "import _unpickle; _unpickle.limit(0); print(*(resource.getrlimit(getattr(resource,"
        " f'RLIMIT_{name}'))[0] for name in ('AS', 'CPU', 'CORE', 'FSIZE', 'NOFILE')));\n"
        "try: open('made', 'w')\nexcept OSError: print('refused')"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [str(256 << 20), "5", "0", "0", "3", "refused"]
    assert not list(tmp_path.iterdir())


def test_the_process_imports_the_standard_library_only() -> None:
    program = (
        f"import runpy, sys; sys.argv[1:] = ['2', 'latin1'];"
        f"runpy.run_path({str(plain_pickle.PROGRAM)!r}, run_name='__main__');"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], input=b"N.", capture_output=True, check=True
    )
    assert set(found.stderr.decode().split()) <= {*sys.stdlib_module_names, "__main__"}


def test_a_process_that_does_not_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "sleeps.py"
    program.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(plain_pickle, "PROGRAM", program)
    monkeypatch.setattr(plain_pickle, "PATIENCE", 0.5)
    start = time.monotonic()
    with pytest.raises(FileError, match=r"within 0.5 seconds"):
        load_plain(b"N.")
    assert time.monotonic() - start < 30
