"""The two plots of the page as Bokeh models: the map and the histograms of cosines.

They hold no data. The script of the page fills their sources with the numbers of a frame, and
colours them with the colours of the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from modalgap.extras import import_extra

DASHES = ("solid", "dashed", "dotted", "dashdot")  # of the histograms
BINS = 80  # of the density images, in each direction
ID = re.compile(r'"(?:p\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')  # of Bokeh
SHADES = 24  # of the density images


def plots(modalities: int, kinds: int) -> dict[str, Any]:
    """Both plots as plain JSON types for ``Bokeh.embed.embed_item``.

    Args:
        modalities: number of modalities, each with a density image behind the points.
        kinds: number of histograms; 0: no second plot.

    Raises:
        InputError: bokeh is not installed.
    """
    found = {"map": _map(modalities)}
    if kinds:
        found["histogram"] = _histogram(kinds)
    embed = _bokeh("bokeh.embed")
    return {name: _numbered(embed.json_item(plot), name) for name, plot in found.items()}


def _numbered(item: Any, name: str) -> Any:
    """The same with ids that do not depend on what was drawn before, and no random ones."""
    known: dict[str, str] = {}
    text = ID.sub(
        lambda found: known.setdefault(found[0], f'"{name}-{len(known)}"'), json.dumps(item)
    )
    return json.loads(text)


@cache
def script() -> str:
    """The part of BokehJS that both plots need.

    Raises:
        InputError: bokeh is not installed.
    """
    resources = _bokeh("bokeh.resources").Resources(mode="inline", components=["bokeh"])
    return str(resources.js_raw[0])  # the second sets the log level, which writes to the console


def _bokeh(name: str) -> Any:
    return import_extra(name, "explore", "explore")


def _map(modalities: int) -> Any:
    models, plotting = _bokeh("bokeh.models"), _bokeh("bokeh.plotting")
    figure = _figure(plotting, "map", 440)
    figure.x_range, figure.y_range = models.Range1d(-1, 1), models.Range1d(-1, 1)
    tools = [
        models.PanTool(),
        models.WheelZoomTool(),
        models.TapTool(),
        models.LassoSelectTool(continuous=False),
        models.BoxSelectTool(),
        models.ResetTool(),
        models.SaveTool(),
    ]
    figure.add_tools(*tools)
    figure.toolbar.active_scroll = None  # a wheel over the plot scrolls the page
    figure.toolbar.active_drag = tools[0]
    for place in range(modalities):
        image = _source(models, f"density-{place}", "image", "x", "y", "dw", "dh")
        mapper = models.LinearColorMapper(
            palette=["#00000000"] * SHADES, low=0, high=SHADES - 1, name=f"shades-{place}"
        )
        figure.image("image", "x", "y", "dw", "dh", source=image, color_mapper=mapper)
    lines = _source(models, "lines", "x0", "y0", "x1", "y1")
    figure.segment(
        "x0", "y0", "x1", "y1", source=lines, line_width=1, line_alpha=0.35, name="lines-drawn"
    )
    points = _source(models, "points", "x", "y", "fill", "edge", "marker", "size")
    figure.scatter(
        "x",
        "y",
        source=points,
        marker="marker",
        size="size",
        fill_color="fill",
        line_color="edge",
        line_width=0.5,
        fill_alpha=0.75,
        nonselection_fill_alpha=0.75,
        nonselection_line_alpha=1,
    )
    links = _source(models, "links", "x0", "y0", "x1", "y1", "colour", "dash")
    figure.segment(
        "x0", "y0", "x1", "y1", source=links, line_color="colour", line_dash="dash", line_width=1.5
    )
    rings = _source(models, "rings", "x", "y", "colour", "size")
    figure.scatter(
        "x", "y", source=rings, size="size", fill_color=None, line_color="colour", line_width=2.5
    )
    return figure


def _histogram(kinds: int) -> Any:
    models, plotting = _bokeh("bokeh.models"), _bokeh("bokeh.plotting")
    figure = _figure(plotting, "histogram", 260)
    figure.x_range, figure.y_range = models.Range1d(-1, 1), models.Range1d(0, 1)
    figure.add_tools(models.PanTool(), models.ResetTool(), models.SaveTool())
    figure.xaxis.axis_label, figure.yaxis.axis_label = "cosine", "fraction of pairs"
    for place in range(kinds):
        source = _source(models, f"kind-{place}", "x", "y")
        figure.line(
            "x", "y", source=source, line_width=2, line_dash=DASHES[place], name=f"line-{place}"
        )
    return figure


def _figure(plotting: Any, name: str, height: int) -> Any:
    figure = plotting.figure(
        name=name,
        height=height,
        min_width=200,
        sizing_mode="stretch_width",
        tools="",
        toolbar_location="above",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_alpha=0,
    )
    figure.toolbar.logo = None
    return figure


def _source(models: Any, name: str, *columns: str) -> Any:
    empty: dict[str, Sequence[float]] = {column: [] for column in columns}
    return models.ColumnDataSource(empty, name=name)
