"""The recipes for Spark and Slurm: what can be tested without them."""

from __future__ import annotations

import runpy
import subprocess
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import modalgap as mg
from modalgap.embeddings import PairMoments, pair_moments
from modalgap.embeddings.streaming import SPAN
from modalgap.work import spans_of

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "cluster"


@pytest.mark.parametrize("each", [1, 2])
def test_the_tasks_of_spark_give_the_same_bits(each: int, tmp_path: Path) -> None:
    """Spark calls the function with an iterator of batches, in any order, in any process."""
    recipe = runpy.run_path(str(FOLDER / "spark_moments.py"))
    n = SPAN + 500
    rows = torch.randn((1 + each) * n, 3, generator=torch.Generator().manual_seed(0)).half()
    matches = None if each == 1 else np.arange(2 * n) // 2
    pair = mg.Pair(rows[:n], rows[n:], text_to_image=matches)
    path = str(mg.save(pair, tmp_path / "a.safetensors"))
    spans = spans_of(n, SPAN)
    batches = [pa.RecordBatch.from_pydict({"start": [a], "stop": [b]}) for a, b in spans[::-1]]
    found = [row for batch in recipe["sums_of"](path)(iter(batches)) for row in batch.to_pylist()]
    parts = [recipe["from_bytes"](row["sums"]) for row in sorted(found, key=lambda r: r["start"])]
    total, expected = reduce(PairMoments.merge, parts), pair_moments(pair, scatter=True)
    for one, two in ((total.image, expected.image), (total.text, expected.text)):
        np.testing.assert_array_equal(one.sums, two.sums)
        np.testing.assert_array_equal(one.scatter, two.scatter)
    np.testing.assert_array_equal(total.matches.distance, expected.matches.distance)


@pytest.mark.parametrize("name", ["slurm_ray.sh", "slurm_train.sh"])
def test_the_scripts_of_slurm_parse(name: str) -> None:
    subprocess.run(["bash", "-n", FOLDER / name], check=True)
    text = (FOLDER / name).read_text()
    assert "set -euo pipefail" in text
    assert "#SBATCH --nodes=" in text
