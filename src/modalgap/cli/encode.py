"""modalgap encode."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.errors import OptionError
from modalgap.modality import listed

if TYPE_CHECKING:
    from modalgap.encode import Encoded, EncodedItems


@dataclass(frozen=True)
class Reading:
    """How a source is read: options of ``modalgap.data.read``."""

    split: options.Split = None
    root: options.Root = None
    image_column: Annotated[
        str | None,
        typer.Option(
            "--image-column",
            help="Column of images or image paths; none reads captions only.",
            show_default=False,
        ),
    ] = None
    text_column: Annotated[
        str | None,
        typer.Option(
            "--text-column",
            help="Column of captions; none reads images without captions.",
            show_default=False,
        ),
    ] = None
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column",
            help="Column of classes; none reads images without labels. For a data set: the factor"
            " whose values are the classes.",
            show_default=False,
        ),
    ] = None
    factors: Annotated[
        str | None,
        typer.Option(
            "--factors",
            help="Columns to store as factors, by which evaluate groups; comma-separated. auto"
            " stores every column with few different values.",
            show_default=False,
        ),
    ] = None
    captions: Annotated[
        str | None,
        typer.Option(
            "--captions",
            help="Number of captions in a cell or in a caption file: one or several (default:"
            " detected).",
            show_default=False,
        ),
    ] = None
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            help="Character between cells of a table: comma, tab, bar, … (default: detected).",
            show_default=False,
        ),
    ] = None
    limit: options.Limit = None


@dataclass(frozen=True)
class Encoding:
    """How a source is encoded: options of ``modalgap.encode.Options``."""

    template: options.Template = None
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch_size: options.BatchSize = None
    workers: options.Workers = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first item that cannot be encoded.")
    ] = False
    keep_repeats: Annotated[
        bool,
        typer.Option(
            "--keep-repeats", help="Store every occurrence of identical captions and images."
        ),
    ] = False


@placed
@spread
@data.resumable
def encode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder (one subfolder per class, images with caption or metadata files, tar"
            " shards, Parquet files, a Hugging Face data set); a .csv, .tsv, .json, .jsonl, .tar,"
            " .parquet or .txt file; a pattern such as 'x/{000..041}.tar'; or the name of a data"
            " set, see: modalgap list data.",
        ),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "-m",
            "--model",
            help="LIBRARY:MODEL, such as open_clip:ViT-B-32/openai; see: modalgap list models. If"
            " several models encode the modalities, repeat the option with"
            " NAMES=LIBRARY:MODEL, such as image,text=open_clip:… and audio=hf:….",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write: .safetensors, .npz or .parquet.")
    ],
    reading: Reading,
    encoding: Encoding,
    seed: options.Seed = None,
    as_json: Annotated[bool, options.json("encoded/1")] = False,
    force: options.Restart = False,
) -> None:
    """Compute embeddings of images and captions, or of any number of modalities.

    Interrupted runs resume: run the same command again.
    """
    from modalgap.encode.by_modality import models_of

    chosen = models_of(model)
    given = {**vars(reading), **vars(encoding)}
    done: Encoded | EncodedItems
    if isinstance(chosen, str):
        done = run(source, chosen, output, seed=seed, force=force, **given)
    else:
        done = run_items(source, chosen, output, seed=seed, force=force, **given)
    if as_json:
        data.print_json("encoded/1", done.to_dict())
        return
    for path in done.files:
        typer.echo(path)


def run(
    source: str, model: str, output: Path, *, seed: int | None, force: bool, **given: Any
) -> Encoded:
    """Encode, and say on stderr what was done and what was skipped.

    Args:
        source: as given.
        model: as given.
        output: the file to write.
        seed: of the sample and of random weights.
        force: whether to overwrite.
        given: options of ``data.read`` and of ``encode``.
    """
    from modalgap.data import read
    from modalgap.data.summary import summary
    from modalgap.encode import Options
    from modalgap.encode.engine.output import check_output
    from modalgap.encode.verb import run as work

    check_output(output, overwrite=force)
    seeded = data.given(seed=seed)
    reading = data.given(**{each.name: given.pop(each.name, None) for each in fields(Reading)})
    template = given.pop("template", None)
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
            **given,
        ),
        **seeded,
        on_start=lambda source: data.note(summary(source)),
    )
    remark(done)
    return done


def run_items(
    source: str,
    models: dict[str, str],
    output: Path,
    *,
    seed: int | None,
    force: bool,
    **given: Any,
) -> EncodedItems:
    """Encode as ``run``, each modality by the model that ``models`` gives it.

    Raises:
        OptionError: an option for sources of two modalities.
    """
    from modalgap.data import read_items
    from modalgap.data.summary import summary
    from modalgap.encode import Options
    from modalgap.encode import run_items as work
    from modalgap.encode.engine.output import check_output

    check_output(output, overwrite=force)
    seeded = data.given(seed=seed)
    reading = data.given(**{each.name: given.pop(each.name, None) for each in fields(Reading)})
    other = [name for name in reading if name not in ("split", "root", "limit")]
    other += ["template"] if given.pop("template", None) else []
    if other:
        raise OptionError(
            f"--{other[0].replace('_', '-')}: is for one model of two modalities; with models by"
            " modality, columns are found by their names and types"
        )
    found = read_items(source, **reading, **seeded)
    done = work(
        found,
        models,
        output,
        Options(overwrite=force, **given),
        **seeded,
        on_start=lambda items: data.note(summary(items)),
    )
    remark(done)
    return done


def remark(done: Encoded | EncodedItems) -> None:
    """Say on stderr what was encoded, how fast, and what was cut or skipped."""
    from modalgap.data.summary import grouped
    from modalgap.encode import Encoded

    sides = done.data.sides
    total = sum(side.n for side in sides)
    counts = [f"{side.n:,} {side.modality}s" for side in sides]
    if len(sides) > 2:
        counts = [f"{side.n:,} {side.modality} rows" for side in sides]
    what = listed(counts)
    speed = (total - done.resumed) / max(done.seconds, 1e-9)
    again = f"; {done.resumed:,} were there already" if done.resumed else ""
    data.note(f"encoded {what} in {done.seconds:.1f} s, {speed:,.0f} per second{again}")
    if not isinstance(done, Encoded):
        data.note(f"{done.complete:,} items have a row of every modality")
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
