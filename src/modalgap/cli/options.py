"""Options and arguments that several commands share, each with one name and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def json(schema: str) -> Any:
    """The option ``--json`` of a command that prints a JSON object with this schema."""
    return typer.Option("--json", help=f"Print one JSON object on stdout; its schema is {schema}.")


# embeddings to read

Paths = Annotated[  # strings: a Path would turn s3:// into s3:/
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="Embeddings: .npy of shape (2, n, d), .npz, .safetensors, .parquet or a clip-retrieval"
        " folder, or the URI of one, such as s3://BUCKET/KEY; also several shards, a quoted pattern"
        " such as 'x-*.npz', or one file per modality.",
        show_default=False,
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="<path>",
        help="File of image embeddings, shape (n, d).",
        show_default=False,
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="<path>",
        help="File of text embeddings, shape (m, d).",
        show_default=False,
    ),
]
Pairs = Annotated[
    str | None,
    typer.Option(
        "--pairs",
        metavar="<path>",
        help="Matches, .npy: for each text the row of its image, shape (m,), or rows of an image"
        " and of a text, shape (k, 2).",
        show_default=False,
    ),
]

TwoOf = Annotated[
    str | None,
    typer.Option(
        "--pair",
        metavar="A,B",
        help="Two of three or more modalities, for instance image,audio.",
        show_default=False,
    ),
]

# methods and their options

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set an option of a method, for example alpha=0.5; may be repeated.",
        show_default=False,
    ),
]
TrainSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Set an option of training, for example optimiser.lr=1e-4; may be repeated.",
        show_default=False,
    ),
]
Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Measures, comma-separated; see: modalgap list measures. If one of them does not"
        " apply to the data, nothing is computed, and the error gives the reason.",
        show_default=False,
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Tasks, comma-separated; see: modalgap list tasks.", show_default=False
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        "--protocol",
        help="Rule for which queries are used and which items are relevant; see: modalgap search"
        " --help.",
    ),
]
Factor = Annotated[
    str | None,
    typer.Option(
        "--factor",
        help="Factor that defines the classes (default: label, or the only factor that queries and"
        " gallery have in common).",
        show_default=False,
    ),
]

# how to run, and what to write

Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, max=2**63 - 1, help="Random seed (default: 0).", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Restart = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace existing files, and discard unfinished work made with other settings.",
    ),
]
StartOver = Annotated[
    bool,
    typer.Option("--force", help="Discard results made with other settings and start over."),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="WHERE",
        help="Where the work runs: here, processes:N, ray (the cluster of $RAY_ADDRESS, or a Ray"
        " that is started on this machine) or ray://HOST[:PORT].",
    ),
]
Closed = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="File for the closed embeddings: .safetensors, .npz, .parquet; or, without extension,"
        " a folder for shards of 249,856 items.",
    ),
]
Folder = Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")]

# models and data sets

Model = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        help="LIBRARY:MODEL, such as open_clip:ViT-B-32/openai; see: modalgap list models.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps or auto.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        help="Items per batch (default for encode: 32 on the CPU, 256 on a GPU; for invert: as"
        " many as fit into memory).",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Number of processes that decode images (default: one per processor, at most 8).",
        show_default=False,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Split of a data set (default: the one on which papers evaluate).",
        show_default=False,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="Folder of data sets (default: $MODALGAP_DATA, or data); for a table, the folder to"
        " which its paths are relative.",
        show_default=False,
    ),
]
Template = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        help="Sentence with {} for the class name, may be repeated; or imagenet, for CLIP's 80"
        " sentences.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", help="Use a random sample of N items.", show_default=False),
]
Digits = Annotated[
    Path | None,
    typer.Option(
        "--digits",
        help="Folder of MNIST's IDX files (default: scikit-learn's 1,797 digits).",
        show_default=False,
    ),
]
