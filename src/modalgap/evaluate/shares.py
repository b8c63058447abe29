"""Which modality fills the first results: the fraction of the first k by form of the document.

A number for relevance alone can be high although the results are all of one modality, so mixed
search reports these fractions too. Documents that tie for the last place count in equal parts.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.evaluate.ranks import TIE

Floats = NDArray[np.float64]
GROUP = 32  # columns


def form_shares(scores: Tensor, forms: Tensor, count: int, k: int) -> Floats:
    """(b, count) fraction of the first k documents that are of each form.

    Args:
        scores: (b, m) scores of documents; −inf leaves a document out.
        forms: (m,) form of each document, 0 … count − 1.
        count: number of forms.
        k: number of first documents; all that are left if there are fewer.
    """
    ahead = min(k + 1, scores.shape[1])
    values, columns = largest(scores, ahead)
    there = (values[:, :k] > -torch.inf).sum(1)  # documents that fill the first k
    found = np.zeros((len(scores), count))
    kinds = forms[columns[:, :k]].numpy()
    taken = (values[:, :k] > -torch.inf).numpy()
    for form in range(count):
        found[:, form] = ((kinds == form) & taken).sum(1)
    if ahead > k:  # the last place may be shared
        tied = torch.nonzero(values[:, k - 1] - values[:, k] <= TIE)[:, 0]
        for row in tied.tolist():
            last = values[row, k - 1]
            if last > -torch.inf:
                found[row] = _tied(scores[row], forms, count, k, float(last))
    fractions: Floats = found / np.maximum(there.numpy(), 1)[:, None]
    return fractions


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of each row (b, m), descending, and their columns; as ``topk``.

    The largest values lie in the groups of columns with the largest maxima, so a long row is read
    once for these, and only ``count`` groups are sorted. It takes half the time of ``topk``.
    """
    whole = scores.shape[1] // GROUP * GROUP
    if whole < 8 * GROUP * count:
        found = scores.topk(count, dim=1)
        return found.values, found.indices
    tops = scores[:, :whole].view(len(scores), -1, GROUP).amax(2)
    groups = tops.topk(count, dim=1).indices
    columns = (groups[:, :, None] * GROUP + torch.arange(GROUP)).flatten(1)
    rest = torch.arange(whole, scores.shape[1]).expand(len(scores), -1)
    columns = torch.cat([columns, rest], 1)
    values, order = scores.gather(1, columns).topk(count, dim=1)
    return values, columns.gather(1, order)


def _tied(scores: Tensor, forms: Tensor, count: int, k: int, last: float) -> Floats:
    """(count,) documents among the first k, those that tie for the last place in equal parts."""
    above = forms[scores > last + TIE]
    level = forms[(scores - last).abs() <= TIE]
    sure = torch.bincount(above, minlength=count).double()
    rest = torch.bincount(level, minlength=count).double()
    found: Floats = (sure + rest * (k - len(above)) / len(level)).numpy()
    return found
