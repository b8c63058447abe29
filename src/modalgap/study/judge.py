"""Evaluation of models trained on MAD: measures on held-out digits, with intervals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modalgap.data import Media
from modalgap.data.mad import Captions, Mad, build, digits, source
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, Options, load_model
from modalgap.encode import run as encode
from modalgap.measure import measure
from modalgap.measure.intervals import mean_interval, student_t
from modalgap.result import Value
from modalgap.train import Run
from modalgap.train.captions import captions_of
from modalgap.train.prompts import all_prompts

MEASURES = ("l2m", "l2i", "rmg", "matched_cosine", "cone", "moad", "logit_entropy_image",
            "logit_entropy_text")  # fmt: skip
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    "moad_image": "MOAD, images",
    "moad_text": "MOAD, texts",
    "accuracy_object": "digit accuracy",
    "accuracy_attributes": "attribute accuracy",
    "temperature": "τ",
    "logit_entropy_image": "entropy, image to text",
    "logit_entropy_text": "entropy, text to image",
}  # of the numbers of ``judge`` in tables
IMAGES = 6  # variants of each held-out digit


def heads(*names: str) -> dict[str, str]:
    """The heads of some numbers of ``judge``, in this order."""
    return {name: HEADS[name] for name in names}


def mad_of(runs: Mapping[str, Run]) -> Mad:
    """The training digits of these models, and the held-out digits."""
    data = next(iter(runs.values())).config.data
    return build(digits(data.digits, held_out=data.held_out, limit=data.limit))


def judged_run(run: Run, mad: Mad, captions: Captions | None = None) -> dict[str, Value]:
    """Apply ``judge`` to a trained model, on ``captions``; by default its training captions."""
    captions = captions or captions_of(run.config.data.captions)
    encoder = load_model(run.spec)
    pair = embed(run, mad, captions)
    return judge(pair, classified(pair, encoder, captions), temperature_of(encoder))


def temperature_of(encoder: Encoder) -> float:
    """τ."""
    assert encoder.logit_scale is not None  # noqa: S101 - models of open_clip have one
    return 1 / encoder.logit_scale


def embed(run: Run, mad: Mad, captions: Captions, seed: int = 0) -> Pair:
    """Held-out images and their captions encoded by the model, in memory."""
    found = source(mad, captions, images=IMAGES, seed=seed)
    options = Options(batch_size=256, workers=0, keep_repeats=True)
    made = encode(found, run.spec, options=options)
    assert isinstance(made.data, Pair)  # noqa: S101 - the source has both sides
    return made.data


def embedded_images(run: Run, mad: Mad, seed: int = 0) -> Media:
    """The images that ``embed`` encodes, with the same names."""
    found = source(mad, captions_of(run.config.data.captions), images=IMAGES, seed=seed)
    assert found.media is not None  # noqa: S101 - the source has both sides
    return found.media


def judge(pair: Pair, classes: Mapping[str, Pair], temperature: float) -> dict[str, Value]:
    """Measures, temperature, and the accuracy of each factor by its prompts: name to value.

    Args:
        pair: the result of ``embed``, before or after closing the gap.
        classes: the result of ``classified``, closed by the same map.
        temperature: temperature of the model.
    """
    result = dict(measure(pair, MEASURES, temperature=temperature).measures)
    result["temperature"] = Value(temperature)
    digit = digits_of(pair)
    right = {
        name: (each.image.unit() @ each.text.unit().T).argmax(1).numpy() == each.labels
        for name, each in classes.items()
    }
    result |= {f"accuracy_{name}": share(each, digit) for name, each in right.items()}
    attributes = [each for name, each in right.items() if name != "object"]
    if attributes:
        result["accuracy_attributes"] = share(np.mean(attributes, axis=0), digit)
    return result


def classified(pair: Pair, encoder: Encoder, captions: Captions, seed: int = 0) -> dict[str, Pair]:
    """For each factor that captions name: the images, one text row per value, and the labels.

    The row of a value is the mean of the unit features of its prompts.
    """
    result = {}
    for name, values in all_prompts(captions, seed).items():
        rows = [_features(encoder, list(each)).mean(0) for each in values.values()]
        codes = {value: code for code, value in enumerate(values)}
        labels = [codes[str(value)] for value in pair.image.factors[name]]
        text = Embeddings(torch.stack(rows), "text", names=list(values))
        result[name] = Pair(pair.image, text, labels=labels)
    return result


def digits_of(pair: Pair) -> NDArray[np.int64]:
    """The digit of each image of a pair made by ``embed``."""
    return np.array([int(name.partition("/")[0]) for name in pair.image.names or ()])


def logged(run: Run, name: str) -> tuple[list[float], list[float]]:
    """Steps, and a measurement on the held-out pairs at each of them, from the log of a run."""
    lines = [line for line in run.log if name in line.get("held_out", {})]
    return [float(line["step"]) for line in lines], [line["held_out"][name] for line in lines]


def share(values: NDArray[Any], digit: NDArray[np.int64]) -> Value:
    """Mean over images, between 0 and 1, with its interval; images of one digit are dependent."""
    values = values.astype(np.float64)
    return Value(float(values.mean()), mean_interval(digit, values, 0.0, 1.0))


@torch.inference_mode()
def _features(encoder: Encoder, sentences: list[str]) -> Tensor:
    return functional.normalize(encoder.encode_text(encoder.tokenize(sentences)).float(), dim=1)


def over_seeds(found: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Means over runs with Student's interval; for one run, its own values."""
    if len(found) == 1:
        return {name: Value(value.value, value.interval) for name, value in found[0].items()}
    made = {}
    for name in found[0]:
        values = [each[name].value for each in found if name in each]
        if len(values) < len(found):
            continue
        middle = statistics.fmean(values)
        half = student_t(len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
        made[name] = Value(middle, (middle - half, middle + half), details={"runs": values})
    return made
