"""A run: the model, the data and the devices of a configuration, put together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from modalgap.atomic import replacing
from modalgap.data.find import read
from modalgap.data.mad import FACTORS, WORDS, Captions, Mad, digits
from modalgap.data.mad import build as build_mad
from modalgap.data.mad import load as load_mad
from modalgap.encode.trainable import Trainable, build, resume_from
from modalgap.errors import OptionError, OutputError
from modalgap.losses import Objective
from modalgap.train.batches import Batches, Share
from modalgap.train.captions import chain
from modalgap.train.config import PRECISIONS, Config
from modalgap.train.loop import Loop
from modalgap.train.mad_batches import MadBatches
from modalgap.train.source_batches import SourceBatches
from modalgap.train.verb import CONFIG, MODEL
from modalgap.unfinished import work_folder

MOST_WORKERS = 8
OWN_NAMES = (CONFIG, MODEL, "log.jsonl", "checkpoints", "tensorboard")
READING = ("split", "root", "image_column", "text_column", "limit")
HASHED = {"pairs": "the images or captions have changed"}


def run(config: Config, folder: Path, *, overwrite: bool) -> tuple[list[str], int]:
    """Train; remarks on what was found in the folder, and the rank of this process."""
    objective = Objective.of(config.losses)
    fabric = _fabric(config)
    trainable, batches = _parts(config, fabric, objective)
    steps = _steps(config, batches.pairs)
    plan = {"kind": "train", **_dotted(config.plan()), "pairs": batches.fingerprint}
    with ExitStack() as stack:
        if fabric.global_rank == 0:
            _make_folder(folder)
            work = work_folder(folder / "checkpoints", plan, anew=overwrite, said=HASHED)
            stack.enter_context(work)
            _write_config(config, folder)
        fabric.barrier()
        loop = Loop(fabric, config, trainable, batches, objective, folder, steps)
        remarks = loop.run()
        if fabric.global_rank == 0:
            trainable.save(folder / MODEL)
        fabric.barrier()
    return remarks, int(fabric.global_rank)


def _fabric(config: Config) -> Any:
    """Lightning's Fabric, launched: torchrun's settings are found by itself."""
    world = config.devices * config.nodes
    if config.batch % world:
        raise OptionError(f"batch: must be a multiple of the {world} processes; got {config.batch}")
    precision: Any = PRECISIONS[config.precision]
    strategy: Any = DDPStrategy() if world > 1 else "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about processors, and GPUs that were not asked for
        try:
            fabric = Fabric(
                accelerator=config.accelerator,
                devices=config.devices,
                num_nodes=config.nodes,
                strategy=strategy,
                precision=precision,
            )
        except Exception as error:  # Lightning has several kinds for a device that is not there
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"accelerator: cannot use {config.accelerator!r} with {config.devices} devices"
                f" ({reason})"
            ) from error
        if config.precision == "fp16" and fabric.device.type == "cpu":
            raise OptionError("precision: fp16 needs a GPU; on the CPU take bf16 or fp32")
        fabric.launch()
    return fabric


def _parts(config: Config, fabric: Any, objective: Objective) -> tuple[Trainable, Batches]:
    """The model and what it is trained on."""
    share = Share(
        batch=config.batch,
        rank=fabric.global_rank,
        world=fabric.world_size,
        seed=config.seed,
        views="views" in objective.needs,
    )
    data = config.data
    if data.source == "mad" or (Path(data.source).expanduser() / "mad.json").is_file():
        captions = captions_of(data.captions)
        objects = FACTORS[captions.object]
        transform = chain(data.transforms, objects) if data.transforms else None
        mad = _mad(config)
        trainable = _model(config, words=WORDS)
        like = trainable.preprocessing
        side = like.size if isinstance(like.size, int) else like.size[0]
        found: Batches = MadBatches(
            mad, captions, transform, trainable.tokenizer, side, like.mean, like.std, share
        )
    else:
        transform = chain(data.transforms) if data.transforms else None
        options = {key: getattr(data, key) for key in READING}
        source = read(data.source, **options, seed=config.seed)
        trainable = _model(config, words=None)
        found = SourceBatches(
            source,
            transform,
            trainable.tokenizer,
            trainable.prepare(augment=data.augment),
            trainable.prepare(),
            trainable.prepare_view(),
            share,
            data.held_out,
            _workers(config.workers),
        )
    if "bias" in objective.needs and getattr(trainable.model, "logit_bias", None) is None:
        raise OptionError(
            "losses: siglip needs a bias: give the architecture init_logit_bias, as open_clip's"
            " SigLIP configurations do"
        )
    return trainable, found


def captions_of(said: str | Mapping[str, Any]) -> Captions:
    """The captions that a configuration asks for.

    Raises:
        OptionError: no such captions.
    """
    if isinstance(said, str):
        return Captions.named(said)
    known = ("object", "attributes", "presence")
    for key in said:
        if key not in known:
            raise OptionError.unknown("key of data.captions", str(key), known)
    return Captions(**said)


def _mad(config: Config) -> Mad:
    data = config.data
    if data.source != "mad":
        return load_mad(data.source)
    if data.held_out >= 1:
        raise OptionError(f"data.held_out: of MAD is a share below 1; got {data.held_out}")
    drawn = digits(data.digits, held_out=data.held_out, limit=data.limit)
    return build_mad(drawn)


def _model(config: Config, words: Sequence[str] | None) -> Trainable:
    if config.model.start is not None:
        return resume_from(config.model.start, seed=config.seed)
    return build(config.model.architecture, words=words, seed=config.seed)


def _steps(config: Config, pairs: int) -> int:
    """How many steps; or what stands in the way."""
    if pairs < config.batch:
        raise OptionError(
            f"batch: must be at most the number of pairs to train on, {pairs}; got {config.batch}"
        )
    steps = config.steps or max(1, round((config.epochs or 0) * (pairs // config.batch)))
    if config.optimiser.warmup > steps:
        raise OptionError(
            f"optimiser.warmup: must be at most the number of steps, {steps}; got"
            f" {config.optimiser.warmup}"
        )
    return steps


def _workers(asked: int | None) -> int:
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS) if asked is None else asked


def _dotted(values: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Nested settings as ``section.key``, so that a difference is named exactly."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _dotted(value, f"{name}{key}.")
        else:
            found[f"{name}{key}"] = value
    return found


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    names = [each.name for each in folder.iterdir()]
    others = [name for name in names if name not in OWN_NAMES and not name.startswith(".modalgap-")]
    if others and "checkpoints" not in names:
        raise OutputError(f"{folder}: must be missing, empty or of a run; found {others[0]}")


def _write_config(config: Config, folder: Path) -> None:
    with replacing(folder / CONFIG, overwrite=True) as file:
        text = yaml.safe_dump(config.plain(), sort_keys=False, allow_unicode=True)
        file.write(text.encode())
