"""Random encoders: clusters by seed, against scikit-learn, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from modalgap import errors
from modalgap.simulate import random_encoders
from modalgap.simulate.random_encoders import probe, silhouette
from modalgap.trace import points


def _clusters(apart: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 1, 6, generator=random, dtype=torch.float64)
    return apart * centres + torch.randn(4, 30, 6, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_silhouette_is_that_of_scikit_learn(apart: float) -> None:
    rows = _clusters(apart)
    expected = silhouette_score(rows.flatten(0, 1).numpy(), np.repeat(np.arange(4), 30))
    assert silhouette(rows) == pytest.approx(expected, abs=1e-9)


def test_the_probe_is_at_chance_without_clusters() -> None:
    assert probe(_clusters(0.0)) == pytest.approx(0.25, abs=0.17)
    assert probe(_clusters(5.0)) > 0.95


@pytest.mark.parametrize("inputs", ["real", "noise"])
def test_each_seed_has_a_cluster(inputs: str) -> None:
    table = random_encoders(40, inputs=inputs, seeds=4)
    row = table.rows["all seeds"]
    assert row["probe"].value > 0.95
    assert row["silhouette"].value > 0.2
    assert row["within"].value > row["between"].value + 0.2
    assert row["step_at"].value == 3
    assert len(points(row["spectrum"])[0]) == 8
    assert len(points(table.rows["seed 2"]["place"])[0]) == 40
    assert list(table.rows) == ["seed 0", "seed 1", "seed 2", "seed 3", "all seeds"]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["clip_text", "resnet"])
def test_towers_of_open_clip(encoder: str) -> None:
    pytest.importorskip("open_clip")
    row = random_encoders(8, encoder=encoder, inputs="noise", seeds=2).rows["all seeds"]
    assert row["probe"].value == 1
    assert row["within"].value > row["between"].value


def test_same_seed_same_numbers() -> None:
    one, two, other = (random_encoders(10, seeds=2, seed=seed).rows for seed in (3, 3, 5))
    assert one == two
    assert one["all seeds"] != other["all seeds"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 3),
        ("n", 1798),
        ("seeds", 1),
        ("seed", -1),
        ("encoder", "vgg"),
        ("inputs", "images"),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        random_encoders(**{name: value})  # type: ignore[arg-type]
