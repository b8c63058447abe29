"""The configuration of a training run: every setting, its default, and its rules.

A configuration is YAML, with the sections and keys of the fields below. ``base: NAME`` starts from
the settings of another configuration. An unknown key is an error that names the nearest known key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.checks import at_least, one_of, value_of, whole
from modalgap.errors import FileError, OptionError, quoted
from modalgap.extras import import_extra
from modalgap.train.parse import make

READY = Path(__file__).parent / "configs"
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
NEVER = (
    "devices",
    "nodes",
    "accelerator",
    "workers",
    "timeout",
    "checkpoint",
)  # do not change the numbers


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model to train.

    Attributes:
        architecture: a name from open_clip or of this package (``mad_cnn``, ``mad_vit``,
            ``emoji_cnn``, ``emoji_vit``, ``small_vit``), the path of a JSON file, or its contents;
            ignored if ``start`` is set.
        start: trained weights to start from: ``open_clip:NAME/TAG`` or ``open_clip:/path``.
        amended: rotate texts onto images before the first step (Liang et al. 2022).
    """

    architecture: str | dict[str, Any] = "mad_cnn"
    start: str | None = None
    amended: bool = False


@dataclass(frozen=True, kw_only=True)
class Data:
    """The training data.

    Attributes:
        source: ``mad``, a folder made by ``modalgap data mad``, or any source of ``modalgap
            encode``: a folder, CSV, TSV, tar shards, Parquet, the name of a data set.
        digits: for MAD: a folder of MNIST's files; by default the digits of scikit-learn.
        captions: for MAD: ``object_only`` or ``object_attribute_K``; or a mapping of ``object``,
            ``attributes`` and ``presence``.
        profiles: for MAD: whether a third tower encodes the profiles of the images.
        transforms: transforms of the captions, in order: ``half`` (the first or the second),
            ``quarter`` (one of four fixed ones), ``word_dropout:0.5``, ``keep:2``.
        split, root, image_column, text_column, label_column, separator, limit: as for ``modalgap
            encode``.
        cells: the content of a cell or a caption file, ``one`` or ``several``: ``--captions`` of
            ``modalgap encode``.
        held_out: fraction or number of images that are never trained on; for MAD a fraction of the
            digits.
        held_out_by: a factor of the data; images with equal values are held out together, so that
            none of their captions is trained on.
        augment: whether images are randomly cropped.
    """

    source: str = "mad"
    digits: str | None = None
    captions: str | dict[str, Any] = "object_only"
    profiles: bool = False
    transforms: list[str] = field(default_factory=list)
    split: str | None = None
    root: str | None = None
    image_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    cells: str | None = None
    separator: str | None = None
    limit: int | None = None
    held_out: float = 0.2
    held_out_by: str | None = None
    augment: bool = True

    def __post_init__(self) -> None:
        if self.limit is not None:
            whole("data.limit", self.limit, 4)
        at_least("data.held_out", self.held_out, 0)
        if self.held_out >= 1 and self.held_out != int(self.held_out):
            raise OptionError(
                f"data.held_out must be a fraction below 1 or a whole number; got"
                f" {quoted(self.held_out)}"
            )


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """The temperature τ, which divides the cosines.

    Attributes:
        initial: τ at the first step; None keeps the value of the model.
        mode: ``learnable``, ``frozen``, or ``scheduled``: from ``initial`` to ``final``.
        final: τ at the last step, if scheduled; the logarithm changes linearly.
        lowest, highest: limits to which a learnable τ is clamped.
    """

    initial: float | None = None
    mode: str = "learnable"
    final: float | None = None
    lowest: float = 0.01
    highest: float | None = None

    def __post_init__(self) -> None:
        one_of("temperature.mode", self.mode, ("learnable", "frozen", "scheduled"))
        for name in ("initial", "final", "lowest", "highest"):
            if (value := getattr(self, name)) is not None:
                at_least(f"temperature.{name}", value, 1e-6)
        if (self.mode == "scheduled") != (self.final is not None):
            raise OptionError("temperature.final needs temperature.mode: scheduled")
        if self.mode == "scheduled" and self.initial is None:
            raise OptionError("temperature.initial is required with temperature.mode: scheduled")
        if self.highest is not None and self.highest <= self.lowest:
            raise OptionError(
                f"temperature.highest must be above lowest, {self.lowest}; got {self.highest}"
            )


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """AdamW; gains, biases and the temperature have no weight decay.

    Attributes:
        lr: learning rate after warm-up.
        warmup: number of steps in which the rate rises from 0; below 1, a fraction of all steps.
        schedule: ``cosine`` to 0, or ``constant``.
        betas, eps, weight_decay: as in AdamW.
        clip: maximum norm of the gradient; None does not clip.
    """

    lr: float = 1e-3
    warmup: float = 0
    schedule: str = "cosine"
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    eps: float = 1e-6
    weight_decay: float = 0.2
    clip: float | None = None

    def __post_init__(self) -> None:
        at_least("optimiser.lr", self.lr, 0, 1e30)
        at_least("optimiser.eps", self.eps, 1e-20)
        at_least("optimiser.weight_decay", self.weight_decay, 0)
        at_least("optimiser.warmup", self.warmup, 0)
        if self.warmup >= 1 and self.warmup != int(self.warmup):
            raise OptionError(
                f"optimiser.warmup must be a fraction below 1 or a whole number; got"
                f" {quoted(self.warmup)}"
            )
        one_of("optimiser.schedule", self.schedule, ("cosine", "constant"))
        if len(self.betas) != 2:
            raise OptionError(f"optimiser.betas must be two numbers; got {quoted(self.betas)}")
        for beta in self.betas:
            at_least("optimiser.betas", beta, 0, 0.999999)
        if self.clip is not None:
            at_least("optimiser.clip", self.clip, 1e-12)


