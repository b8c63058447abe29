"""modalgap evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data
from modalgap.cli.close import parse
from modalgap.errors import InputError, OptionError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Pair
    from modalgap.result import Result

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Tasks, comma-separated; see: modalgap list tasks.", show_default=False
    ),
]
TaskOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of tasks, for instance retrieved=text; may be repeated.",
        show_default=False,
    ),
]
Query = Annotated[
    Path | None,
    typer.Option(
        "--query",
        help="Queries for --gallery, for instance inverted features; PATH is then retrieval (the"
        " default) or zero_shot.",
        show_default=False,
    ),
]
Gallery = Annotated[
    Path | None,
    typer.Option(
        "--gallery", help="What --query searches, or the class prompts.", show_default=False
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="With --query: split (default), self_removed, first_caption, easy, medium or hard.",
        show_default=False,
    ),
]
Factor = Annotated[
    str | None,
    typer.Option(
        "--factor",
        metavar="NAME",
        help="With --query: what is known of the rows and makes classes.",
        show_default=False,
    ),
]


def evaluate(
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    only: Only = None,
    tasks: Annotated[list[str] | None, typer.Option("--tasks", hidden=True)] = None,
    options: TaskOptions = None,
    query: Query = None,
    gallery: Gallery = None,
    protocol: Protocol = None,
    factor: Factor = None,
    seed: data.Seed = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Evaluate embeddings at retrieval, zero-shot, mixed search, robustness and more."""
    only = [*(only or []), *tasks] if tasks else only  # --tasks is another word for --only
    if query is not None:
        alone = {"--image": image, "--text": text, "--pairs": pairs, "--only": only}
        for name, value in {**alone, "--set": options}.items():
            if value is not None:
                raise InputError(f"{name} does not go with --query; give one of them")
        result, asked = _searched(paths, query, gallery, protocol, factor, data.given(seed=seed))
    else:
        searching = {"--gallery": gallery, "--protocol": protocol, "--factor": factor}
        for name, given in searching.items():
            if given is not None:
                raise InputError(f"{name} goes with --query; that is not given")
        found = data.read(paths, image, text, pairs)
        result, asked = _evaluated(found, only, options, data.given(seed=seed)), ""
        data.remark(found, paths)
        data.repeats(result.pair)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.table import print_search, print_tasks

    if asked:
        print_search(result, asked)
    else:
        print_tasks(result)


def _evaluated(
    found: Pair | Embeddings,
    only: list[str] | None,
    options: list[str] | None,
    seed: dict[str, int],
) -> Result:
    """Tasks on one pair."""
    from modalgap.embeddings import Pair
    from modalgap.evaluate.verb import evaluate as run

    if not isinstance(found, Pair):
        raise InputError("evaluate needs two modalities; this is one")
    return run(found, data.names(only), **seed, **parse(options, "only", "seed"))


def _searched(
    paths: list[Path] | None,
    query: Path,
    gallery: Path | None,
    protocol: str | None,
    factor: str | None,
    seed: dict[str, int],
) -> tuple[Result, str]:
    """Queries of one file in another, and in words what was asked."""
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import load_any
    from modalgap.evaluate import PROTOCOLS, classify, search
    from modalgap.evaluate.search import query_side

    task = _task(paths)
    if gallery is None:
        raise InputError("--query needs --gallery, what is searched; that is not given")
    if task == "zero_shot" and protocol is not None:
        raise InputError("--protocol goes with retrieval; zero_shot has none")
    protocol = protocol or "split"
    if protocol not in PROTOCOLS:
        raise OptionError.unknown("protocol", protocol, PROTOCOLS)
    queries, other = load_any(query), load_any(gallery)
    if isinstance(queries, Pair):
        queries = query_side(queries, protocol)
    if task == "zero_shot":
        result = classify(queries, other, factor=factor, **seed)
        asked = "zero_shot: is the nearest class prompt the right one?"
    else:
        result = search(queries, other, protocol, factor=factor, **seed)
        asked = f"{protocol}: {PROTOCOLS[protocol]}"
    data.remark(queries, None)
    data.remark(other, None)
    _left_out(result)
    return result, asked


def _task(paths: list[Path] | None) -> str:
    """What PATH says where --query is given."""
    said = [str(path) for path in paths or [Path("retrieval")]]
    task = {"zeroshot": "zero_shot"}.get(said[0], said[0])
    if len(said) > 1 or task not in ("retrieval", "zero_shot"):
        raise InputError(f"with --query, PATH must be retrieval or zero_shot; got {' '.join(said)}")
    return task


def _left_out(result: Result) -> None:
    """Notes on queries that were not asked, or in vain."""
    first = next(iter(result.values()))
    about = first.details
    if first.params.get("all_in_gallery"):
        data.note(
            "every query's name is in the gallery too: if they are the same items, each finds"
            " itself; --protocol self_removed leaves it out"
        )
    if about["left_out"]:
        data.note(
            f"{about['left_out']:,} of {about['asked']:,} queries have nothing relevant in the"
            " gallery; left out"
        )
    if about.get("not_first"):
        data.note(f"{about['not_first']:,} queries are no first captions; not asked")
    if about.get("missing"):
        data.note(f"{about['missing']:,} relevant images are not in the gallery; not counted")
