"""Maps: two coordinates of each row, fixed for all steps, so that movement is visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.evaluate.base import Floats
from modalgap.linalg import principal_axes

Points = dict[str, list[Floats]]  # name of a map to the coordinates (n, 2) of each modality


@dataclass(frozen=True, eq=False)
class Map:
    """A projection to two coordinates: ``(rows - middle) @ axes``.

    Attributes:
        name: in files.
        title: for people.
        labels: of both axes.
        middle: (d,) the row that is shown at (0, 0).
        axes: (d, 2).
    """

    name: str
    title: str
    labels: tuple[str, str]
    middle: Tensor
    axes: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Coordinates (n, 2) of rows (n, d), float64."""
        return (rows.double() - self.middle) @ self.axes


def points(maps: Sequence[Map], sides: Sequence[Tensor]) -> Points:
    """The coordinates of rows (n, d) of each modality on each map."""
    return {each.name: [each(side).numpy() for side in sides] for each in maps}


def maps(sides: Sequence[Tensor]) -> list[Map]:
    """The maps that exist for these modalities.

    Args:
        sides: unit rows (n, d) of each modality, before the gap is closed.

    Returns:
        For two modalities, the gap vector and the first principal component orthogonal to it; for
        all data, the first two principal components of all rows; for two modalities, the two
        dimensions in which the means differ most.
    """
    rows = torch.cat([side.double() for side in sides])
    means = [side.double().mean(0) for side in sides]
    middle = torch.stack(means).mean(0)
    found = []
    gap = means[1] - means[0] if len(means) == 2 else None
    if gap is not None and float(gap.norm()) > 1e-9 and rows.shape[1] > 1:
        along = functional.normalize(gap, dim=0)
        across = rows - rows.mean(0)
        across = across - (across @ along)[:, None] * along
        found.append(
            Map(
                "gap",
                "Along and across the gap",
                ("along the gap vector", "first component across the gap"),
                middle,
                torch.stack([along, principal_axes(across, 1)[0][:, 0]], 1),
            )
        )
    if rows.shape[1] > 1:
        centre = rows.mean(0)
        axes, part = principal_axes(rows - centre, 2)
        if gap is not None and float(gap @ axes[:, 0]) < 0:
            axes[:, 0] *= -1  # the first modality on the left
        labels = (f"first component ({part[0]:.0%} of the variance)", f"second ({part[1]:.0%})")
        found.append(Map("pca", "Principal components", labels, centre, axes))
    if gap is not None and rows.shape[1] > 1:
        two = gap.abs().topk(2).indices.tolist()
        axes = torch.zeros(rows.shape[1], 2, dtype=torch.float64)
        axes[two, [0, 1]] = 1
        labels = (f"dimension {two[0]}", f"dimension {two[1]}")
        zero = torch.zeros(rows.shape[1], dtype=torch.float64)
        found.append(Map("dims", "Two dimensions with largest gap", labels, zero, axes))
    if not found:  # rows of one column
        axes = torch.ones(1, 2, dtype=torch.float64)
        axes[0, 1] = 0
        found.append(Map("dims", "The only dimension", ("dimension 0", ""), rows.mean(0) * 0, axes))
    return found
