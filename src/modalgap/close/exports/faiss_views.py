"""Views of a FAISS index that apply a map to added rows and to queries.

An ``IndexPreTransform`` applies the same transforms to added rows and to queries, but the map
differs between roles. Therefore each role gets its own view of one shared index: add images
through the view "image", and add or search texts through the view "text". Requires faiss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.close.affine import AffineMap
from modalgap.close.step import Step
from modalgap.errors import InputError, NotApplicable
from modalgap.extras import import_extra


@checked
def faiss_views(map_: AffineMap, index: Any) -> dict[str, Any]:
    """One ``IndexPreTransform`` per role over ``index``; requires faiss.

    Rows with norms in 1e-15 … 1e15 are normalised correctly; FAISS squares them in float32. The
    views share the index and keep it alive. Rows added through one view are found through all
    views, but ``ntotal`` of a view counts only its own. ``faiss.write_index`` of a view writes the
    index with the transforms of that role.

    Args:
        map_: the map.
        index: any FAISS index with as many columns as closed rows, trained on closed rows.

    Returns:
        Role to view.

    Raises:
        InputError: the index has a different number of columns, or is not trained.
    """
    faiss = import_extra("faiss", "search", "a view", NotApplicable)
    if not isinstance(index, faiss.Index):
        raise InputError(f"index: must be an index of FAISS; got {type(index).__name__}")

    if not index.is_trained:  # a view does not notice later training
        raise InputError("index: must be trained on closed rows before views are made")
    views = {}
    for role, steps in map_.roles.items():
        if index.d != map_.width(role):
            raise InputError(
                f"index: must have {map_.width(role)} columns, as closed {role}s; found {index.d}"
            )
        columns = map_.dims[role]
        chain = [faiss.NormalizationTransform(columns, 2.0)]
        for step in steps:
            chain += _transforms(faiss, step, columns)
            columns = step.width(columns)
        view: Any = faiss.IndexPreTransform(index)
        for transform in reversed(chain):
            view.prepend_transform(transform)
        view.referenced_objects = [index, *chain]  # faiss holds bare pointers
        views[role] = view
    return views


def _transforms(faiss: Any, step: Step, columns: int) -> list[Any]:
    """The FAISS transforms of one step."""
    after = step.width(columns)
    result: list[Any] = []
    offset = step.offset
    if step.matrix is not None:
        matrix = np.diag(step.matrix) if step.matrix.ndim == 1 else step.matrix
        linear = faiss.LinearTransform(columns, after, offset is not None)
        faiss.copy_array_to_vector(np.ascontiguousarray(matrix, np.float32).ravel(), linear.A)
        if offset is not None:
            faiss.copy_array_to_vector(np.ascontiguousarray(offset, np.float32), linear.b)
        linear.is_trained = True
        result.append(linear)
    elif offset is not None:
        centering = faiss.CenteringTransform(columns)
        faiss.copy_array_to_vector(np.ascontiguousarray(-offset, np.float32), centering.mean)
        centering.is_trained = True
        result.append(centering)
    if step.unit:
        result.append(faiss.NormalizationTransform(after, 2.0))
    return result
