"""Payload: scenes and frames as JSON for the script of the page.

Coordinates are integers in units of ``UNIT``, and cosines in units of ``COSINE``: the page shows
three digits of a cosine. Key numbers are not rounded.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings import Embeddings
from modalgap.explore.density import Density, shades
from modalgap.explore.frames import Frame, Near
from modalgap.explore.maps import Map
from modalgap.explore.plots import BINS
from modalgap.explore.scene import Scene
from modalgap.explore.steps import Choice, Step
from modalgap.explore.thumbnails import Sheet
from modalgap.modality import plural

UNIT = 5e-4  # of coordinates: less than a pixel
COSINE = 1e-3  # of cosines
LINES = 120  # matches that are joined by a line
VALUES = 200  # a factor with more different values is not offered as a colour


def scene_dict(
    scene: Scene,
    maps: Sequence[Map],
    offered: Sequence[Choice],
    steps: Sequence[Step],
    sheets: Sequence[Sheet | None],
    limits: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Everything that stays the same at all steps.

    Args:
        scene: what is shown.
        maps: the projections.
        offered: the closers.
        steps: the steps that the page holds; empty if a server computes them.
        sheets: thumbnails of each modality.
        limits: name of a map to (left, right, bottom, top).
    """
    sides = zip(scene.sides, scene.totals, scene.rows, sheets, strict=True)
    return {
        "name": scene.name,
        "sides": [_side(side, total, rows, sheet) for side, total, rows, sheet in sides],
        "matches": {
            f"{a},{b}": {"starts": found.starts.tolist(), "items": found.items.tolist()}
            for (a, b), found in scene.matches.items()
        },
        "lines": _lines(scene),
        "maps": [
            {
                "name": each.name,
                "title": each.title,
                "labels": each.labels,
                "limits": list(limits[each.name]),
            }
            for each in maps
        ],
        "choices": [asdict(each) for each in offered],
        "steps": [{"closer": each.closer, "strength": each.strength} for each in steps],
        "unit": UNIT,
        "cosine": COSINE,
        "complete": scene.complete,
    }


def frame_dict(frame: Frame, density: Density | None = None) -> dict[str, Any]:
    """Everything that changes with the step.

    Args:
        frame: its numbers.
        density: counts of all rows, if not all are shown.
    """
    cosines = frame.cosines
    return {
        "closer": frame.step.closer,
        "strength": frame.step.strength,
        "call": frame.step.call,
        "points": {
            name: [_integers(side.T, UNIT) for side in sides]
            for name, sides in frame.points.items()
        },
        "bins": BINS,
        "density": None
        if density is None
        else {name: [shades(side) for side in sides] for name, sides in density.items()},
        "keys": [asdict(each) for each in frame.keys],
        "cosines": None
        if cosines is None
        else {
            "edges": [round(float(each), 4) for each in cosines.edges],
            "kinds": {
                kind: [round(float(each), 5) for each in values]
                for kind, values in cosines.shares.items()
            },
            "means": cosines.means,
        },
        "near": {f"{a},{b}": _near(found) for (a, b), found in frame.near.items()},
        "ranks": {f"{a},{b}": found.tolist() for (a, b), found in frame.ranks.items()},
        "matched": {
            f"{a},{b}": [None if math.isnan(each) else round(each / COSINE) for each in found]
            for (a, b), found in frame.matched.items()
        },
        "mixed": [found.tolist() for found in frame.mixed],
        "typical": [np.rint(found / COSINE).astype(int).tolist() for found in frame.typical],
        "hubs": [found.tolist() for found in frame.hubs],
    }


def packed(found: Mapping[str, Any]) -> str:
    """JSON as text for a page: compressed, in base64; the same for the same numbers."""
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _side(
    side: Embeddings, total: int, rows: NDArray[np.int64], sheet: Sheet | None
) -> dict[str, Any]:
    return {
        "modality": side.modality,
        "plural": plural(side.modality),
        "n": side.n,
        "total": total,
        "names": None if side.names is None else list(side.names),
        "rows": None if side.n == total else rows.tolist(),
        "factors": dict(_factors(side)),
        "sheet": None if sheet is None else asdict(sheet),
    }


def _factors(side: Embeddings) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, values in side.factors.items():
        known, codes = np.unique(values, return_inverse=True)
        if 1 < len(known) <= VALUES:
            kinds = [str(each) for each in known]
            found.append((name, {"values": kinds, "codes": codes.reshape(-1).tolist()}))
    return found


def _lines(scene: Scene) -> list[list[int]]:
    """(k, 4) ends of some matches: modality, row, modality, row."""
    found: list[list[int]] = []
    for (a, b), relevant in scene.matches.items():
        if a > b:
            continue
        queries = relevant.queries
        chosen = np.linspace(0, len(queries) - 1, min(LINES, len(queries))).astype(int)
        found += [[a, int(queries[i]), b, int(relevant.items[i])] for i in np.unique(chosen)]
    return found


def _near(found: Near) -> dict[str, Any]:
    """Rows, and cosines as the first and then the decreases, which compress well."""
    whole = np.rint(found.cosines / COSINE).astype(int)
    falls = np.concatenate([whole[:, :1], -np.diff(whole, axis=1)], 1)
    return {"items": found.items.T.tolist(), "falls": falls.T.tolist()}


def _integers(values: NDArray[np.float64], unit: float) -> list[list[int]]:
    found: list[list[int]] = np.rint(values / unit).astype(int).tolist()
    return found