@dataclass(frozen=True, kw_only=True)
class Swap:
    """Modality swapping (Yaras et al. 2024, arXiv 2412.07909).

    Attributes:
        share: fraction of the pairs in a batch whose two features are swapped.
        kind: ``hard`` swaps them, ``soft`` mixes them by a random fraction.
    """

    share: float = 0.0
    kind: str = "hard"

    def __post_init__(self) -> None:
        at_least("swap.share", self.share, 0, 1)
        one_of("swap.kind", self.kind, ("hard", "soft"))


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Logging and measurements during training.

    Attributes:
        every: steps between lines of the loss.
        measure: steps between measurements on held-out pairs; 0 measures only at the end.
        rows: maximum number of held-out images in a measurement.
        tensorboard: whether to write TensorBoard files too.
    """

    every: int = 10
    measure: int = 100
    rows: int = 2000
    tensorboard: bool = True

    def __post_init__(self) -> None:
        whole("watch.every", self.every, 1)
        whole("watch.measure", self.measure, 0)
        whole("watch.rows", self.rows, 4)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Checkpoints, from which an interrupted run resumes.

    Attributes:
        every: steps between two checkpoints.
        keep: number of checkpoints to keep.
    """

    every: int = 200
    keep: int = 2

    def __post_init__(self) -> None:
        whole("checkpoint.every", self.every, 1)
        whole("checkpoint.keep", self.keep, 1)


