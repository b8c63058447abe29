"""Moments of two .npy files, in a process of its own: prints seconds and peak resident bytes."""

from __future__ import annotations

import sys
import time

import numpy as np

import modalgap as mg
from bench.cases import FIRST
from bench.clock import resident_peak

if __name__ == "__main__":
    wanted = [name for name in FIRST if name != "moad_image"]
    few = np.eye(3, dtype=np.float32)
    mg.measure(mg.Pair(mg.Embeddings(few), mg.Embeddings(few + 1, "text")), only=wanted)  # warm
    start = time.perf_counter()
    mg.measure(mg.load(image=sys.argv[1], text=sys.argv[2]), only=wanted)
    print(time.perf_counter() - start, resident_peak())
