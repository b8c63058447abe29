"""modalgap invert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data
from modalgap.cli.encode import Precision, Root, Split
from modalgap.cli.group import group
from modalgap.errors import InputError, OutputError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Pair
    from modalgap.invert import Inverted

app = group(
    "invert",
    "Features of one modality as features of the other, to compare within a modality.",
    no_args_is_help=True,
)

File = Annotated[
    Path | None,
    typer.Argument(
        metavar="PATH", help="Embeddings that the model made, with names.", show_default=False
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Instead of PATH: a data set or folder, encoded first, to OUTPUT.native.safetensors.",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="LIBRARY:MODEL that made the features; see: modalgap list models.",
        show_default=False,
    ),
]
Output = Annotated[Path, typer.Option("-o", "--output", help="What to write: .safetensors.")]
Tokens = Annotated[
    int | None,
    typer.Option(
        "--tokens", help="Vectors an item (oti: 1; ovi: the paper's).", show_default=False
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template", help="A sentence with {} for the vectors (a photo of {}).", show_default=False
    ),
]
Optimiser = Annotated[
    str | None,
    typer.Option(
        "--optimiser", help="adamw or lbfgs (oti: adamw; ovi: lbfgs).", show_default=False
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        help="How many (oti: 150, or 30 of lbfgs; ovi: 60, or 1000 of adamw).",
        show_default=False,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", help="Items at once (what memory allows).", show_default=False),
]
Rate = Annotated[
    float | None, typer.Option("--lr", help="Step size of AdamW (0.02).", show_default=False)
]
Decay = Annotated[
    float | None,
    typer.Option("--weight-decay", help="Of AdamW (0.01).", show_default=False),
]
Wanted = Annotated[
    float | None,
    typer.Option("--wanted", help="The cosine at which an item stops.", show_default=False),
]
Keep = Annotated[
    str | None, typer.Option("--keep", help="last or best of AdamW's steps.", show_default=False)
]
Loss = Annotated[str | None, typer.Option("--loss", help="cosine or angle.", show_default=False)]
Device = Annotated[
    str,
    typer.Option("--device", help="cpu, cuda, mps, auto; several with commas: a process on each."),
]
Jobs = Annotated[int, typer.Option("--jobs", help="Processes on the CPU.")]
Compiled = Annotated[bool, typer.Option("--compile", help="Compile passes through the model.")]
Protocol = Annotated[
    str,
    typer.Option("--protocol", help="split, self_removed, first_caption, easy, medium or hard."),
]
Bank = Annotated[
    Path,
    typer.Option(
        "--bank", help="Pairs to learn from, or embeddings of the other side.", show_default=False
    ),
]


@app.callback()
def _group() -> None:
    """Features of one modality as features of the other, to compare within a modality."""


@app.command()
def oti(
    model: Model,
    output: Output,
    path: File = None,
    source: Data = None,
    split: Split = None,
    root: Root = None,
    template: Template = None,
    tokens: Tokens = None,
    optimiser: Optimiser = None,
    steps: Steps = None,
    lr: Rate = None,
    weight_decay: Decay = None,
    wanted: Wanted = None,
    keep: Keep = None,
    loss: Loss = None,
    seed: data.Seed = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch_size: BatchSize = None,
    jobs: Jobs = 1,
    compiled: Compiled = False,
    force: data.Force = False,
) -> None:
    """Images as pseudo-tokens in a sentence. Interrupted runs resume with the same command."""
    _run(
        "oti", path, source, model, output, force, split=split, root=root,
        template=template, tokens=tokens, optimiser=optimiser, steps=steps, lr=lr,
        weight_decay=weight_decay, wanted=wanted, keep=keep, loss=loss, seed=seed, device=device,
        precision=precision, batch_size=batch_size, jobs=jobs, compiled=compiled,
    )  # fmt: skip


@app.command()
def ovi(
    model: Model,
    output: Output,
    path: File = None,
    source: Data = None,
    split: Split = None,
    root: Root = None,
    tokens: Tokens = None,
    optimiser: Optimiser = None,
    steps: Steps = None,
    lr: Rate = None,
    weight_decay: Decay = None,
    wanted: Wanted = None,
    keep: Keep = None,
    loss: Loss = None,
    seed: data.Seed = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch_size: BatchSize = None,
    jobs: Jobs = 1,
    compiled: Compiled = False,
    force: data.Force = False,
) -> None:
    """Texts as pseudo-patches of an image. Interrupted runs resume: run the same command again."""
    _run(
        "ovi", path, source, model, output, force, split=split, root=root,
        tokens=tokens, optimiser=optimiser, steps=steps, lr=lr, weight_decay=weight_decay,
        wanted=wanted, keep=keep, loss=loss, seed=seed, device=device, precision=precision,
        batch_size=batch_size, jobs=jobs, compiled=compiled,
    )  # fmt: skip


@app.command("caption_mixture")
def caption_mixture(
    path: Annotated[Path, typer.Argument(help="Embeddings.")],
    bank: Bank,
    output: Output,
    k: Annotated[int | None, typer.Option("--k", help="Captions (16).", show_default=False)] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", help="τ of their weights (0.01).", show_default=False),
    ] = None,
    force: data.Force = False,
) -> None:
    """The nearest items of a bank, mixed: a baseline without a model."""
    _run(
        "caption_mixture", path, None, None, output, force, bank=bank, k=k, temperature=temperature
    )


@app.command("ridge_map")
def ridge_map(
    path: Annotated[Path, typer.Argument(help="Embeddings.")],
    bank: Bank,
    output: Output,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", help="How much the map is held back (0.1).", show_default=False),
    ] = None,
    force: data.Force = False,
) -> None:
    """A linear map that pairs teach: a baseline without a model."""
    _run("ridge_map", path, None, None, output, force, bank=bank, alpha=alpha)


@app.command("gap_shift")
def gap_shift(
    path: Annotated[Path, typer.Argument(help="Embeddings.")],
    bank: Bank,
    output: Output,
    amount: Annotated[
        float | None,
        typer.Option("--amount", help="Share of the gap (1).", show_default=False),
    ] = None,
    force: data.Force = False,
) -> None:
    """The difference of the means, added: a baseline without a model."""
    _run("gap_shift", path, None, None, output, force, bank=bank, amount=amount)


@app.command()
def words(
    path: Annotated[Path, typer.Argument(help="What invert oti wrote.")],
    model: Model,
    k: Annotated[int, typer.Option("--k", help="Words a pseudo-token.")] = 5,
    items: Annotated[int, typer.Option("--items", min=0, help="How many items to show.")] = 20,
    seed: data.Seed = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout: every item.")
    ] = False,
) -> None:
    """The words that pseudo-tokens are nearest to."""
    import json as jsonlib

    from modalgap.invert import nearest_words, read

    found = read(path)
    near = nearest_words(found, model, k=k, **data.given(seed=seed))
    names = found.features.names or [str(i) for i in range(found.features.n)]
    if json:
        said = [
            {"name": name, "words": [[[w, round(c, 6)] for w, c in token] for token in tokens]}
            for name, tokens in zip(names, near, strict=True)
        ]
        typer.echo(jsonlib.dumps({"items": said}, ensure_ascii=False))
        return
    for name, tokens in list(zip(names, near, strict=True))[:items]:
        each = "  |  ".join(", ".join(f"{w} {c:.2f}" for w, c in token) for token in tokens)
        typer.echo("".join(c if c.isprintable() else "�" for c in f"{name}: {each}"))


@app.command()
def curve(
    method: Annotated[str, typer.Argument(help="oti or ovi.")],
    query: Annotated[Path, typer.Option("--query", help="Native features to invert.")],
    gallery: Annotated[Path, typer.Option("--gallery", help="Native features to search.")],
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of table, figure, page.")],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help="split, self_removed, first_caption, easy, medium or hard."
        ),
    ] = ("split"),
    factor: Annotated[
        str | None, typer.Option("--factor", help="What makes classes.", show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Steps, with commas, such as 0,5,50.", show_default=False),
    ] = None,
    template: Template = None,
    tokens: Tokens = None,
    optimiser: Optimiser = None,
    steps: Steps = None,
    lr: Rate = None,
    seed: data.Seed = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    force: data.Force = False,
) -> None:
    """Cosine against steps, with the quality of retrieval at some of them."""
    from modalgap.atomic import check_target, replacing
    from modalgap.checks import value_of
    from modalgap.cli.table import print_table
    from modalgap.embeddings.store import load_any
    from modalgap.invert import curve as work
    from modalgap.report.curve import curve_figure, curve_page
    from modalgap.report.export import save_figures

    asked, searched = load_any(query), load_any(gallery)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made ({error.strerror})") from error
    for name in ("table.csv", "table.md", "table.json", "curve.png", "curve.svg", "report.html"):
        check_target(output / name, overwrite=force)
    table = work(
        asked,
        searched,
        method,
        model,
        at=None if at is None else value_of(f"{at},"),
        protocol=protocol,
        factor=factor,
        device=device,
        precision=precision,
        **data.given(
            template=template, tokens=tokens, optimiser=optimiser, steps=steps, lr=lr, seed=seed
        ),
    )
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


def _run(
    method: str,
    path: Path | None,
    source: str | None,
    model: str | None,
    output: Path,
    force: bool,
    **options: Any,
) -> None:
    from modalgap.invert import invert
    from modalgap.invert.output import check_output

    if (path is None) == (source is None):
        raise InputError(
            "give either PATH or --data; got " + ("neither" if path is None else "both")
        )
    check_output(output, overwrite=force)
    asked = data.given(**options)
    split, root = asked.pop("split", None), asked.pop("root", None)
    if path is not None and (split or root):
        raise InputError("--split and --root go with --data")
    if path is not None:
        data.not_an_input(output, path, asked.get("bank"))
        read: Any = path
    else:
        assert source is not None and model is not None  # noqa: S101, PT018 - as just seen
        _refuse(method, model, asked)
        read = _encoded(source, model, output, asked, force, split=split, root=root)
    found = invert(read, method, model, output, overwrite=force, **asked)
    _say(found)
    if "bank" in asked:
        _overlap(found, asked["bank"])
    typer.echo(output)


RUNNING = ("device", "precision", "jobs", "batch_size", "seed", "compiled")


def _refuse(method: str, model: str, asked: dict[str, Any]) -> None:
    """Whatever options would be refused, before data are encoded."""
    import torch

    from modalgap.encode import load_model
    from modalgap.invert import METHODS
    from modalgap.invert.base import InversionContext
    from modalgap.invert.run import check_running

    running = {name: asked.get(name) for name in ("device", "precision", "jobs", "batch_size")}
    seed = asked.get("seed", 0)
    check_running(seed=seed, **running)  # type: ignore[arg-type] # they have defaults
    encoder = load_model(model, seed=seed)
    media, text = encoder.modalities
    modality, into = (text, media) if METHODS[method].card.roles == ("text",) else (media, text)
    given = InversionContext(
        encoder=encoder, device=torch.device("cpu"), dim=encoder.dim, modality=modality, into=into
    )
    own = {name: value for name, value in asked.items() if name not in RUNNING}
    METHODS[method].prepare(given, own)


def _encoded(
    source: str, model: str, output: Path, asked: dict[str, Any], force: bool, **reading: Any
) -> Embeddings | Pair:
    """The data's own features: those that lie beside the output, or made now."""
    from modalgap.cli.encode import remark
    from modalgap.data import read
    from modalgap.data.summary import summary
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import load_any
    from modalgap.encode import Options
    from modalgap.encode import run as encode
    from modalgap.encode.verb import state_of

    native = output.with_name(f"{output.stem}.native.safetensors")
    found = read(source, **data.given(**reading))
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
    options = Options(device=str(asked.get("device", "auto")).partition(",")[0], overwrite=force)
    found = replace(found, provenance={**found.provenance, "source_state": state})
    done = encode(
        found,
        model,
        native,
        options,
        **data.given(seed=asked.get("seed")),
        on_start=lambda source: data.note(summary(source)),
    )
    remark(done)
    data.note(f"features of {source} are in {native}")
    return done.data


def _overlap(found: Inverted, bank: Path) -> None:
    """A bank that holds the items themselves has seen the answers."""
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import load_any

    learnt = load_any(bank)
    before = found.features.provenance["inverted_from"]
    sides = learnt.sides if isinstance(learnt, Pair) else (learnt,)
    known = {name for side in sides if side.modality == before for name in side.names or ()}
    both = sum(name in known for name in found.features.names or ())
    if both:
        data.note(f"{both:,} of the items are in the bank too: what it gives them flatters it")


def _say(found: Inverted) -> None:
    low, mean = float(found.cosines.min()), float(found.cosines.mean())
    steps = ""
    if found.steps is not None:
        steps = f", {float(found.steps.float().mean()):.0f} steps each"
    name = found.features.provenance["inverted_from"]
    data.note(
        f"{found.features.n:,} {name}s became {found.features.modality}s: cosine {mean:.3f} on"
        f" average, {low:.3f} at least{steps}"
    )