@checked
@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run.

    Attributes:
        batch: pairs per step, over all processes.
        accumulate: number of parts in which a process encodes its pairs; the loss is still that of
            the whole batch.
        steps, epochs: length of the run; set one of the two. 0 steps keep the random weights.
        losses: maps a name to a weight, or to a mapping of ``weight`` and the loss's options.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        accelerator, devices, nodes: as in Lightning Fabric; settings of torchrun are detected.
        workers: number of decoding processes; None is one per processor, at most 8.
        timeout: seconds that a process waits for the others within a step. Then it reports the
            missing process, and ends.
        seed: seed of weights, order, images and captions.
    """

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    losses: dict[str, Any] = field(default_factory=lambda: {"infonce": 1.0})
    temperature: Temperature = field(default_factory=Temperature)
    optimiser: Optimiser = field(default_factory=Optimiser)
    swap: Swap = field(default_factory=Swap)
    watch: Watch = field(default_factory=Watch)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    batch: int = 256
    accumulate: int = 1
    steps: int | None = None
    epochs: float | None = None
    precision: str = "fp32"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int | None = None
    timeout: float = 600.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole("batch", self.batch, 2)
        whole("accumulate", self.accumulate, 1)
        for name in ("devices", "nodes"):
            whole(name, getattr(self, name), 1)
        whole("seed", self.seed, 0, 2**31 - 1)
        if self.workers is not None:
            whole("workers", self.workers, 0)
        at_least("timeout", self.timeout, 1, 1e6)
        one_of("precision", self.precision, tuple(PRECISIONS))
        one_of("accelerator", self.accelerator, ("auto", "cpu", "cuda", "mps"))
        if (self.steps is None) == (self.epochs is None):
            given = "neither" if self.steps is None else "both"
            raise OptionError(f"set either steps or epochs; got {given}")
        if self.steps is not None:
            whole("steps", self.steps, 0)
        if self.epochs is not None:
            at_least("epochs", self.epochs, 1e-9)
        if self.swap.share and self.data.profiles:
            raise OptionError("swap.share: swaps two modalities; it must be 0 with data.profiles")
        if self.precision == "fp16" and self.accumulate > 1:
            raise OptionError("precision fp16 cannot accumulate; use bf16, or accumulate: 1")

    def plain(self) -> dict[str, Any]:
        """The settings as plain values, for YAML and JSON."""
        return asdict(self)

    def plan(self) -> dict[str, Any]:
        """The settings that change the numbers."""
        return {key: value for key, value in self.plain().items() if key not in NEVER}


def ready() -> dict[str, Path]:
    """The configurations of this package: maps a name to a file."""
    return {path.stem: path for path in sorted(READY.glob("*.yaml"))}


@checked
def load_config(
    what: str | Path | Mapping[str, Any] | Config, settings: Sequence[str] = ()
) -> Config:
    """Load the configuration of a run.

    Args:
        what: the name of a configuration in this package, the path of a YAML file, a mapping, or a
            ``Config``.
        settings: ``key=value`` or ``section.key=value``; they replace other values.

    Raises:
        FileError: the file is not YAML.
        OptionError: an unknown name or key, or an invalid value.
    """
    if not isinstance(what, str | Path | Mapping | Config):
        raise OptionError(f"config: must be a name, a path or a mapping; got {type(what).__name__}")
    if isinstance(settings, str) or not isinstance(settings, Sequence):
        raise OptionError(f"settings: must be a list of key=value; got {quoted(settings)}"[:200])
    if isinstance(what, Config):
        found = what.plain()
    elif isinstance(what, Mapping):
        found = _based(dict(what), Path(), ())
    else:
        found = _read(what, ())
    for each in map(str, settings):
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"--set: must be key=value; got {quoted(each)}")
        _put(found, key.strip().split("."), _typed(value))
    made: Config = make(Config, found, "")
    return made


def _read(what: str | Path, seen: tuple[str, ...], near: Path = Path()) -> dict[str, Any]:
    yaml = import_extra("yaml", "train", "a configuration")
    known = ready()
    try:
        path = known.get(str(what)) or (near / Path(what).expanduser()).resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, unknown home, a NUL
        raise FileError(
            f"config: {quoted(str(what)[:80])} cannot be a path ({error})"[:200]
        ) from error
    if str(path) in seen:
        raise FileError(f"{path}: is based on itself")
    if not there:
        if path.suffix in (".yaml", ".yml"):
            raise FileError(f"{path}: no such file")
        raise OptionError.unknown("configuration", str(what), known)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise FileError(f"{path}: must be YAML ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(found, dict):
        raise FileError(f"{path}: must hold keys and values; holds {type(found).__name__}")
    return _based(found, path.parent, (*seen, str(path)))


def _based(found: dict[Any, Any], near: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    base = found.pop("base", None)
    if base is None:
        return found
    return _over(_read(str(base), seen, near), found)


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` updated with ``above``, section by section; losses are replaced as a whole."""
    made = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _over(made[key], value) if both and key != "losses" else value
    return made


def _put(found: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = found.get(key)
        found[key] = dict(inner) if isinstance(inner, Mapping) else {}
        found = found[key]
    found[keys[-1]] = value


def _typed(text: str) -> Any:
    yaml = import_extra("yaml", "train", "a configuration")
    try:
        found = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise OptionError(f"--set: the value must be YAML; got {quoted(text[:80])}") from error
    return value_of(found) if isinstance(found, str) and "," not in found else found  # 1e-3
