"""The verb: one interactive page on which the gap can be seen, moved, and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalgap import checks
from modalgap.data.media import Media
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable
from modalgap.explore.density import Density, densities
from modalgap.explore.frames import Frame, frame
from modalgap.explore.maps import Map, Points, maps
from modalgap.explore.page import render
from modalgap.explore.payload import frame_dict, packed, scene_dict
from modalgap.explore.scene import Scene
from modalgap.explore.steps import offered, steps
from modalgap.explore.thumbnails import Sheet, sheet
from modalgap.extras import require
from modalgap.modality import listed, plural
from modalgap.progress import progress
from modalgap.report.page import check_page, write_page
from modalgap.result import versions

POINTS = 2000  # rows of each modality that are shown
FEWER = 1000  # of large data, whose density is drawn behind the marks
MUCH = 4  # times the shown rows: the density of all rows is drawn behind the marks
MARGIN = 0.06  # around the map
WIDER = 0.35  # around the map of a server, whose strengths are not known before


@dataclass(frozen=True, eq=False)
class View:
    """A scene with its maps and its thumbnails.

    Attributes:
        scene: what is shown.
        maps: the projections.
        sheets: thumbnails of each modality.
    """

    scene: Scene
    maps: Sequence[Map]
    sheets: Sequence[Sheet | None]


@takes_pair
def explore(
    data: Pair | Embeddings | Modalities,
    /,
    path: str | Path = "explore.html",
    *,
    media: Mapping[str, Media] | Media | None = None,
    points: int | None = None,
    title: str | None = None,
    overwrite: bool = False,
    seed: int = 0,
) -> Path:
    """Write one interactive page of the modality gap, as an HTML file that needs no other file.

    Args:
        data: a pair; one modality; or three or more: the page then shows all, and each two. Two
            arrays are a pair: ``modalgap.explore(x, y, "explore.html")``.
        path: the HTML file.
        media: pictures of the first modality, or name of a modality to its pictures. Items are
            matched by name; without names, by row.
        points: largest number of rows of a modality that the page shows. Of larger data a sample is
            drawn, and all numbers are of this sample. By default 2,000, or 1,000 if a modality has
            more than 8,000 rows.
        title: heading of the page.
        overwrite: replace an existing file.
        seed: of the sample and of the intervals.

    Returns:
        The path written.

    Raises:
        OutputError: the file exists, does not end in .html, or cannot be written.
        OptionError: ``points`` is below 2.
        InputError: bokeh is not installed.
    """
    target = check_page(path, overwrite=overwrite)  # before work that takes long
    found, remarks = views(data, media, points, seed)
    blocks: dict[str, str] = {}
    with progress("steps", sum(len(steps(view.scene)) for view in found)) as advance:
        for number, view in enumerate(found):
            frames, refused = _frames(view, seed, advance)
            remarks += refused
            for name, block in _blocks(view, frames):
                blocks[name.format(number)] = packed(block)
    text = page_of(found, list(dict.fromkeys(remarks)), title, seed, blocks)
    return write_page(text, target, overwrite=overwrite)


def _frames(view: View, seed: int, advance: Callable[[int], None]) -> tuple[list[Frame], list[str]]:
    """The frames of the steps that apply, and remarks on the others."""
    frames = []
    refused: dict[tuple[str, str], list[str]] = {}
    for step in steps(view.scene):
        try:
            frames.append(frame(view.scene, view.maps, step, seed))
        except NotApplicable as reason:
            strength = "" if step.strength is None else f"{step.strength:g}"
            refused.setdefault((step.closer, str(reason)), []).append(strength)
        advance(1)
    return frames, [
        f"{closer} {', '.join(strengths)}".strip() + f" is not offered: {reason}"
        for (closer, reason), strengths in refused.items()
    ]


def _blocks(view: View, frames: Sequence[Frame]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scene and the frames of a view, with the pattern of their ids."""
    made = [each.step for each in frames]
    limits = limits_of([each.points for each in frames], MARGIN)
    counts: Sequence[Density | None] = [None] * len(frames)
    if sum(view.scene.totals) > MUCH * sum(side.n for side in view.scene.sides):
        counts = densities(view.scene, view.maps, made, limits)
    yield (
        "scene-{}",
        scene_dict(view.scene, view.maps, offered(view.scene, made), made, view.sheets, limits),
    )
    for place, (each, density) in enumerate(zip(frames, counts, strict=True)):
        yield f"frame-{{}}-{place}", frame_dict(each, density)


