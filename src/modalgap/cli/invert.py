"""modalgap invert: one command per inversion, and words, curve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import INVERSIONS, methods, placed
from modalgap.cli.settings import settings
from modalgap.errors import InputError, OptionError, OutputError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Modalities, Pair
    from modalgap.invert import Inverted

ABOUT = "Map embeddings into the other modality, to compare items of one modality."
Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        help="LIBRARY:MODEL that computed the embeddings; see: modalgap list models.",
        show_default=False,
    ),
]


@placed
@data.resumable
def invert(
    method: str,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write: .safetensors.")],
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT", help="Embeddings to invert, with names.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A data set or folder instead of INPUT. It is encoded first, to"
            " OUTPUT.native.safetensors.",
            show_default=False,
        ),
    ] = None,
    split: options.Split = None,
    root: options.Root = None,
    model: Model = None,
    bank: Annotated[
        str | None,
        typer.Option(
            "--bank",
            metavar="<path>",
            help="Pairs, or embeddings of the other modality, for methods without a model.",
            show_default=False,
        ),
    ] = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            help="cpu, cuda, mps or auto; or several, comma-separated, with one process on each.",
        ),
    ] = "auto",
    precision: options.Precision = "fp32",
    batch_size: options.BatchSize = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Number of processes on the CPU.")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the model with torch.compile.")
    ] = False,
    force: options.Restart = False,
) -> None:
    """Invert embeddings. Interrupted runs resume: run the same command again."""
    from modalgap.invert import METHODS
    from modalgap.invert import invert as run
    from modalgap.invert.output import check_output

    if (path is None) == (source is None):
        raise InputError(
            "give either INPUT or --data; got " + ("neither" if path is None else "both")
        )
    if path is not None and (split or root):
        raise InputError("--split and --root must be given with --data")
    check_output(output, overwrite=force)
    own = settings(sets, [METHODS[method]])
    running = data.given(
        seed=seed, device=device, precision=precision, batch_size=batch_size, jobs=jobs
    )
    read: str | Embeddings | Pair
    if path is not None:
        data.not_an_input(output, path, bank)
        read = path
    else:
        assert source is not None  # noqa: S101 - as checked above
        if model is None:
            raise OptionError("--model: must be given with --data")
        _check(method, model, own, **running)
        read = _encoded(
            source, model, output, device, force, seed, **data.given(split=split, root=root)
        )
    found = run(
        read, method, model, output,
        bank=bank, compiled=compiled, overwrite=force, **running, **own,
    )  # fmt: skip
    _note(found)
    if bank is not None:
        _bank_notes(method, found, bank, read)
    typer.echo(output)


@placed
def curve(
    method: str,
    gallery: Annotated[
        str,
        typer.Argument(metavar="GALLERY", help="Native embeddings to search.", show_default=False),
    ],
    query: Annotated[
        str,
        typer.Option(
            "--query", metavar="<path>", help="Native embeddings to invert.", show_default=False
        ),
    ],
    model: options.Model,
    output: options.Folder,
    protocol: options.Protocol = "split",
    factor: options.Factor = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="Steps at which to evaluate, comma-separated, such as 0,5,50.",
            show_default=False,
        ),
    ] = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    force: options.Force = False,
) -> None:
    """Compute the cosine and retrieval metrics for each optimisation step."""
    from modalgap.arguments import parsed
    from modalgap.atomic import check_target, made_folder, replacing
    from modalgap.cli.table import print_table
    from modalgap.embeddings.store import load_any
    from modalgap.invert import METHODS
    from modalgap.invert import curve as run
    from modalgap.report.curve import curve_figure, curve_page
    from modalgap.report.export import save_figures

    own = settings(sets, [METHODS[method]])
    steps = None if at is None else parsed("at", at, list[int])
    queries, searched = load_any(query), load_any(gallery)
    with made_folder(output):
        for name in (
            "table.csv",
            "table.md",
            "table.json",
            "curve.png",
            "curve.svg",
            "report.html",
        ):
            check_target(output / name, overwrite=force)
        table = run(
            queries, searched, method, model, at=steps, protocol=protocol, factor=factor,
            device=device, precision=precision, **data.given(seed=seed), **own,
        )  # fmt: skip
        for name, text in (
            ("table.csv", table.to_csv()),
            ("table.md", table.to_markdown()),
            ("table.json", table.to_json()),
        ):
            with replacing(output / name, overwrite=force) as file:
                file.write(text.encode())
        save_figures({"curve": curve_figure(table)}, output, ("png", "svg"), overwrite=force)
        page = curve_page(table, output / "report.html", overwrite=force)
    print_table(table)
    data.note(f"figure {output / 'curve.png'}, page {page}")


app = methods("invert", ABOUT, INVERSIONS, invert)
app.add_typer(
    methods(
        "curve", "Compute retrieval metrics for each step: invert curve METHOD.", INVERSIONS, curve
    )
)


@app.command()
def words(
    path: Annotated[Path, typer.Argument(metavar="INPUT", help="A file that invert oti wrote.")],
    model: options.Model,
    k: Annotated[int, typer.Option("--k", help="Number of words per pseudo-token.")] = 5,
    items: Annotated[int, typer.Option("--items", min=0, help="Number of items to show.")] = 20,
    seed: options.Seed = None,
    json: Annotated[bool, options.json("words/1")] = False,
) -> None:
    """Print the nearest words of each pseudo-token."""
    from modalgap.invert import nearest_words, read

    found = read(path)
    near = nearest_words(found, model, k=k, **data.given(seed=seed))
    names = found.features.names or [str(i) for i in range(found.features.n)]
    if json:
        said = [
            {"name": name, "words": [[[w, round(c, 6)] for w, c in token] for token in tokens]}
            for name, tokens in zip(names, near, strict=True)
        ]
        data.print_json("words/1", {"items": said})
        return
    for name, tokens in list(zip(names, near, strict=True))[:items]:
        each = "  |  ".join(", ".join(f"{w} {c:.2f}" for w, c in token) for token in tokens)
        typer.echo("".join(c if c.isprintable() else "�" for c in f"{name}: {each}"))


def _check(
    method: str,
    model: str,
    own: dict[str, Any],
    *,
    seed: int = 0,
    batch_size: int | None = None,
    **running: Any,
) -> None:
    """Refuse wrong options before data are encoded."""
    import torch

    from modalgap.encode import load_model
    from modalgap.invert import METHODS
    from modalgap.invert.base import InversionContext
    from modalgap.invert.run import check_running

    check_running(seed=seed, batch_size=batch_size, **running)
    encoder = load_model(model, seed=seed)
    media, text = encoder.modalities[0], encoder.modalities[-1]
    modality, into = (text, media) if METHODS[method].card.roles == ("text",) else (media, text)
    given = InversionContext(
        encoder=encoder, device=torch.device("cpu"), dim=encoder.dim, modality=modality, into=into
    )
    METHODS[method].prepare(given, own)


def _encoded(
    source: str,
    model: str,
    output: Path,
    device: str,
    force: bool,
    seed: int | None,
    **reading: Any,
) -> Embeddings | Pair:
    """The native embeddings of the data: those of an earlier run, or new ones."""
    from modalgap.cli.encode import remark
    from modalgap.data import read
    from modalgap.data.summary import summary
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import load_any
    from modalgap.encode import Options
    from modalgap.encode import run as encode
    from modalgap.encode.verb import state_of

    native = output.with_name(f"{output.stem}.native.safetensors")
    found = read(source, **reading)
    state = state_of(found)
    if native.is_file():
        there = load_any(native)
        side = there.sides[0] if isinstance(there, Pair) else there
        if side.provenance.get("source_state") == state:
            data.note(f"features are there already: {native}")
            return there
        if not force:
            raise OutputError(
                f"{native}: holds features of other data than {source} is now; move it away, or"
                " replace it with --force"
            )
    done = encode(
        replace(found, provenance={**found.provenance, "source_state": state}),
        model,
        native,
        Options(device=device.partition(",")[0], overwrite=force),
        **data.given(seed=seed),
        on_start=lambda source: data.note(summary(source)),
    )
    remark(done)
    data.note(f"features of {source} are in {native}")
    return done.data


def _bank_notes(method: str, found: Inverted, bank: str, read: str | Embeddings | Pair) -> None:
    """Write notes if the bank has few rows, or holds the items: the same names or rows."""
    from modalgap.close.remarks import remarks
    from modalgap.embeddings.store import load_all
    from modalgap.invert import METHODS

    before = found.features.provenance["inverted_from"]

    def native(data: Embeddings | Pair | Modalities) -> list[Embeddings]:
        sides = data.sides
        return [side for side in sides if side.modality == before]

    learnt_from = load_all(bank)
    for remark in remarks(METHODS[method].card, learnt_from):
        data.note(remark)
    learnt = native(learnt_from)
    items = native(load_all(read) if isinstance(read, str) else read)
    if {side.fingerprint for side in learnt} & {side.fingerprint for side in items}:
        both = found.features.n
    else:
        known = {name for side in learnt for name in side.names or ()}
        both = sum(name in known for name in found.features.names or ())
    if both:
        data.note(
            f"{both:,} of the items are in the bank too: results on them are better than on new"
            " items"
        )


def _note(found: Inverted) -> None:
    low, mean = float(found.cosines.min()), float(found.cosines.mean())
    steps = ""
    if found.steps is not None:
        steps = f", {float(found.steps.float().mean()):.0f} steps each"
    name = found.features.provenance["inverted_from"]
    data.note(
        f"{found.features.n:,} {name}s became {found.features.modality}s: cosine {mean:.3f} on"
        f" average, {low:.3f} at least{steps}"
    )
