"""modalgap encode."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data

if TYPE_CHECKING:
    from modalgap.encode import Encoded

READING = (
    "split", "root", "image_column", "text_column", "label_column", "factors", "captions",
    "separator", "limit",
)  # fmt: skip

Split = Annotated[
    str | None,
    typer.Option("--split", help="Of a data set; by default the usual one.", show_default=False),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="Where data sets lie ($MODALGAP_DATA, or data); for a table, where its paths start.",
        show_default=False,
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column",
        help="Column of images or of their paths; none reads captions alone.",
        show_default=False,
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        help="Column of captions; none reads images without captions.",
        show_default=False,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        help="Column of classes; none reads images without labels.",
        show_default=False,
    ),
]
Factors = Annotated[
    str | None,
    typer.Option(
        "--factors",
        help="Columns to keep as factors, comma-separated; auto keeps every column of few values.",
        show_default=False,
    ),
]
Captions = Annotated[
    str | None,
    typer.Option(
        "--captions",
        help="one or several: what a cell or a caption file holds (by default the data decide).",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        help="Character between cells of a table: comma, tab, bar, … (detected by default).",
        show_default=False,
    ),
]
Template = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        help="A sentence with {} for the class name, repeatable; or imagenet, for its 80.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", help="Encode a random sample of N items.", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps or auto.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", help="Items a forward pass (32 on the CPU, else 256).", show_default=False
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes that decode (one a processor, at most 8).", show_default=False
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first item that cannot be encoded.")
]
KeepRepeats = Annotated[
    bool,
    typer.Option("--keep-repeats", help="Give identical captions and identical images a row each."),
]


def encode(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (classes; images beside captions or metadata; tar shards; Parquet;"
            " Hugging Face), .csv, .tsv, .json, .jsonl, .tar, .parquet or .txt, a pattern such as"
            " 'x/{000..041}.tar', or a data set's name; see: modalgap list data."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="LIBRARY:MODEL, such as open_clip:ViT-B-32/openai; see: modalgap list models.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="What to write: .safetensors, .npz or .parquet.")
    ],
    split: Split = None,
    root: Root = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    factors: Factors = None,
    captions: Captions = None,
    separator: Separator = None,
    template: Template = None,
    limit: Limit = None,
    seed: data.Seed = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch_size: BatchSize = None,
    workers: Workers = None,
    strict: Strict = False,
    keep_repeats: KeepRepeats = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was read, written and left out as JSON.")
    ] = False,
    force: data.Force = False,
) -> None:
    """Turn images and captions into embeddings. Interrupted runs resume with the same command."""
    done = run(
        source,
        model,
        output,
        split=split,
        root=root,
        image_column=image_column,
        text_column=text_column,
        label_column=label_column,
        factors=factors,
        captions=captions,
        separator=separator,
        template=template,
        limit=limit,
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
        keep_repeats=keep_repeats,
        force=force,
    )
    if as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2, ensure_ascii=False))
        return
    for path in done.files:
        typer.echo(path)


def run(
    source: str, model: str, output: Path, *, seed: int | None, force: bool, **options: Any
) -> Encoded:
    """Encode, and say on stderr what was done and what was skipped.

    Args:
        source: as given.
        model: as given.
        output: the file to write.
        seed: of the sample and of random weights.
        force: whether to overwrite.
        options: those of ``data.read`` and of ``encode``, as given.
    """
    from modalgap.data import read
    from modalgap.data.summary import summary
    from modalgap.encode import Options
    from modalgap.encode.engine.output import check_output
    from modalgap.encode.verb import run as work

    check_output(output, overwrite=force)
    seeded = data.given(seed=seed)
    reading = data.given(**{name: options.pop(name, None) for name in READING})
    template = options.pop("template")
    found = read(source, **reading, **seeded)
    if sys.stderr.isatty():
        data.note(f"loading {model}")
    done = work(
        found,
        model,
        output,
        Options(
            template=template[0] if template and len(template) == 1 else template,
            overwrite=force,
            **options,
        ),
        **seeded,
        on_start=lambda source: data.note(summary(source)),
    )
    remark(done)
    return done


def remark(done: Encoded) -> None:
    """Say on stderr what was encoded, how fast, and what was cut or skipped."""
    from modalgap.data.summary import grouped
    from modalgap.embeddings import Pair

    sides = done.data.sides if isinstance(done.data, Pair) else (done.data,)
    total = sum(side.n for side in sides)
    what = " and ".join(f"{side.n:,} {side.modality}s" for side in sides)
    speed = (total - done.resumed) / max(done.seconds, 1e-9)
    again = f"; {done.resumed:,} were there already" if done.resumed else ""
    data.note(f"encoded {what} in {done.seconds:.1f} s, {speed:,.0f} a second{again}")
    for note in done.notes:
        data.note(note)
    weights = sides[0].provenance.get("weights", "")
    if weights.endswith("CLIPModel"):
        data.note(f"the model is {weights}, of a folder of sentence-transformers")
    if done.cut:
        data.note(f"{done.cut:,} texts were longer than the model's context and lost their end")
    new = done.skipped[len(done.source.missing) :]  # the others were named when the run began
    left = grouped("skipped", new)
    if done.listing is not None:
        total = len(done.skipped) + len(done.source.unused)
        left.append(f"{done.listing} lists what was left out or not used: {total:,}")
    if left:
        data.note("; ".join(left))
