"""The story of the demo: two models that differ in what their captions tell, and what follows.

One model reads short captions (the digit and one attribute), the other full ones. Both are
measured; the gap of the first is closed by centring; and the answers of all are tried under noise.
Source: Schrodi et al. 2025, section 5; closing and noise: Chowers et al. 2026, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.close import fit
from modalgap.data.mad import build, contact_sheet, digits
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load, save
from modalgap.encode import load_model
from modalgap.errors import FileError
from modalgap.evaluate import evaluate
from modalgap.result import Table, Value
from modalgap.study.base import check_settings, keep, kept, train_all
from modalgap.study.judge import classified, embed, judge, temperature_of
from modalgap.train import load_config
from modalgap.train.captions import captions_of

CAPTIONS = {"short": "object_attribute_1", "full": "object_attribute_5"}
ROWS = {"short": "short captions", "full": "full captions", "closed": "short, centred"}
SIGMAS = (0.05, 0.1, 0.2)
METHOD = "center"
DIGIT = 3  # whose looks are shown
OWN = ("data.captions", "data.source")  # decided here
SETTINGS = ("steps=450", "watch.measure=150", "watch.tensorboard=false")
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    "moad_image": "object bias, images",
    "accuracy_object": "digit accuracy",
    "accuracy_attributes": "attribute accuracy",
    **{f"noise_{sigma:g}": f"digit accuracy, noise {sigma:g}" for sigma in SIGMAS},
}


@checked
@dataclass(frozen=True, kw_only=True)
class Story:
    """What the demo tells.

    Attributes:
        table: a row for each model, and for the closed one.
        pairs: "short", "full", "closed" to the embeddings of held-out looks.
        sheet: (h, w, 3) all looks of one digit.
        folder: where everything lies.
        fresh: whether it was made now, or was there.
    """

    table: Table
    pairs: dict[str, Pair]
    sheet: Any
    folder: Path
    fresh: bool


@checked
def story(
    output: str | Path,
    *,
    settings: tuple[str, ...] = (),
    jobs: int | None = None,
    overwrite: bool = False,
) -> Story:
    """Train two models, measure both, close the gap of one, try all under noise.

    Args:
        output: folder. What is there is not made again.
        settings: ``section.key=value``, laid over the configuration ``mad``.
        jobs: models trained at once; by default one for each two processors.
        overwrite: discard results made with other settings and start over.

    Raises:
        ModalgapError: something could not be made; what is there is kept.
    """
    check_settings(settings, OWN)
    folder = Path(output)
    configs = {
        name: load_config("mad", [*SETTINGS, f"data.captions={said}", *settings])
        for name, said in CAPTIONS.items()
    }
    plan = {
        "method": METHOD,
        "sigmas": list(SIGMAS),
        "runs": {name: config.plan() for name, config in configs.items()},
    }
    data = next(iter(configs.values())).data
    found = kept(folder, plan)
    mad = build(digits(data.digits, held_out=data.held_out, limit=data.limit))
    sheet = np.asarray(contact_sheet(mad, _example(mad.labels)))
    files = {name: folder / f"{name}.safetensors" for name in ROWS}
    if found is not None and all(path.is_file() for path in files.values()):
        try:
            there = {name: load(path) for name, path in files.items()}
        except FileError:  # damaged: made again
            pass
        else:
            return Story(table=found, pairs=there, sheet=sheet, folder=folder, fresh=False)
    runs = train_all(configs, folder / "runs", jobs=jobs, overwrite=overwrite)
    rows: dict[str, dict[str, Value]] = {}
    pairs = {}
    for name, run in runs.items():
        captions = captions_of(run.config.data.captions)
        encoder = load_model(run.spec)
        pair = embed(run, mad, captions)
        classes = classified(pair, encoder, captions)
        tau = temperature_of(encoder)
        pairs[name] = pair
        rows[ROWS[name]] = judge(pair, classes, tau) | _under_noise(classes["object"])
        if name == "short":
            closing = fit(pair, METHOD)
            pairs["closed"] = closing.apply(pair)
            closed = {
                factor: Pair(
                    pairs["closed"].image,
                    Embeddings(closing.text(each.text.unit()), "text", names=each.text.names),
                    labels=each.labels,
                )
                for factor, each in classes.items()
            }
            rows[ROWS["closed"]] = judge(pairs["closed"], closed, tau) | _under_noise(
                closed["object"]
            )
    for name, path in files.items():
        save(pairs[name], path, overwrite=True)
    table = Table(
        name="demo",
        source="Schrodi et al. 2025, section 5; Chowers et al. 2026, section 3",
        vary="model",
        rows={row: rows[row] for row in ROWS.values()},
        heads=HEADS,
        settings=plan,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, in several looks each",
            "intervals: 95 %, over held-out digits",
            f"closed: {METHOD}, fitted on the same looks",
        ],
    )
    keep(table, folder)
    pairs = {name: load(path) for name, path in files.items()}
    return Story(table=table, pairs=pairs, sheet=sheet, folder=folder, fresh=True)


def _example(labels: Any) -> int:
    """The first of that digit, or the first of all."""
    return int((labels == DIGIT).argmax())


def _under_noise(classes: Pair) -> dict[str, Value]:
    """Digit accuracy when Gaussian noise falls on images and prompts."""
    found = evaluate(classes, "robustness", sigmas=SIGMAS, bins=(16,), indexes=())
    return {
        f"noise_{sigma:g}": found[f"robustness.gaussian_{sigma:g}_accuracy"] for sigma in SIGMAS
    }
