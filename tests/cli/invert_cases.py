"""A model and data for the commands of inversion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import modalgap as mg

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ODD = "<b>[red]x"


def refused(found: tuple[int, str, str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr."""
    code, out, err = found
    assert (code, out) == (2, ""), err
    assert err.startswith("modalgap: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err


def said(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mg.load_embeddings(path).provenance["inversion"])
    return found


STOPS = """
import os, signal, sys
import safetensors.numpy
from modalgap.cli import main

real, calls = safetensors.numpy.save, []

def save(tensors, said=None):  # of a batch: its file is open
    calls.append(0)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGSTOP)
    return real(tensors, said)

safetensors.numpy.save = save
main()
"""
