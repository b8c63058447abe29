"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from invert.cases import pick, side

from modalgap.embeddings import Pair
from modalgap.encode import Encoder
from modalgap.errors import (
    InputError,
    ModalgapError,
    OptionError,
)
from modalgap.invert import (
    METHODS,
    curve,
    invert,
    oti,
    ovi,
)
from modalgap.invert.base import InversionContext
from modalgap.invert.optimise import Descender
from modalgap.search import search


def test_the_curve(pair: Pair, model: Encoder) -> None:
    asked: dict[str, Any] = {"protocol": "self_removed", "factor": "object"}
    table = curve(pair, pair, "oti", model, optimiser="lbfgs", steps=12, **asked)
    assert list(table.rows) == ["native", "0", "1", "2", "5", "10", "12"]
    cosines = [table.rows[row]["cosine"].value for row in list(table.rows)[1:]]
    assert cosines == sorted(cosines)
    assert cosines[-1] > cosines[0]
    assert set(table.rows["native"]) == {"map", "map_at_r", "r_precision", "r1"}
    native = search(pair.image, pair, **asked)
    assert table.rows["native"]["map"].value == native["map"].value
    for step in (0, 2, 12):
        alone = oti(pair, model, optimiser="lbfgs", steps=step)
        row = table.rows[str(step)]
        assert row["cosine"].value == pytest.approx(float(alone.cosines.mean()), abs=1e-4)
        assert row["cosine"].details["least"] == pytest.approx(float(alone.cosines.min()), abs=1e-4)
        found = search(alone.features, pair, **asked)
        assert row["map"].value == pytest.approx(found["map"].value, abs=0.02)
    for name in ("method", "model", "steps", "optimiser", "protocol", "factor", "seed"):
        assert name in table.settings


@pytest.mark.parametrize("optimiser", ["adamw", "lbfgs"])
@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_looks_on_the_way_are_runs_of_so_many_steps(
    method: str, optimiser: str, pair: Pair, model: Encoder
) -> None:
    native = side(pair, method)
    given = InversionContext(
        encoder=model, device=torch.device("cpu"), dim=16, modality=native.modality,
        into="text" if method == "oti" else "image",
    )  # fmt: skip
    made = METHODS[method].prepare(given, {"optimiser": optimiser, "steps": 7})
    assert native.names is not None
    done = made(native.names, native.unit(), lambda _: None, [0, 3, 7])
    for step in (0, 3, 7):
        alone = invert(native, method, model, optimiser=optimiser, steps=step)
        torch.testing.assert_close(done.recorded[step], alone.features.unit(), rtol=0, atol=1e-4)


def test_curves_of_captions_and_chosen_steps(pair: Pair, model: Encoder) -> None:
    of = np.arange(12).repeat(2)
    captions = Pair(pick(pair.image, range(12)), pair.text, of)
    table = curve(captions, captions, "ovi", model, at=[4, 0, 4], steps=4, protocol="first_caption")
    assert list(table.rows) == ["native", "0", "4"]
    table = curve(captions, captions, "ovi", model, steps=0, protocol="first_caption")
    assert list(table.rows) == ["native", "0"]


def test_curves_are_refused(pair: Pair, model: Encoder) -> None:
    asked: dict[str, Any] = {"protocol": "self_removed", "factor": "object", "steps": 5}
    for changes, said in (
        ({"at": [6]}, "at must be an integer of at least 0 and at most 5; got 6"),
        ({"at": [1.5]}, "at must be a list of integers"),
        ({"at": [-1]}, "at must be an integer"),
        ({"foo": 1}, "unknown option of oti"),
        ({"device": "tpu9"}, "device: cannot use"),
        ({"protocol": "selfremoved"}, "did you mean 'self_removed'"),
        ({"factor": "digit"}, "factor 'digit'"),
    ):
        with pytest.raises(ModalgapError, match=said):
            curve(pair, pair, "oti", model, **(asked | changes))
    for method in ("caption_mixture", "otii"):
        with pytest.raises(OptionError, match="method: must be oti or ovi"):
            curve(pair, pair, method, model)
    with pytest.raises(InputError, match="is already inverted"):
        curve(ovi(pair, model, steps=0).features, pair, "oti", model)
    with pytest.raises(InputError, match="ovi takes texts"):
        curve(pair.image, pair, "ovi", model)


@pytest.mark.parametrize("at", [["a", 5], 9, [None, 1], [], {1: 2}])
def test_steps_of_wrong_types(at: Any, pair: Pair, model: Encoder) -> None:
    with pytest.raises(OptionError, match="at"):
        curve(pair, pair, "oti", model, steps=5, at=at, protocol="self_removed", factor="object")


@pytest.mark.parametrize("changes", [{"protocol": "sought"}, {"factor": "sought"}])
def test_what_is_asked_is_checked_before_the_work(
    changes: dict[str, Any], pair: Pair, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: Any) -> Any:
        raise AssertionError("it inverts already")

    monkeypatch.setattr(Descender, "__call__", worked)
    with pytest.raises(ModalgapError, match="sought"):
        curve(pair, pair, "oti", model, **({"protocol": "self_removed"} | changes))
