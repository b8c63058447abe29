"""A run: build the model, the data and the devices of a configuration."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from modalgap.atomic import TEMPORARY, replacing
from modalgap.data.find import named, read
from modalgap.data.mad import FACTORS, WORDS, Mad, digits
from modalgap.data.mad import build as build_mad
from modalgap.data.mad import load as load_mad
from modalgap.data.summary import summary
from modalgap.encode.trainable import Trainable, build, resume_from
from modalgap.encode.word_tokenizer import vocabulary
from modalgap.ending import end_with_launcher, guarded, launching
from modalgap.errors import ModalgapError, OptionError, OutputError, quoted
from modalgap.losses import Objective
from modalgap.train.batches import Batches, Sampler, hash_of
from modalgap.train.captions import captions_of, chain
from modalgap.train.config import PRECISIONS, Config, Data
from modalgap.train.heartbeat import Peers, explained
from modalgap.train.loop import HELD_OUT, Loop
from modalgap.train.mad_batches import MadBatches
from modalgap.train.profile_tower import PROFILE, made_tower
from modalgap.train.result import CONFIG, MODEL
from modalgap.train.source_batches import SourceBatches, sentences
from modalgap.waiting import passive_children
from modalgap.work import processors, work_folder

MOST_WORKERS = 8
MARGIN = 60.0  # seconds added to the time limit of a collective
MAD_KEYS = ("captions", "profiles", "transforms")
SOURCE_KEYS = ("cells", "source", "transforms", "held_out", "held_out_by", "augment")
READING = ("split", "root", "image_column", "text_column", "label_column", "separator", "limit")
HASHED = {"pairs": "the images or captions have changed"}


def run(config: Config, folder: Path, *, overwrite: bool) -> tuple[list[str], int]:
    """Train; return remarks on the folder, and the rank of this process."""
    objective = Objective.of(config.losses)
    if config.devices * config.nodes == 1:
        return _run(config, folder, objective, _fabric(config), None, overwrite=overwrite)
    _check_batch(config)
    end_with_launcher()
    with guarded():
        fabric = _fabric(config)
        with Peers(fabric, config.timeout) as peers, explained(peers):
            return _run(config, folder, objective, fabric, peers, overwrite=overwrite)


def _run(
    config: Config,
    folder: Path,
    objective: Objective,
    fabric: Any,
    peers: Peers | None,
    *,
    overwrite: bool,
) -> tuple[list[str], int]:
    with ExitStack() as stack:
        refusal = None
        try:
            trainable, batches = _parts(config, fabric, objective)
            steps = _steps(config, batches.pairs)
            plan = {"kind": "train", **_dotted(config.plan()), "pairs": batches.fingerprint}
            if fabric.global_rank == 0:
                _make_folder(folder)
                work = work_folder(
                    folder / "checkpoints", plan, overwrite=overwrite, changed=HASHED
                )
                stack.enter_context(work)
                _begin(config, folder)
        except ModalgapError as error:
            refusal = error
        refused = fabric.broadcast(refusal is not None)
        if refused and fabric.global_rank > 0:  # the first process reports the error
            raise SystemExit(2)
        if refusal is not None:
            raise refusal
        mark = hash_of(json.dumps(plan, sort_keys=True))
        loop = Loop(fabric, config, trainable, batches, objective, folder, steps, mark, peers)
        about = [summary(batches.source)] if isinstance(batches, SourceBatches) else []
        remarks = [*about, *loop.run(), *_remarks(fabric, trainable)]
        if fabric.global_rank == 0:
            trainable.save(folder / MODEL)
        fabric.barrier()
    return remarks, int(fabric.global_rank)


def _check_batch(config: Config) -> None:
    world = config.devices * config.nodes
    if config.batch % world:
        raise OptionError(f"batch: must be a multiple of the {world} processes; got {config.batch}")


def _fabric(config: Config) -> Any:
    """Lightning's Fabric, launched; it detects the settings of torchrun."""
    world = config.devices * config.nodes
    precision: Any = PRECISIONS[config.precision]
    limit = timedelta(seconds=config.timeout + MARGIN)
    strategy: Any = DDPStrategy(timeout=limit) if world > 1 else "auto"
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # banners
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about processors, and GPUs that are not used
        try:
            fabric = Fabric(
                accelerator=config.accelerator,
                devices=config.devices,
                num_nodes=config.nodes,
                strategy=strategy,
                precision=precision,
            )
        except Exception as error:  # Lightning raises several types for a missing device
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"accelerator: cannot use {quoted(config.accelerator)} with"
                f" {config.devices} devices"
                f" ({reason})"
            ) from error
        if config.precision == "fp16" and fabric.device.type == "cpu":
            raise OptionError("precision: fp16 needs a GPU; on the CPU use bf16 or fp32")
        try:
            with launching(), passive_children():
                fabric.launch()
        except torch.distributed.DistStoreError as error:
            reason = " ".join(str(error).split())[:160]
            raise ModalgapError(
                f"the {world} processes cannot reach each other ({reason})"
            ) from error
    return fabric


