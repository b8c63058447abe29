"""modalgap search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed
from modalgap.errors import OptionError

if TYPE_CHECKING:
    from modalgap.result import Result


@placed
def search(
    gallery: Annotated[
        str,
        typer.Argument(
            metavar="GALLERY",
            help="Embeddings to search; class prompts for zero_shot.",
            show_default=False,
        ),
    ],
    query: Annotated[
        str,
        typer.Option(
            "--query",
            metavar="<path>",
            help="Embeddings of the queries, native or inverted.",
            show_default=False,
        ),
    ],
    protocol: options.Protocol = "split",
    factor: options.Factor = None,
    modality: Annotated[
        str | None,
        typer.Option(
            "--modality",
            help="Which modality of a query file with several asks.",
            show_default=False,
        ),
    ] = None,
    scales: Annotated[
        Path | None,
        typer.Option(
            "--scales",
            help="For mixed: a score scaler that close fit zscore wrote.",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = None,
    json: Annotated[bool, options.json("result/1")] = False,
) -> None:
    """Search a gallery with queries from another file, and compute retrieval metrics."""
    from modalgap.close.scores import ScoreScaler
    from modalgap.embeddings import Modalities, Pair
    from modalgap.embeddings.store import load_all
    from modalgap.search import PROTOCOLS, query_side
    from modalgap.search import search as run

    queries, searched = load_all(query), load_all(gallery)
    if modality is not None:
        sides = queries.sides
        known = {side.modality: side for side in sides}
        if modality not in known:
            raise OptionError.unknown("modality of the queries", modality, known)
        queries = known[modality]
    elif isinstance(queries, Pair):
        queries = query_side(queries, protocol)
    elif isinstance(queries, Modalities):
        raise OptionError(f"--modality must be one of {', '.join(queries)}; got none")
    scaler = None if scales is None else ScoreScaler.load(scales)
    result = run(queries, searched, protocol, factor=factor, scaler=scaler, **data.given(seed=seed))
    data.remark(queries, None)
    data.remark(searched, None)
    _notes(result)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.table import print_search

    print_search(result, f"{protocol}: {PROTOCOLS[protocol].about}")


def _notes(result: Result) -> None:
    """Write notes on queries and items that are not counted."""
    first = next(iter(result.values()))
    about = first.details
    if first.params.get("all_in_gallery"):
        data.note(
            "the name of every query is in the gallery too: if they are the same items, each query"
            " finds itself; --protocol self_removed ignores it"
        )
    if about["left_out"]:
        data.note(
            f"{about['left_out']:,} of {about['asked']:,} queries have no relevant item in the"
            " gallery; left out"
        )
    if about.get("not_first"):
        data.note(f"{about['not_first']:,} queries are not first captions; not used")
    if about.get("missing"):
        data.note(f"{about['missing']:,} relevant images are not in the gallery; not counted")
