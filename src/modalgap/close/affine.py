"""AffineMap: the result of almost every closer, a chain of x ↦ [normalise](A x + b) per role.

Saving, composing, inverting and exporting are therefore written once for all closers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
import xxhash
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from modalgap.arguments import checked
from modalgap.close import files
from modalgap.close.mapped import MappedRows
from modalgap.close.step import Step, lengths
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.rows import CHUNK, numbers
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.linalg import to_unit

Floats = NDArray[np.float64]
IDENTITY_OF = ("model", "weights_hash", "closed")  # provenance that a map is bound to


Steps = tuple[Step, ...]


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class AffineMap:
    """How each role is moved. Rows enter as unit rows.

    Attributes:
        dims: role to the columns that its rows must have.
        roles: role to its steps, in order; none leaves unit rows as they are.
        method: the closer that was fitted, or several joined by " > ".
        options: its options, defaults included.
        fitted_on: role to facts about the vectors it was fitted on: n, model, weights_hash …
        facts: numbers that fitting computed: lengths, ranks, leakage; plain JSON types.
    """

    dims: Mapping[str, int]
    roles: Mapping[str, Steps]
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fitted_on: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if set(self.dims) != set(self.roles) or not self.roles:
            raise InputError("map: dims and roles must name the same roles, at least one")
        for role in self.roles:
            self.width(role)

    def __repr__(self) -> str:
        sides = ", ".join(f"{role} {self.dims[role]} → {self.width(role)}" for role in self.roles)
        return f"AffineMap({self.method}: {sides})"

    def width(self, role: str) -> int:
        """Columns of the closed rows of a role."""
        columns = self.dims[self._checked_role(role)]
        for step in self.roles[role]:
            columns = step.width(columns)
        return columns

    @cached_property
    def fingerprint(self) -> str:
        """A hash of every number of the map."""
        digest = xxhash.xxh3_128()
        for role in sorted(self.roles):
            digest.update(f"|{role}|{self.dims[role]}".encode())
            for step in self.roles[role]:
                for name, array in (("A", step.matrix), ("b", step.offset)):
                    if array is not None:
                        digest.update(f"|{name}{array.shape}".encode())
                        digest.update(np.ascontiguousarray(array, np.float64).data)
                digest.update(f"|{step.unit}".encode())
        return digest.hexdigest()

    # applying -----------------------------------------------------------------------------------

    def __call__(self, vectors: ArrayLike | Tensor, role: str) -> NDArray[np.float32]:
        """Close rows of one role.

        Args:
            vectors: (n, d), or one vector (d,); need not be unit.
            role: "image", "text", or another role of this map.

        Returns:
            (n, e) float32, or (e,).

        Raises:
            InputError: a wrong width, a row that is zero or not finite.
            NotApplicable: a row that closing maps to zero.
        """
        self._checked_role(role)
        one = getattr(vectors, "ndim", None) == 1 or _flat(vectors)
        if one:
            kind = None if isinstance(vectors, np.ndarray) else np.float64
            try:
                array = (
                    vectors.detach().cpu()
                    if isinstance(vectors, Tensor)
                    else np.asarray(vectors, kind)
                )
            except (ValueError, TypeError, OverflowError) as error:
                raise InputError(f"{role}: must be an array of numbers; got {error}") from None
            vectors = array[None]
        rows = numbers(vectors, role)
        if rows.shape[1] != self.dims[role]:
            raise InputError(
                f"{role}: must have {self.dims[role]} columns, as this map was fitted;"
                f" found {rows.shape[1]}"
            )
        closed = self.move(rows, role)
        found: NDArray[np.float32] = (closed[0] if one else closed).numpy()
        return found

    def image(self, vectors: ArrayLike | Tensor) -> NDArray[np.float32]:
        """Close image rows (n, d); see ``__call__``."""
        return self(vectors, "image")

    def text(self, vectors: ArrayLike | Tensor) -> NDArray[np.float32]:
        """Close text rows (n, d); see ``__call__``."""
        return self(vectors, "text")

    def fuse(
        self, image: ArrayLike | Tensor, text: ArrayLike | Tensor, weight: float = 0.5
    ) -> NDArray[np.float32]:
        """Close documents that hold an image and a text: the closed rows, mixed.

        The sum is normalised instead of either side, so that for ``center`` this is
        norm(w·x + (1−w)·y − (w·μ_x + (1−w)·μ_y)): the means mix as the embeddings do (GR-CLIP).

        Args:
            image: (n, d).
            text: (n, d), row i of the same document.
            weight: of the image, 0 … 1.

        Returns:
            (n, e) float32 unit rows.
        """
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise OptionError(f"weight must be a number from 0 to 1; got {quoted(weight)}")
        sides = []
        for role, vectors in (("image", image), ("text", text)):
            self._checked_role(role)
            rows = numbers(vectors, role)
            if rows.shape[1] != self.dims[role]:
                raise InputError(
                    f"{role}: must have {self.dims[role]} columns; found {rows.shape[1]}"
                )
            sides.append(self.move(rows, role, last_unit=False))
        if sides[0].shape != sides[1].shape:
            raise InputError(
                "image and text: must have one shape after closing, row i of one document;"
                f" found {tuple(sides[0].shape)} and {tuple(sides[1].shape)}"
            )
        mixed = weight * sides[0] + (1 - weight) * sides[1]
        size = lengths(mixed)
        _something_left(size, "the mixed documents", 0)
        return (mixed / size).numpy()

    @overload
    def apply(self, data: Pair, *, force: bool = False) -> Pair: ...
    @overload
    def apply(self, data: Embeddings, *, force: bool = False) -> Embeddings: ...
    def apply(self, data: Pair | Embeddings, *, force: bool = False) -> Pair | Embeddings:
        """Close a pair, or one modality.

        Args:
            data: whose modalities are roles of this map.
            force: apply it even if provenance says that it was fitted on another model.

        Returns:
            The closed ``Pair`` or ``Embeddings``. Rows in files are closed when they are read.

        Raises:
            InputError: another width, another role, or another model.
        """
        if isinstance(data, Pair):
            image, text = (self._close(side, force=force) for side in data.sides)
            return data.over(image, text)
        return self._close(data, force=force)

    def _close(self, side: Embeddings, *, force: bool) -> Embeddings:
        role = self._checked_role(side.modality)
        if side.dim != self.dims[role]:
            raise InputError(
                f"{side.source}: must have {self.dims[role]} columns, as the map was fitted;"
                f" found {side.dim}"
            )
        if not force:
            self._same_model(side)
        rows: Any = MappedRows(side, self)
        if side.rows.in_memory:
            rows = rows.read(0, side.n)
        closed = " > ".join(filter(None, [side.provenance.get("closed"), self._mark]))
        return Embeddings(
            rows,
            side.modality,
            side.names,
            side.factors,
            {**side.provenance, "closed": closed},
            side.source,
        )

    @property
    def _mark(self) -> str:
        return f"{self.method} {self.fingerprint[:12]}"

    def _same_model(self, side: Embeddings) -> None:
        """Refuse vectors whose model or earlier closing differs from those of the fit."""
        fitted = self.fitted_on.get(side.modality, {})
        if not fitted and "closed" not in side.provenance:
            return  # fitted on published means, without a model
        already = side.provenance.get("closed", "")
        if already and not fitted.get("closed"):
            raise InputError(
                f"{side.source}: is closed already, by {_short(already)} (to close it again, use"
                " --force or force=True)"
            )
        for key in IDENTITY_OF:
            ours, theirs = fitted.get(key, ""), side.provenance.get(key, "")
            if ours != theirs and (key == "closed" or (ours and theirs)):
                raise InputError(
                    f"{side.source}: must have the {key} that this map was fitted on,"
                    f" {_short(ours)}; found {_short(theirs)} (to apply it anyway, use"
                    " --force or force=True)"
                )

    def move(self, rows: Tensor, role: str, *, last_unit: bool = True) -> Tensor:
        """Closed rows (n, e), float32, of raw rows (n, d), in chunks that stay in cache."""
        steps = self.ready[self._checked_role(role)]
        out = torch.empty(len(rows), self.width(role))
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            moved, size = to_unit(chunk)
            if not (size.min() > 0 and size.max() < torch.inf):
                row = int(torch.nonzero(~((size > 0) & size.isfinite()))[0])
                found = "only zeros" if size[row] == 0 else "nan or infinity"
                raise InputError(
                    f"{role}: every row must be finite and not zero; row {start + row} holds"
                    f" {found}"
                )
            for number, (matrix, offset, unit) in enumerate(steps):
                if matrix is not None:
                    moved = moved * matrix if matrix.ndim == 1 else moved @ matrix.T
                if offset is not None:
                    moved = moved + offset
                if unit and (last_unit or number < len(steps) - 1):
                    size = lengths(moved)
                    _something_left(size, role, start)
                    moved = moved / size
            out[start : start + CHUNK] = moved
        return out

    @cached_property
    def ready(self) -> dict[str, list[tuple[Tensor | None, Tensor | None, bool]]]:
        """Role to its steps as float32 tensors."""
        return {
            role: [(_tensor(step.matrix), _tensor(step.offset), step.unit) for step in steps]
            for role, steps in self.roles.items()
        }

    # composing ----------------------------------------------------------------------------------

    def then(self, after: AffineMap) -> AffineMap:
        """The composition: this map, then ``after``.

        Raises:
            InputError: ``after`` lacks a role, or takes another width.
        """
        for role in self.roles:
            if role not in after.roles or after.dims[role] != self.width(role):
                raise InputError(
                    f"then: the second map must take {quoted(role)} of {self.width(role)} columns;"
                    f" found {after.dims.get(role, 'no such role')}"
                )
        return AffineMap(
            dims=self.dims,
            roles={role: self._unit_at_end(role) + after.roles[role] for role in self.roles},
            method=f"{self.method} > {after.method}",
            options={"first": self.options, "then": after.options},
            fitted_on=self.fitted_on,
            facts={"first": self.facts, "then": after.facts},
        )

    def _unit_at_end(self, role: str) -> Steps:
        """A map takes unit rows, so the rows are normalised between the two maps if necessary."""
        steps = self.roles[role]
        return steps if not steps or steps[-1].unit else (*steps, Step())

    @property
    def invertible(self) -> bool:
        """Whether the unit rows can be computed from the closed rows, in every role."""
        return all(
            len(steps) <= 1 and all(step.invertible for step in steps)
            for steps in self.roles.values()
        )

    def inverse(self, vectors: ArrayLike | Tensor, role: str) -> NDArray[np.float32]:
        """The unit rows that this map maps to ``vectors``; see ``Step.undo``.

        Args:
            vectors: (n, e) closed rows.
            role: their role.

        Returns:
            (n, d) float32 unit rows.

        Raises:
            NotApplicable: this map maps several rows to one, or has several steps.
            InputError: rows of a wrong width, zero or not finite.
        """
        steps = self.roles[self._checked_role(role)]
        if len(steps) > 1 or not all(step.invertible for step in steps):
            raise NotApplicable(f"{self.method}: this map cannot be inverted for {role}s")
        rows = numbers(vectors, role).double()
        if rows.shape[1] != self.width(role):
            raise InputError(f"{role}: must have {self.width(role)} columns; got {rows.shape[1]}")
        size = lengths(rows)
        if not (size.min() > 0 and size.max() < torch.inf):
            raise InputError(f"{role}: every row must be finite and not zero")
        for step in steps:
            rows = step.undo(rows)
        result: NDArray[np.float32] = (rows / lengths(rows)).float().numpy()
        return result

    # files --------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the map as ``.safetensors``; see ``modalgap.close.load``."""
        facts = {
            "method": self.method,
            "options": dict(self.options),
            "dims": dict(self.dims),
            "fitted_on": {role: dict(known) for role, known in self.fitted_on.items()},
            "facts": dict(self.facts),
        }
        return files.write(path, self.roles, facts, overwrite=overwrite)

    def _checked_role(self, role: str) -> str:
        if not isinstance(role, str) or role not in self.roles:
            raise OptionError.unknown("role of this map", str(role), self.roles)
        return role


@checked
def load(path: str | Path) -> AffineMap:
    """Read a map that ``AffineMap.save`` wrote.

    Raises:
        FileError: the file does not exist, is not a map, or its parts do not fit together.
    """
    return files.read(path, AffineMap)


def _flat(vectors: Any) -> bool:
    return isinstance(vectors, list | tuple) and bool(vectors) and np.ndim(vectors[0]) == 0


def _tensor(array: Floats | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(np.array(array, dtype=np.float32))


def _something_left(size: Tensor, role: str, start: int) -> None:
    """Refuse rows that consist only of rounding errors after closing."""
    if not (size.min() > 1e-6 and size.max() < torch.inf):
        row = int(torch.nonzero(~((size[:, 0] > 1e-6) & size[:, 0].isfinite()))[0])
        raise NotApplicable(
            f"{role}: closing maps row {start + row} to zero (length"
            f" {float(size[row, 0]):.1e}): it equals the mean, or lies in removed directions"
        )


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else f"{value[:57]}...") if value else "none"
