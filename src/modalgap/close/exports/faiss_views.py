"""A map before a FAISS index, so that the index applies it by itself.

An ``IndexPreTransform`` applies one chain to what is added and to queries alike, and roles differ.
So each role gets a view of its own over the one index: images are added through the view "image",
texts are added or searched through the view "text", and all of them lie in the same index.
Needs faiss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.close.affine import AffineMap
from modalgap.close.step import Step
from modalgap.errors import InputError, NotApplicable
from modalgap.extras import library


@checked
def faiss_views(map_: AffineMap, index: Any) -> dict[str, Any]:
    """Role to an ``IndexPreTransform`` over ``index``; needs faiss.

    Rows of lengths within 1e-15 … 1e15 are normalised right: FAISS squares them in float32. The
    views share the index and keep it alive; what is added through one is found through all,
    though each counts (``ntotal``) its own. ``faiss.write_index`` of one view writes the index
    with that role's chain.

    Args:
        map_: the map.
        index: any FAISS index of the width of closed rows; trained, on closed rows.

    Raises:
        InputError: an index of another width, or not trained.
    """
    faiss = library("faiss", "search", "a view", NotApplicable)
    if not isinstance(index, faiss.Index):
        raise InputError(f"index: must be an index of FAISS; got {type(index).__name__}")

    if not index.is_trained:  # a view would not learn of training that comes later
        raise InputError("index: must be trained, on closed rows, before it gets views")
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
    found: list[Any] = []
    offset = step.offset
    if step.matrix is not None:
        matrix = np.diag(step.matrix) if step.matrix.ndim == 1 else step.matrix
        linear = faiss.LinearTransform(columns, after, offset is not None)
        faiss.copy_array_to_vector(np.ascontiguousarray(matrix, np.float32).ravel(), linear.A)
        if offset is not None:
            faiss.copy_array_to_vector(np.ascontiguousarray(offset, np.float32), linear.b)
        linear.is_trained = True
        found.append(linear)
    elif offset is not None:
        centering = faiss.CenteringTransform(columns)
        faiss.copy_array_to_vector(np.ascontiguousarray(-offset, np.float32), centering.mean)
        centering.is_trained = True
        found.append(centering)
    if step.unit:
        found.append(faiss.NormalizationTransform(after, 2.0))
    return found
