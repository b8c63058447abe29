"""modalgap close: one command per closer, and fit, apply, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import CLOSERS, SPELT_OUT, methods, placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.cli.settings import settings
from modalgap.errors import InputError, OptionError

ABOUT = (
    "Close the modality gap: fit a map on a sample, apply it to other embeddings. A closer is a"
    " method that reduces the gap by changing the embeddings. Fitting a closer returns a map. close"
    " METHOD fits a closer to a file and applies the map to the same file."
)
Map = Annotated[Path, typer.Argument(metavar="MAP", help="A map that close fit wrote.")]


class Form(StrEnum):
    """What a map can be exported as."""

    json = "json"
    onnx = "onnx"
    model = "model"


@placed
@spread
def close(
    method: str,
    inputs: Inputs,
    output: options.Closed = Path("closed.safetensors"),
    sets: options.Settings = None,
    seed: options.Seed = None,
    force: options.Force = False,
) -> None:
    """Fit a closer to embeddings and close the same embeddings."""
    import warnings

    from modalgap.close.registry import CLOSERS
    from modalgap.close.remarks import remarks
    from modalgap.close.verb import close as run
    from modalgap.embeddings import Embeddings
    from modalgap.embeddings.saving import save

    data.check_output(output, force=force)
    inputs.not_the_output(output)
    given = settings(sets, [CLOSERS[method]], seed=seed)
    found = inputs.read()
    if isinstance(found, Embeddings):
        raise InputError(f"close {method} needs two modalities; this is one")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        closed = run(found, method, **given)
    typer.echo(save(closed, output, overwrite=force))
    inputs.remark(found)
    for remark in remarks(CLOSERS[method].card, found):
        data.note(remark)
    for warning in caught:
        data.note(str(warning.message))


@placed
@spread
def fit(
    method: str,
    inputs: Inputs,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Map to write: .safetensors.")
    ] = Path("map.safetensors"),
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="For isoclip, instead of INPUT: LIBRARY:MODEL with the projection weights to use.",
            show_default=False,
        ),
    ] = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    force: options.Force = False,
) -> None:
    """Fit a closer to embeddings, or to the weights of a model, and write the map."""
    from modalgap.atomic import check_target
    from modalgap.close.registry import CLOSERS
    from modalgap.close.remarks import remarks
    from modalgap.close.verb import fit as run

    check_target(output, overwrite=force)
    inputs.not_the_output(output)
    given = settings(sets, [CLOSERS[method]], seed=seed)
    if model is None:
        found = inputs.read()
        map_ = run(found, method, **given)
        map_.save(output, overwrite=force)
        inputs.remark(found)
        for remark in remarks(CLOSERS[method].card, found):
            data.note(remark)
    elif inputs.any:
        raise OptionError("--model: must be given without embeddings, as only weights are used")
    else:
        map_ = run(_weights(model), method, **given)
        map_.save(output, overwrite=force)
    for name, value in map_.facts.items():
        data.note(f"{name}: {_shown(value)}")
    typer.echo(output)


app = methods("close", ABOUT, CLOSERS, close, of_methods=SPELT_OUT)
fits = methods(
    "fit",
    "Fit a closer to a sample and write its map: close fit METHOD. Transductive closers (see:"
    " modalgap list closers) have no map: use close METHOD.",
    CLOSERS,
    fit,
    of_methods=SPELT_OUT,
)
app.add_typer(fits)


@fits.command("zscore")
@placed
@spread
def fit_zscore(
    inputs: Inputs,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Score scaler to write: .json.")
    ] = Path("scales.json"),
    estimate: Annotated[
        str,
        typer.Option(
            "--estimate",
            help="closed: from means and covariances. pairs: counted over pairs that do not match."
            " best: from each query's best score.",
        ),
    ] = "closed",
    seed: options.Seed = None,
    force: options.Force = False,
) -> None:
    """Fit means and deviations of scores, for mixed search; vectors stay as they are."""
    from modalgap.atomic import check_target
    from modalgap.close.scores import ScoreScaler
    from modalgap.embeddings import Embeddings

    check_target(output, overwrite=force)
    inputs.not_the_output(output)
    found = inputs.read()
    sample = {found.modality: found} if isinstance(found, Embeddings) else found
    scaler = ScoreScaler.fit(sample, estimate, **data.given(seed=seed))
    scaler.save(output, overwrite=force)
    inputs.remark(found)
    for query, forms in scaler.scales.items():
        for form, (mean, deviation) in forms.items():
            data.note(f"{query} queries, {form} documents: mean {mean:.4f}, sd {deviation:.4f}")
    typer.echo(output)


@app.command()
@placed
@spread
def apply(
    map_: Map,
    inputs: Inputs,
    output: options.Closed = Path("closed.safetensors"),
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Replace existing files, and allow embeddings of another model."
        ),
    ] = False,
) -> None:
    """Apply a map to embeddings. Files larger than memory are read in parts."""
    from modalgap.close.affine import load
    from modalgap.embeddings.saving import save

    data.check_output(output, force=force)
    inputs.not_the_output(output, map_)
    closing = load(map_)
    found = inputs.read()
    typer.echo(save(closing.apply(found, force=force), output, overwrite=force))
    inputs.remark(found)


@app.command()
def export(
    map_: Map,
    form: Annotated[
        Form | None,
        typer.Option(
            "--to",
            help="Format to write (default: onnx if OUTPUT ends in .onnx, else json). onnx needs"
            " --role; model needs --model.",
            show_default=False,
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--role",
            help="With --to onnx: role to export, such as image or text.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="With --to model: model to save with the map, st:MODEL, hf:MODEL or"
            " open_clip:MODEL.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write; with --to model, a new or empty folder (default: the path of MAP"
            " with another extension).",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace an existing file; with --to model, allow a map that was fitted on"
            " another model.",
        ),
    ] = False,
) -> None:
    """Write a map as plain numbers (JSON) or as an ONNX file, or save a model with it.

    With --to model, the library of the model loads the folder without modalgap.
    """
    from modalgap.atomic import replacing
    from modalgap.close.affine import load
    from modalgap.close.exports import to_json, to_model, to_onnx

    if form is None:
        form = Form.onnx if output is not None and output.suffix.lower() == ".onnx" else Form.json
    if (form is Form.model) != (model is not None):
        got = "none" if model is None else f"--to {form.value}"
        raise OptionError(f"--model: must be given with --to model, and only then; got {got}")
    if role is not None and form is not Form.onnx:
        raise OptionError(f"--role: must be given only with --to onnx; got --to {form.value}")
    closing = load(map_)
    output = output or map_.with_suffix(f".{form.value}")
    data.not_an_input(output, map_)
    if model is not None:
        to_model(closing, model, output, force=force)
    elif form is Form.onnx:
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


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value)
