"""modalgap close: fit, apply, run, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from modalgap.cli import data
from modalgap.cli.group import group
from modalgap.errors import OptionError, quoted

app = group(
    "close",
    "Close the gap: fit a map on a sample, apply it anywhere.",
    no_args_is_help=True,
)

Method = Annotated[
    str, typer.Option("--method", "-m", help="A closer; see: modalgap list closers.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of the closer, for instance alpha=0.5; may be repeated.",
        show_default=False,
    ),
]
Closed = Annotated[
    Path, typer.Option("--output", "-o", help="Closed embeddings: .safetensors, .npz, .parquet.")
]
Map = Annotated[Path, typer.Argument(metavar="MAP", help="What close fit wrote.")]


class Form(StrEnum):
    """What a map can be exported as."""

    json = "json"
    onnx = "onnx"


@app.command()
def fit(
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The map: .safetensors.")] = Path(
        "map.safetensors"
    ),
    method: Method = "center",
    options: Options = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="For isoclip: take the projection weights of a model.",
            show_default=False,
        ),
    ] = None,
    force: data.Force = False,
) -> None:
    """Fit a closer on a sample, or on the weights of a model, and keep the map."""
    from modalgap.atomic import check_target
    from modalgap.close.verb import fit as run

    check_target(output, overwrite=force)
    data.not_an_input(output, *(paths or ()), image, text, pairs)
    if model is not None:
        if paths or image or text:
            raise OptionError("--model: weights alone are fitted on; give no embeddings")
        map_ = run(_weights(model), method, **parse(options, "method"))
        map_.save(output, overwrite=force)
    else:
        found = data.read(paths, image, text, pairs)
        map_ = run(found, method, **parse(options, "method"))
        map_.save(output, overwrite=force)
        data.remark(found, paths)
    for name, value in map_.facts.items():
        data.note(f"{name}: {_said(value)}")
    typer.echo(output)


@app.command()
def apply(
    map_: Map,
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    output: Closed = Path("closed.safetensors"),
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite; and apply it to the vectors of another model."),
    ] = False,
) -> None:
    """Close embeddings by a map; what does not fit in memory is closed as it is read."""
    from modalgap.atomic import check_target
    from modalgap.close.affine import load
    from modalgap.embeddings.store import save

    check_target(output, overwrite=force)
    data.not_an_input(output, map_, *(paths or ()), image, text, pairs)
    closing = load(map_)
    found = data.read(paths, image, text, pairs)
    typer.echo(save(closing.apply(found, force=force), output, overwrite=force))
    data.remark(found, paths)


@app.command()
def run(
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    output: Closed = Path("closed.safetensors"),
    method: Method = "center",
    options: Options = None,
    force: data.Force = False,
) -> None:
    """Fit on embeddings and close the same ones; the only way for closers that are no maps."""
    import warnings

    from modalgap.atomic import check_target
    from modalgap.close.verb import close
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import save
    from modalgap.errors import InputError

    check_target(output, overwrite=force)
    data.not_an_input(output, *(paths or ()), image, text, pairs)
    found = data.read(paths, image, text, pairs)
    if not isinstance(found, Pair):
        raise InputError("close run needs two modalities; for one, fit a map and apply it")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        closed = close(found, method, **parse(options, "method"))
    typer.echo(save(closed, output, overwrite=force))
    data.remark(found, paths)
    for warning in caught:
        data.note(str(warning.message))


@app.command()
def export(
    map_: Map,
    form: Annotated[
        Form | None,
        typer.Option(
            "--to",
            help="json, or onnx (needs a role); by default what OUTPUT ends in, else json.",
            show_default=False,
        ),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="image, text, …", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.", show_default=False)
    ] = None,
    force: data.Force = False,
) -> None:
    """Write a map as plain numbers (JSON) or as an ONNX file."""
    from modalgap.atomic import replacing
    from modalgap.close.affine import load
    from modalgap.close.exports import to_json, to_onnx

    if form is None:
        form = Form.onnx if output is not None and output.suffix.lower() == ".onnx" else Form.json
    closing = load(map_)
    output = output or map_.with_suffix(f".{form.value}")
    data.not_an_input(output, map_)
    if form is Form.onnx:
        if role is None:
            raise OptionError(f"--role must be one of {', '.join(closing.roles)}; got none")
        to_onnx(closing, output, role, overwrite=force)
    else:
        with replacing(output, overwrite=force) as file:
            file.write(to_json(closing).encode())
    typer.echo(output)


def _weights(model: str) -> dict[str, Any]:
    """The projection weights of a model, by role."""
    from modalgap.encode import load_model

    found = load_model(model).projections()
    if found is None:
        raise OptionError(f"--model: {model} has no plain projections at the end of its towers")
    return dict(found)


def parse(options: list[str] | None, *reserved: str) -> dict[str, Any]:
    """NAME=VALUE as Python values; ``reserved`` names are given in another way."""
    from modalgap import checks

    found: dict[str, Any] = {}
    for each in options or ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise OptionError(f"--set must be NAME=VALUE; got {quoted(each)}")
        if name.strip() in (*reserved, "pair", "data", "work", "overwrite"):
            raise OptionError(f"--set {name.strip()}: is no option of this kind; see --help")
        found[name.strip()] = checks.value_of(value.strip())
    return found


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_said(each) for each in value)
    return str(value)
