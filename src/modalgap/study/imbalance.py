"""Imbalance: the more of an image its caption tells, the smaller the gap and the object bias.

Models are trained on MAD with captions of the digit and k of five attributes, k = 0 … 5, and
measured on looks of held-out digits. Source: Schrodi et al. 2025, section 5.
Expected: for k = 1 … 5, ``rmg`` and both ``moad`` fall as k grows. k = 0 is another regime: its
captions are class labels.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from modalgap.arguments import checked
from modalgap.checks import several, whole
from modalgap.data.mad import build, digits
from modalgap.data.mad.captions import MOST
from modalgap.errors import OptionError
from modalgap.measure.intervals import student_t
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import check_settings, keep, kept, train_all
from modalgap.study.judge import LOOKS, judged_run
from modalgap.train import Config, load_config

OWN = ("data.captions", "data.source", "data.digits", "seed")  # decided here
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "moad_image": "MOAD, images",
    "moad_text": "MOAD, texts",
    "accuracy_object": "digit accuracy",
    "accuracy_attributes": "attribute accuracy",
    "temperature": "τ",
    "logit_entropy_image": "entropy, image to text",
}


@checked
def imbalance(
    output: str | Path,
    *,
    attributes: Sequence[int] = tuple(range(MOST + 1)),
    seeds: int = 1,
    source: str | Path | None = None,
    jobs: int | None = None,
    settings: Sequence[str] = (),
    overwrite: bool = False,
) -> Table:
    """Train models whose captions tell more and more, and measure them.

    Args:
        output: folder of the runs and of ``study.json``. What is there is not made again.
        attributes: numbers of attributes in captions.
        seeds: runs of each. With one, intervals are over held-out digits; with more, over runs.
        source: folder of MNIST's files; by default the digits of scikit-learn.
        jobs: models trained at once; by default one for each two processors.
        settings: ``section.key=value``, laid over the configuration ``mad``.
        overwrite: discard runs made with other settings and start over.

    Returns:
        A row for each number of attributes.

    Raises:
        OptionError: numbers that nothing has.
        ModalgapError: a run failed; the others are kept.
    """
    counts = several("attributes", attributes)
    for count in counts:
        whole("attributes", count, 0, MOST)
    if len(set(counts)) < len(counts) or not counts:
        raise OptionError(f"attributes: must be different numbers; got {list(counts)}")
    whole("seeds", seeds, 1, 1000)
    check_settings(settings, OWN)
    folder = Path(output)
    own = [] if source is None else [f"data.digits={source}"]
    configs: dict[str, Config] = {}
    for count in counts:
        for seed in range(seeds):
            said = [f"data.captions=object_attribute_{count}" if count else
                    "data.captions=object_only"]  # fmt: skip
            said += [*own, "watch.tensorboard=false", *settings, f"seed={seed}"]
            configs[f"k{count}_seed{seed}"] = load_config("mad", said)
    plan = {"attributes": list(counts), "seeds": seeds, "looks": LOOKS}
    plan |= {"runs": {name: config.plan() for name, config in configs.items()}}
    if (found := kept(folder, plan)) is not None:
        return found
    runs = train_all(configs, folder, jobs=jobs, overwrite=overwrite)
    first = next(iter(configs.values()))
    mad = build(digits(first.data.digits, held_out=first.data.held_out, limit=first.data.limit))
    judged: dict[str, dict[str, Value]] = {}
    with progress("measuring", len(runs)) as advance:
        for name, run in runs.items():
            judged[name] = judged_run(run, mad)
            advance(1)
    rows = {
        str(count): _over_seeds([judged[f"k{count}_seed{seed}"] for seed in range(seeds)])
        for count in counts
    }
    notes = [
        f"{len(mad.test)} held-out digits of {mad.name}, {LOOKS} looks each",
        "intervals: 95 %, " + ("over held-out digits" if seeds == 1 else f"over {seeds} runs"),
    ]
    table = Table(
        name="imbalance",
        source="Schrodi et al. 2025, section 5",
        vary="attributes",
        rows=rows,
        heads={
            name: head for name, head in HEADS.items() if any(name in row for row in rows.values())
        },
        settings=plan,
        notes=notes,
    )
    keep(table, folder)
    return table


def _over_seeds(found: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Means over runs, with Student's interval; of one run, its own."""
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
