"""Devices that are not there: one short line."""

from __future__ import annotations

import pytest
import torch

from modalgap import errors
from modalgap.encode.device import device_of


@pytest.mark.parametrize("name", ["mps", "cuda", "cuda:7", "cuda:1000"])
def test_a_device_that_is_not_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(*_: object, **__: object) -> None:
        raise RuntimeError("The MPS backend is supported on MacOS 13.0+. " * 9 + "\nmore")

    monkeypatch.setattr(torch, "empty", empty)
    with pytest.raises(errors.OptionError, match=f"cannot use '{name}' .not available here") as got:
        device_of(name)
    assert len(str(got.value)) <= 120
    assert "backend" not in str(got.value)


@pytest.mark.parametrize("name", ["tpu", "xla", "meta", "", "cuda:x", "x" * 500])
def test_a_name_that_is_no_device(name: str) -> None:
    with pytest.raises(errors.OptionError, match="it must be one of cpu, cuda, mps") as got:
        device_of(name)
    assert len(str(got.value)) <= 120