def views(
    data: Pair | Embeddings | Modalities,
    media: Mapping[str, Media] | Media | None,
    points: int | None,
    seed: int,
) -> tuple[list[View], list[str]]:
    """The views of a page, and remarks on what is left out."""
    require("explore", "explore", "bokeh", "tornado")  # before work that takes long
    if points is None:
        points = FEWER if max(side.n for side in data.sides) > MUCH * POINTS else POINTS
    checks.whole("points", points, 2)
    checks.whole("seed", seed, 0)
    scenes = scenes_of(data, points, seed)
    remarks: list[str] = []
    found = []
    for scene in scenes:
        sheets: list[Sheet | None] = []
        for place, (side, rows) in enumerate(zip(scene.sides, scene.rows, strict=True)):
            own = media.get(side.modality) if isinstance(media, Mapping) else media
            if own is None or (place and not isinstance(media, Mapping)):
                sheets.append(None)
                continue
            made, said = sheet(side, rows, own)
            sheets.append(made)
            remarks += [f"thumbnails: {said}"] if said else []
        found.append(View(scene, maps([each.unit() for each in scene.sides]), sheets))
    return found, remarks


def scenes_of(data: Pair | Embeddings | Modalities, points: int, seed: int) -> list[Scene]:
    """The views: of three or more modalities, all of them and each two."""
    if not isinstance(data, Modalities) or len(data) == 2:
        if isinstance(data, Modalities):
            data = data.pair(*data)
        return [Scene.of(data, points, seed)]
    every: list[Pair | Modalities] = [data, *(pair for _, pair in data.pairs())]
    fewer = max(2, 2 * points // len(every))  # the page holds them all
    return [Scene.of(each, fewer, seed) for each in every]


def limits_of(points: Sequence[Points], margin: float) -> dict[str, list[float]]:
    """Name of a map to (left, right, bottom, top), wide enough for all points of all steps."""
    found = {}
    for name in points[0]:
        every = np.concatenate([side for each in points for side in each[name]])
        low, high = every.min(0), every.max(0)
        around = np.maximum(high - low, 1e-3) * margin
        (left, bottom), (right, top) = low - around, high + around
        found[name] = [round(float(edge), 5) for edge in (left, right, bottom, top)]
    return found


def page_of(
    found: Sequence[View],
    remarks: Sequence[str],
    title: str | None,
    seed: int,
    blocks: Mapping[str, str] | None,
    *,
    query: bool = False,
) -> str:
    """The page of some views."""
    scenes = [view.scene for view in found]
    first = scenes[0]
    two = any(len(scene.sides) == 2 for scene in scenes)
    verbs = ["measure", "evaluate", "search"] if two else ["measure"]
    return render(
        title=title or "The modality gap",
        subtitle=_subtitle(first),
        intro=_intro(first),
        scenes=[scene.name for scene in scenes],
        modalities=max(len(scene.sides) for scene in scenes),
        kinds=4 if two else 1 if len(first.sides) == 1 else 0,
        example=_example(first),
        sample="" if all(scene.complete for scene in scenes) else ", not of all rows",
        verbs=listed(verbs),
        facts=list(_facts(first)),
        seed=seed,
        remarks=list(remarks),
        blocks=blocks,
        query=query,
    )


def _subtitle(scene: Scene) -> str:
    shown = listed(
        [
            f"{side.n:,} {plural(side.modality)}"
            if side.n == total
            else f"{side.n:,} of {total:,} {plural(side.modality)}"
            for side, total in zip(scene.sides, scene.totals, strict=True)
        ]
    )
    return f"{shown} in {scene.sides[0].dim} dimensions"


def _intro(scene: Scene) -> str:
    kinds = [plural(side.modality) for side in scene.sides]
    if len(kinds) == 1:
        return (
            f"Each mark on the map is one of the {kinds[0]}. Marks that are near each other have"
            " similar embeddings. Click a mark to see its nearest items."
        )
    act = "Move the slider" if len(kinds) == 2 else "Choose a closer"
    return (
        f"Each mark on the map is one of the {listed(kinds).replace(' and ', ' or ')}; lines join"
        f" matches. Where {listed(kinds)} form separate clouds, there is a modality gap."
        f" {act} to close it, and watch the numbers change: a smaller gap is not always a better"
        " search."
    )


def _example(scene: Scene) -> str:
    """A short name of an item to search for; "" if there is none."""
    short = [name for name in (scene.sides[-1].names or ())[:100] if len(name) <= 40]
    return min(short, key=len, default="")


def _facts(scene: Scene) -> Iterator[tuple[str, str]]:
    for side in scene.sides:
        yield f"{side.modality} embeddings", side.source
        for name, value in side.provenance.items():
            yield f"{side.modality}: {name}", value
    yield "fingerprint of the shown items", scene.shown.fingerprint
    yield from versions().items()
