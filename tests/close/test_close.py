"""Every closer against an independent implementation, and the guarantee that ``project`` rests on.

The references take unit rows in float64 and follow the equations of SCIENCE.md, section 3, by
scikit-learn, scipy, POT or plain numpy; none of them calls modalgap.
"""

from __future__ import annotations

import numpy as np
import pytest
from close.closer_cases import (
    EVERY,
    FULL,
    REFERENCES,
    Options,
    case_of,
    closed,
    cosines,
)
from reference.cases import unit

from modalgap.close import CLOSERS, fit

ELSEWHERE = {"isoclip": "takes weights", "noise": "is random"}
FREE_BASIS = {name for name, closer in CLOSERS.items() if "free sign" in closer.card.traits}
COMPARED: list[tuple[str, Options, tuple[str, ...]]] = [
    ("none", {}, EVERY),
    ("center", {}, (*EVERY, "sorted")),
    ("erase_gap", {}, (*EVERY, "sorted")),
    ("shift", {}, EVERY),
    ("shift", {"side": "image", "alpha": 0.3}, EVERY),
    ("shift", {"side": "text", "alpha": -1.5}, EVERY),
    ("shift", {"length": 0.8}, EVERY),
    ("shift", {"side": "text", "length": -0.4, "alpha": 9.0}, EVERY),
    ("project", {}, EVERY),
    ("project", {"retrieved": "text", "alpha": 0.7}, EVERY),
    ("project", {"retrieved": "text", "explained_variance": 0.3, "alpha": 2}, EVERY),
    ("project", {"explained_variance": 1.0}, ("few", "coco pairs")),
    ("standardize", {}, (*EVERY, "sorted")),
    ("standardize", {"to": "image"}, EVERY),
    ("standardize", {"to": "text"}, EVERY),
    ("realign", {}, (*EVERY, "sorted")),
    ("whiten", {}, (*EVERY, "sorted")),
    ("whiten", {"shrinkage": 0.25}, EVERY),
    ("whiten", {"shrinkage": 0}, ("pairs", "uneven captions")),
    ("whiten", {"shrinkage": 1}, ("pairs", "few")),
    ("drop_dims", {}, EVERY),
    ("drop_dims", {"k": 9}, EVERY),
    ("pca_text", {"k": 5}, EVERY),
    ("pca_text", {}, ("pairs", "uneven captions", "coco pairs")),
    ("pca_text", {"k": 24}, ("pairs", "uneven captions")),
    ("shared_subspace", {}, (*EVERY, "five captions", "sorted")),
    ("shared_subspace", {"k": 4}, EVERY),
    ("procrustes", {}, FULL),
    ("ridge", {}, (*EVERY, "five captions", "sorted")),
    ("ridge", {"penalty": 0.01}, (*FULL, "class prompts")),
    ("cca", {}, FULL),
    ("cca", {"dims": 4, "power": 0.5, "shrinkage": 0.1}, FULL),
    ("cca", {"dims": 24, "power": 0, "shrinkage": 0}, ("pairs",)),
    ("transport", {"reg": 0}, ("positive", "few")),
    ("transport", {}, ("few",)),
    ("transport", {"reg": 5.0, "iterations": 3}, ("positive",)),
    ("spectral", {"k": 3}, ("positive", "positive captions")),
    ("spectral", {}, ("positive", "positive captions")),
]


def test_every_closer_has_a_reference() -> None:
    assert set(REFERENCES) | set(ELSEWHERE) == set(CLOSERS)
    assert {method for method, _, _ in COMPARED} == set(REFERENCES)
    for method, reference in REFERENCES.items():  # and every option of it is compared
        given = {name for each, options, _ in COMPARED if each == method for name in options}
        assert given | {"seed"} >= set(CLOSERS[method].options), reference


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        (method, options, name)
        for method, options, names in COMPARED
        for name in dict.fromkeys(names)
    ],
    ids=str,
)
def test_against_direct_evaluation(method: str, options: Options, name: str) -> None:
    found, expected = closed(name, method, options), REFERENCES[method](case_of(name), **options)
    if method in FREE_BASIS:
        np.testing.assert_allclose(cosines(found), cosines(expected), atol=1e-5)
        return
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_isoclip() -> None:
    random = np.random.default_rng(0)
    on_image, on_text = random.normal(size=(16, 20)), random.normal(size=(16, 13))
    map_ = fit({"image": on_image, "text": on_text}, "isoclip", top=3, bottom=2)
    U, _, Vt = np.linalg.svd(on_image.T @ on_text, full_matrices=False)
    assert map_.facts == {"rank": 13, "kept": 8}
    for role, weights, kept in (("image", on_image, U[:, 3:11]), ("text", on_text, Vt[3:11].T)):
        z = random.normal(size=(30, weights.shape[1]))  # before projection, as the paper has it
        expected = unit(z @ kept @ kept.T @ weights.T)
        np.testing.assert_allclose(map_(z @ weights.T, role), expected, atol=1e-5)
    whole = fit({"image": on_image, "text": on_text}, "isoclip", top=0, bottom=0)
    z = random.normal(size=(30, 13))
    np.testing.assert_allclose(whole.text(z @ on_text.T), unit(z @ on_text.T), atol=1e-5)
