"""MOAD: does similarity within a modality depend on the object or on attributes?

Equation: (intra_obj − cross_obj) − (intra_attr − cross_attr), mean cosines over distinct pairs
with equal (intra) or different (cross) object or attribute value. The attribute part is averaged
over the attributes. Above 0: object bias; below 0: attribute bias.
Source: Schrodi et al. 2025, section 5 (matching object attribute distance).
Relations: all four means have closed forms in class-wise sums.
Fails when: object and attribute are not independent in the data. The authors' code uses only the
upper triangle of each rectangular cross block; this measure uses all cross pairs.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.checks import needs
from modalgap.embeddings.moments import GROUPS, Floats, class_sums
from modalgap.errors import OptionError, quoted
from modalgap.measure.base import Measure, Side
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

MOST_CELLS = 2**23  # float64 numbers in the class-wise sums of all jackknife groups: 64 MB

CARD = Card(
    name="moad",
    group="Do both modalities agree?",
    traits=("size",),
    reads="means",
    roles=("modality",),
    title="Object bias (MOAD)",
    question="Does similarity depend on the object more than on attributes?",
    idea=(
        "How much more similar items of one object are than items of one attribute value; above"
        " 0 is an object bias."
    ),
    equation=(
        r"(\bar s_{\text{obj}} - \bar s_{\neg\text{obj}}) - (\bar s_{\text{attr}} - \bar "
        r"s_{\neg\text{attr}})"
    ),
    source="Schrodi et al. 2025, section 5",
    direction="neither",
    low=-4.0,
    high=4.0,
    needs=("factors",),
    interval="jackknife over groups of rows",
)


def _moad(side: Side, *, object_factor: str = "object") -> Value:
    """``object_factor``: the factor that names the object; all other factors are attributes."""
    if not isinstance(object_factor, str):
        raise OptionError(
            f"object_factor must be the name of a factor; got {quoted(object_factor)}"
        )
    factors = side.embeddings.factors
    needs(bool(factors), "it needs factors of each row: an object and at least one attribute")
    needs(
        object_factor in factors,
        f"it needs the factor {quoted(object_factor)}; there are {', '.join(sorted(factors))}",
    )
    attributes = sorted(set(factors) - {object_factor})
    needs(bool(attributes), f"it needs at least one attribute besides {quoted(object_factor)}")
    widest = max(side.embeddings.factor(name)[1] for name in factors)
    groups = min(GROUPS, side.n, max(1, MOST_CELLS // (widest * side.dim)))
    parts = {name: _contrast(side, name, groups) for name in (object_factor, *attributes)}
    values = parts[object_factor] - np.mean([parts[name] for name in attributes], axis=0)
    return Value(
        float(values[0]),
        jackknife(values, CARD.low, CARD.high),
        details={name: float(part[0]) for name, part in parts.items()},
    )


def _contrast(side: Side, name: str, groups: int) -> Floats:
    """(1 + groups,) intra − cross mean cosine of one factor, on all rows and without each group."""
    codes, classes = side.embeddings.factor(name)
    needs(
        1 < classes < side.n,
        f"factor {quoted(name)} must have at least two values, some of them repeated",
    )
    counts, sums = class_sums(side.embeddings, codes, classes, groups)
    count = np.concatenate([counts.sum(0)[None], counts.sum(0) - counts])  # (B, classes)
    squares = np.empty_like(count)  # ‖Σu‖² of each class
    whole = np.empty(len(count))  # ‖Σu‖² of all rows
    total = sums.sum(0)
    for b in range(len(count)):
        left = total if b == 0 else total - sums[b - 1]
        squares[b] = (left**2).sum(1)
        whole[b] = (left.sum(0) ** 2).sum()
    n = count.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        intra = (squares.sum(1) - n) / ((count**2).sum(1) - n)
        cross: Floats = (whole - squares.sum(1)) / (n**2 - (count**2).sum(1))
    return np.asarray(intra - cross)


moad = Measure(CARD, _moad)
