"""Decode any sound file to samples."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.errors import FileError
from modalgap.extras import import_extra

LONGEST = 3600.0  # maximum seconds
MOST = 2**28  # maximum samples of a channel: an hour at 74 kHz
BLOCK = 2**20  # samples of all channels that are decoded at once


_MARKS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")


def is_sound(found: bytes) -> bool:
    """Whether bytes begin as a WAV, AIFF, FLAC, Ogg or MP3 file."""
    if found[:4] in (b"RIFF", b"RIFX", b"FORM"):
        return found[8:12] in (b"WAVE", b"AIFF", b"AIFC")
    return found.startswith(_MARKS)


def decode(found: bytes) -> tuple[NDArray[np.float32], int]:
    """Mono samples (t,) in -1 … 1, and the sampling rate.

    Raises:
        FileError: libsndfile cannot read it, it is empty, or it is longer than an hour or than
            ``MOST`` samples.
        InputError: soundfile is not installed.
    """
    soundfile = import_extra("soundfile", "models", "sound")
    try:
        with soundfile.SoundFile(io.BytesIO(found)) as file:
            if not 0 < file.frames <= LONGEST * file.samplerate:
                raise FileError(
                    f"must last up to {LONGEST:g} seconds; lasts {file.frames / file.samplerate:g}"
                )
            if file.frames > MOST:
                raise FileError(f"must have at most {MOST:,} samples; has {file.frames:,}")
            samples = _mono(file)
            rate = int(file.samplerate)
    except FileError:
        raise
    except Exception as error:  # any error of damaged bytes
        reason = re.sub(r"Error opening <[^>]*>: ", "", " ".join(str(error).split()))
        raise FileError(reason[:160] or "not a sound") from error
    return samples, rate


def _mono(file: Any) -> NDArray[np.float32]:
    """The mean of the channels (t,); the header may declare more samples than there are."""
    step = max(1, BLOCK // file.channels)
    samples, at = np.empty(file.frames, np.float32), 0
    while at < len(samples) and len(block := file.read(step, dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            raise FileError("must hold finite samples")
        mean = block.mean(axis=1)[: len(samples) - at]
        samples[at : at + len(mean)] = mean
        at += len(mean)
    if not at:
        raise FileError("must hold samples; found none")
    return samples[:at]
