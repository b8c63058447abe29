"""Fold linear maps into the last linear layers of towers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modalgap.encode.closed import AffineStep, folded
from modalgap.errors import NotApplicable
from modalgap.modality import listed
from modalgap.progress import note

Head = tuple[nn.Module, str]
"""A module and its attribute that holds the layer: ``nn.Linear``, or P, (p, d), of f = h P."""


def fold(
    heads: Mapping[str, Head | None], steps: Mapping[str, Sequence[AffineStep]], dim: int, spec: str
) -> int:
    """Change the last layers in place, so that features have the direction of the closed rows.

    Args:
        heads: modality to its last layer; None if it is not linear.
        steps: modality to the steps of its map.
        dim: width of the features.
        spec: the name of the model, for messages.

    Returns:
        The new width.

    Raises:
        NotApplicable: a map has an offset, a tower has no last linear layer, or widths differ.
    """
    matrices = {role: folded(each, spec, role) for role, each in steps.items() if role in heads}
    if not matrices:
        raise NotApplicable(
            f"{spec}: the map must have a role among {', '.join(heads)}; has {', '.join(steps)}"
        )
    if left := [role for role in steps if role not in heads]:
        note(f"{spec}: takes no {listed(left)}; this part of the map is not saved")
    if without := [role for role in heads if role not in steps]:
        note(f"{spec}: the map has no {listed(without)}; the closed model leaves them as they are")
    widths = {dim if (a := matrices.get(role)) is None else len(a) for role in heads}
    if len(widths) > 1:
        raise NotApplicable(
            f"{spec}: all towers must have one width after the map;"
            f" found {', '.join(map(str, sorted(widths)))}"
        )
    for role, matrix in matrices.items():
        head = heads[role]
        if matrix is None:
            continue
        if head is None:
            raise NotApplicable(
                f"{spec}: the {role} tower does not end in a linear layer, so no map folds into"
                " its weights; save the model through st: instead"
            )
        _fold(*head, matrix)
    return widths.pop()


def head_of(owner: Any, *names: str) -> Head | None:
    """The last layer at a path of attributes, such as ``"attnpool", "c_proj"``; None if none."""
    for name in names[:-1]:
        owner = getattr(owner, name, None)
    layer = getattr(owner, names[-1], None)
    if isinstance(layer, nn.Sequential) and len(layer) and isinstance(layer[-1], nn.Linear):
        return layer, [name for name, _ in layer.named_children()][-1]
    return (owner, names[-1]) if isinstance(layer, nn.Linear | nn.Parameter) else None


@torch.no_grad()
def _fold(owner: Any, name: str, matrix: Tensor) -> None:
    layer: Any = getattr(owner, name)
    if isinstance(layer, nn.Parameter):  # f = h P, so A f = h (P Aᵀ)
        setattr(owner, name, _times(layer.T, matrix, transposed=True))
        return
    layer.weight = _times(layer.weight, matrix)
    if layer.bias is not None:
        layer.bias = _times(layer.bias, matrix)
    layer.out_features = len(matrix)


def _times(weights: Tensor, matrix: Tensor, *, transposed: bool = False) -> nn.Parameter:
    """A W, computed in float64, in the dtype of the weights."""
    product = matrix.to(weights.device) @ weights.double()
    product = product.T if transposed else product
    return nn.Parameter(product.to(weights.dtype).contiguous(), requires_grad=False)