def _parts(config: Config, fabric: Any, objective: Objective) -> tuple[Trainable, Batches]:
    """The model and the training data."""
    sampler = Sampler(
        batch=config.batch,
        rank=fabric.global_rank,
        world=fabric.world_size,
        seed=config.seed,
        views="views" in objective.needs,
    )
    data = config.data
    if _is_mad(data.source):
        captions = captions_of(data.captions)
        objects = FACTORS[captions.object]
        transform = chain(data.transforms, objects) if data.transforms else None
        mad = _mad(config)
        trainable = _model(config, words=WORDS)
        if data.profiles:
            trainable.add_tower(PROFILE, made_tower(trainable.dim, config.seed))
        like = trainable.preprocessing
        side = like.size if isinstance(like.size, int) else like.size[0]
        found: Batches = MadBatches(
            mad, captions, transform, trainable.tokenizer, side, like.mean, like.std, sampler,
            profiles=data.profiles,
        )  # fmt: skip
    else:
        transform = chain(data.transforms) if data.transforms else None
        options = {key: getattr(data, key) for key in READING}
        if data.held_out_by is not None and named(data.source) is None:
            options["factors"] = [data.held_out_by]  # a named data set has its own
        source = read(data.source, **options, captions=cast("Any", data.cells), seed=config.seed)
        _only(data, (*READING, *SOURCE_KEYS), source.name)
        trainable = _model(config, words=lambda: vocabulary(sentences(source)))
        found = SourceBatches(
            source,
            transform,
            trainable.tokenizer,
            trainable.prepare(augment=data.augment),
            trainable.prepare(),
            trainable.prepare_view(),
            sampler,
            data.held_out,
            _workers(config.workers),
            data.held_out_by,
        )
    if "bias" in objective.needs and getattr(trainable.model, "logit_bias", None) is None:
        raise OptionError(
            "losses: siglip needs a bias: set init_logit_bias in the architecture, as open_clip's"
            " SigLIP configurations do"
        )
    return trainable, found


def _is_mad(source: str) -> bool:
    return source == "mad" or (Path(source) / "mad.json").is_file()


def _mad(config: Config) -> Mad:
    data = config.data
    if data.source != "mad":
        _only(data, ("source", *MAD_KEYS), "a folder of MAD, which has its own")
        return load_mad(data.source)
    _only(data, ("source", *MAD_KEYS, "digits", "limit", "held_out"), "mad")
    if data.held_out >= 1:
        raise OptionError(f"data.held_out: must be a fraction below 1 for MAD; got {data.held_out}")
    drawn = digits(data.digits, held_out=data.held_out, limit=data.limit)
    return build_mad(drawn)


def _model(config: Config, words: Sequence[str] | Callable[[], Sequence[str]]) -> Trainable:
    if config.model.start is not None:
        return resume_from(config.model.start, seed=config.seed)
    return build(config.model.architecture, words=words, seed=config.seed)


def _steps(config: Config, pairs: int) -> int:
    """The number of steps; raise an error if the batch or the warm-up does not fit."""
    if pairs < config.batch:
        raise OptionError(
            f"batch: must be at most the number of pairs to train on, {pairs}; got {config.batch}"
        )
    steps = config.steps
    if steps is None:
        steps = max(1, round((config.epochs or 0) * (pairs // config.batch)))
    if 0 < steps < config.optimiser.warmup:
        raise OptionError(
            f"optimiser.warmup: must be at most the number of steps, {steps}; got"
            f" {config.optimiser.warmup:g}"
        )
    return steps


def _workers(count: int | None) -> int:
    return min(processors(), MOST_WORKERS) if count is None else count


def _dotted(values: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Nested settings as ``section.key``, for messages about differences."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= _dotted(value, f"{name}{key}.")
        else:
            result[f"{name}{key}"] = value
    return result


def _make_folder(folder: Path) -> None:
    """Make the folder; raise an error if it holds files of anything but a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {each.name for each in folder.iterdir() if not each.name.startswith(TEMPORARY)}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: cannot be made ({reason})") from error
    others = sorted(names - {"checkpoints"})
    if others and not (folder / "checkpoints" / "plan.json").is_file():
        raise OutputError(f"{folder}: must be missing, empty or of a run; found {others[0]}")


def _begin(config: Config, folder: Path) -> None:
    """Write the configuration; without a checkpoint, remove the files of an earlier run."""
    if not any((folder / "checkpoints").glob("step-*")):
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        for name in ("log.jsonl", HELD_OUT):
            (folder / name).unlink(missing_ok=True)
    with replacing(folder / CONFIG, overwrite=True) as file:
        text = yaml.safe_dump(config.plain(), sort_keys=False, allow_unicode=True)
        file.write(text.encode())


def _remarks(fabric: Any, trainable: Trainable) -> list[str]:
    normed = any("BatchNorm" in type(each).__name__ for each in trainable.model.modules())
    if fabric.world_size > 1 and normed:
        return ["the model has batch normalisation: its statistics differ between processes"]
    return []


def _only(data: Data, keys: Sequence[str], why: str) -> None:
    """Raise an error for settings of the data that would be ignored."""
    plain = Data()
    for each in fields(Data):
        if each.name not in keys and getattr(data, each.name) != getattr(plain, each.name):
            raise OptionError(f"data.{each.name}: does not apply to {why}")
