"""A map as plain numbers, for SQL or any vector store. The file contains the recipe."""

from __future__ import annotations

import json

from modalgap._version import __version__
from modalgap.arguments import checked
from modalgap.close.affine import AffineMap

RECIPE = [
    "v = v / length(v); then for each step of the role, in order:"
    " v = matrix · v (or diagonal * v, or v) + offset; and, where unit is true, v = v / length(v).",
    "Close stored vectors and queries with the role of their own modality; then search by cosine or"
    " inner product.",
]


@checked
def to_json(map_: AffineMap) -> str:
    """All roles as one JSON object: ``{"recipe", "method", "roles": {role: {"dim", "steps"}}}``.

    A step is ``{"matrix": rows or null, "diagonal": list or null, "offset": list or null, "unit":
    bool}``; numbers are float64 and keep full precision.
    """
    roles = {
        role: {
            "dim": map_.dims[role],
            "steps": [
                {
                    "matrix": step.matrix.tolist()
                    if step.matrix is not None and step.matrix.ndim == 2
                    else None,
                    "diagonal": step.matrix.tolist()
                    if step.matrix is not None and step.matrix.ndim == 1
                    else None,
                    "offset": None if step.offset is None else step.offset.tolist(),
                    "unit": step.unit,
                }
                for step in steps
            ],
        }
        for role, steps in map_.roles.items()
    }
    found = {
        "recipe": RECIPE,
        "method": map_.method,
        "fingerprint": map_.fingerprint,
        "modalgap": __version__,
        "roles": roles,
    }
    return json.dumps(found, allow_nan=False)
