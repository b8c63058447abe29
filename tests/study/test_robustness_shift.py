"""The study robustness_shift: nearest by distance, exact rankings, plain loops, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.study import robustness_shift
from modalgap.study.chowers2026.queries import Queries, nearest
from modalgap.study.chowers2026.robustness_shift import shifted
from modalgap.trace import points

SETTINGS = {
    "alphas": [0.0, 0.5, 1.0, 2.0],
    "variances": [0.01],
    "explained_variance": 1.0,
    "seed": 0,
}


def class_pair(n: int = 120, classes: int = 6, dim: int = 16) -> mg.Pair:
    """Images around their class prompts, in another cone."""
    random = np.random.default_rng(0)
    prompts = random.standard_normal((classes, dim))
    labels = np.arange(n) % classes
    images = prompts[labels] + 0.4 * random.standard_normal((n, dim))
    return mg.Pair(images + 3 * np.eye(dim)[0], prompts + 3 * np.eye(dim)[1], labels=labels)


def test_nearest_by_hand() -> None:
    random = torch.Generator().manual_seed(0)
    queries = torch.randn(20, 5, generator=random)
    stored = torch.randn(7, 5, generator=random)
    expected = [
        min(range(7), key=lambda j: float(((query - stored[j]) ** 2).sum())) for query in queries
    ]
    assert nearest(queries, stored).tolist() == expected


def test_rankings_stay_and_rob_rises() -> None:
    rows = shifted(class_pair(), SETTINGS)
    clean, noisy = rows["no noise"], rows["σ² = 0.01"]
    assert clean["changed"].value == 0
    assert len(set(points(clean["accuracy"])[1])) == 1
    assert noisy["rob"].value > noisy["rob_open"].value > noisy["rob_open"].interval[0]  # type: ignore[index]
    assert noisy["rob"].value > noisy["rob_beyond"].value
    assert noisy["cosine_rob"].value > noisy["cosine_rob_open"].value


def test_rob_by_hand() -> None:
    pair = class_pair()
    queries = Queries(pair, 0)
    x, y = pair.image.unit().numpy(), pair.text.unit().numpy()
    stays = []
    for noise in queries.noise(0):
        for image in x:
            old = [np.sum((image - text) ** 2) for text in y]
            new = [np.sum((image - text) ** 2) for text in y + 0.1 * noise.numpy()]
            stays.append(np.argmin(old) == np.argmin(new))
    found = shifted(pair, SETTINGS)["σ² = 0.01"]["rob_open"].value
    assert found == pytest.approx(np.mean(stays), abs=0.003)


def test_a_file(tmp_path: Path) -> None:
    path = mg.save(class_pair(), tmp_path / "mine.safetensors")
    table = robustness_shift(tmp_path / "out", pair=str(path), alphas=[0, 1], variances=[0.01])
    assert list(table.rows) == ["mine: no noise", "mine: σ² = 0.01"]
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts)
    assert (tmp_path / "out" / "robustness_shift.png").exists()


def test_more_texts_than_dimensions_need_a_truncated_v(tmp_path: Path) -> None:
    path = str(mg.save(mg.Pair(*two_cones(60, 8)), tmp_path / "mine.safetensors"))
    with pytest.raises(errors.NotApplicable, match="smaller explained_variance"):
        robustness_shift(tmp_path / "out", pair=path)
    table = robustness_shift(tmp_path / "out", pair=path, explained_variance=0.5, alphas=[0, 1])
    assert 0 < table.rows["mine: no noise"]["leakage"].value < 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alphas", [0.0, 0.5]), ("alphas", [0, 1, 1]), ("alphas", [0, 1, 1e9]),
        ("variances", [0.0]), ("variances", [0.1, 0.1]), ("explained_variance", 0.0), ("seed", -1),
    ],
)  # fmt: skip
def test_refusals(name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match=name):
        robustness_shift(tmp_path, **{name: value})
