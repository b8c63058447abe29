"""The page: scenes and frames as one HTML file, or as the first page of a server."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from modalgap._version import __version__
from modalgap.explore.plots import plots, script
from modalgap.report.page import file_of, template
from modalgap.report.palette import DARK, LIGHT

HINT = "Click a mark on the map to see the item, its match, and its nearest items."
NUMBERS = "They are values of modalgap.{verbs} for the items of this page{sample}."


def render(
    *,
    title: str,
    subtitle: str,
    intro: str,
    scenes: Sequence[str],
    modalities: int,
    kinds: int,
    example: str,
    sample: str,
    verbs: str,
    facts: Sequence[tuple[str, str]],
    seed: int,
    remarks: Sequence[str] = (),
    blocks: Mapping[str, str] | None = None,
    query: bool = False,
) -> str:
    """The page as text; the same for the same arguments.

    Args:
        title: heading.
        subtitle: text below it.
        intro: what the page shows, for newcomers.
        scenes: names of the views.
        modalities: the largest number of modalities of a view.
        kinds: number of histograms of cosines.
        example: name of an item, as an example of what to search for.
        sample: what part of the data the numbers are of, as the end of a sentence.
        verbs: the functions that compute the key numbers.
        facts: about data and versions.
        seed: of samples and intervals.
        remarks: on what is left out.
        blocks: id to the compressed JSON of scenes and frames; None: a server has them.
        query: whether the server searches by text.
    """
    from markupsafe import Markup

    drawn = plots(modalities, kinds)
    page = {
        "scenes": list(scenes),
        "plots": drawn,
        "served": blocks is None,
        "query": query,
        "hint": HINT,
    }
    own, bokeh = _script(), script()
    sheet = file_of("modalgap.report", "style.css") + file_of("modalgap.explore", "page.css")
    return str(
        template("modalgap.explore").render(
            title=title,
            subtitle=subtitle,
            intro=intro,
            remarks=remarks,
            example=example,
            numbers=NUMBERS.format(verbs=verbs, sample=sample),
            facts=facts,
            seed=seed,
            plots=drawn,
            two=kinds > 1,
            query=query,
            version=__version__,
            policy=policy((bokeh, own), served=blocks is None),
            css=Markup(sheet),  # noqa: S704 - our own file
            light=LIGHT.css(),
            dark=DARK.css(),
            page=Markup(_safe_json(page)),  # noqa: S704 - escaped there
            blocks=[] if blocks is None else list(blocks.items()),
            bokeh=Markup(bokeh),  # noqa: S704 - BokehJS
            script=Markup(own),  # noqa: S704 - our own files
        )
    )


def policy(scripts: Sequence[str], *, served: bool) -> str:
    """The content-security policy: only these scripts run, and nothing is loaded or sent.

    Args:
        scripts: the scripts of the page.
        served: whether the page may ask its own server.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'"
        for each in scripts
    )
    asks = "'self'" if served else "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:;"
        f" connect-src {asks}; base-uri 'none'; form-action 'none'"
    )


def _safe_json(found: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(found, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _script() -> str:
    """The script of the page: the files of the folder, in the order of their names."""
    folder = resources.files("modalgap.explore").joinpath("script")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    texts = [file.read_text("utf-8") for file in files if file.name.endswith(".js")]
    return '"use strict";\n' + "\n".join(texts)
