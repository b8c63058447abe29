"""Decode any sound file to samples."""

from __future__ import annotations

import io
import re

import numpy as np
from numpy.typing import NDArray

from modalgap.errors import FileError
from modalgap.extras import import_extra

LONGEST = 3600.0  # maximum seconds


_MARKS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")


def is_sound(found: bytes) -> bool:
    """Whether bytes begin as a WAV, AIFF, FLAC, Ogg or MP3 file."""
    if found[:4] in (b"RIFF", b"RIFX", b"FORM"):
        return found[8:12] in (b"WAVE", b"AIFF", b"AIFC")
    return found.startswith(_MARKS)


def decode(found: bytes) -> tuple[NDArray[np.float32], int]:
    """Mono samples (t,) in -1 … 1, and the sampling rate.

    Raises:
        FileError: libsndfile cannot read it, it is empty, or it is longer than an hour.
        InputError: soundfile is not installed.
    """
    soundfile = import_extra("soundfile", "models", "sound")
    try:
        with soundfile.SoundFile(io.BytesIO(found)) as file:
            if not 0 < file.frames <= LONGEST * file.samplerate:
                raise FileError(
                    f"must last up to {LONGEST:g} seconds; lasts {file.frames / file.samplerate:g}"
                )
            samples = file.read(dtype="float32", always_2d=True).mean(axis=1)
            rate = int(file.samplerate)
    except FileError:
        raise
    except Exception as error:  # any error of damaged bytes
        reason = re.sub(r"Error opening <[^>]*>: ", "", " ".join(str(error).split()))
        raise FileError(reason[:160] or "not a sound") from error
    if not np.isfinite(samples).all():
        raise FileError("must hold finite samples")
    return samples, rate
