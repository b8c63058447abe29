"""One role of a map as a torch module, for example as the last layer of a tower."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modalgap.arguments import checked
from modalgap.close.affine import AffineMap
from modalgap.errors import OptionError


class RoleModule(nn.Module):
    """Rows (…, d) to closed rows (…, e), in the dtype and on the device of the module.

    Matrices and offsets are buffers: ``.to()`` moves them and ``state_dict()`` contains them, but
    they are not trained.
    """

    def __init__(self, steps: list[tuple[Tensor | None, Tensor | None, bool]]) -> None:
        super().__init__()
        self.units = [unit for _, _, unit in steps]
        for number, (matrix, offset, _) in enumerate(steps):
            self.register_buffer(f"matrix_{number}", matrix)
            self.register_buffer(f"offset_{number}", offset)

    def forward(self, rows: Tensor) -> Tensor:
        """Closed rows."""
        # divide by the largest entry first, or squares of very large or small entries leave float32
        rows = rows / rows.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        rows = nn.functional.normalize(rows, dim=-1)
        for number, unit in enumerate(self.units):
            matrix = getattr(self, f"matrix_{number}")
            offset = getattr(self, f"offset_{number}")
            if matrix is not None:
                rows = rows * matrix if matrix.ndim == 1 else rows @ matrix.T
            if offset is not None:
                rows = rows + offset
            if unit:
                rows = nn.functional.normalize(rows, dim=-1)
        return rows


@checked
def to_torch(map_: AffineMap, role: str) -> RoleModule:
    """One role of a map as a module.

    Args:
        map_: the map.
        role: "image", "text", or another role of the map.
    """
    if not isinstance(role, str) or role not in map_.roles:
        raise OptionError.unknown("role of this map", str(role), map_.roles)
    steps = [
        (
            None if matrix is None else matrix.clone(),
            None if offset is None else offset.clone(),
            unit,
        )
        for matrix, offset, unit in map_.ready[role]
    ]
    with torch.no_grad():
        return RoleModule(steps)
