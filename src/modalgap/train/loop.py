"""The training loop: steps, measurements and checkpoints, on Lightning Fabric."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modalgap.embeddings import Pair
from modalgap.embeddings.store import save
from modalgap.ending import Patience
from modalgap.errors import Diverged
from modalgap.losses import Objective
from modalgap.progress import progress
from modalgap.train import amended_start, checkpoint, optimiser
from modalgap.train.batches import Batch, Batches
from modalgap.train.config import Config
from modalgap.train.heartbeat import Peers
from modalgap.train.held_out import PART, accuracies, encoded, measured
from modalgap.train.log import Log
from modalgap.train.step import Stepper, Towers

if TYPE_CHECKING:
    from modalgap.encode.trainable import Trainable

HELD_OUT = "held_out.safetensors"


@dataclass
class Loop:
    """A run in this process.

    Attributes:
        fabric: the Lightning Fabric, launched.
        config: the configuration.
        trainable: the model.
        batches: the training data.
        objective: the losses.
        folder: the folder of checkpoints and log; only the first process writes it.
        steps: total number of steps.
        mark: a hash of all settings that change the numbers.
        peers: the other processes, if there are any.
    """

    fabric: Any
    config: Config
    trainable: Trainable
    batches: Batches
    objective: Objective
    folder: Path
    steps: int
    mark: str
    peers: Peers | None = None

    def run(self) -> list[str]:
        """Train from the newest checkpoint to the end; return remarks on the checkpoints.

        Raises:
            Diverged: the loss is NaN or infinite.
            KeyboardInterrupt: interrupted, after a checkpoint of the last complete step.
        """
        config, fabric, model = self.config, self.fabric, self.trainable.model
        optimiser.start_temperature(self._scale, config.temperature)
        made = optimiser.make(model, config.optimiser)
        towers, made = fabric.setup(Towers(model), made)
        found, remarks = checkpoint.newest(self.checkpoints, self.mark)
        first, saved = 0, None
        if found is not None:
            first = saved = found.step
            checkpoint.restore(found, model, made, fabric.device)
            remarks.append(f"resumed from step {first} of {self.steps}")
        elif config.model.amended:
            pairs = self.batches.first_pairs(amended_start.PAIRS)
            rotation = amended_start.turn(model, pairs.to(fabric.device))
            self.trainable.turn_texts(rotation)
        stepper = Stepper(
            fabric, towers, self.objective, config.swap, config.accumulate, config.seed
        )
        self._watch = _Watch(self, first)
        self._stop_flags: Tensor | None = None
        model.train()
        if first == 0:
            self._watch.measure(0)
        with (
            Patience() as patience,
            self._watch,
            self._bar(first) as advance,
            closing(self.batches.steps(first, self.steps)) as batches,
        ):
            for step, batch in zip(range(first, self.steps), batches, strict=True):
                self._at(step)
                optimiser.set_temperature(self._scale, config.temperature, step, self.steps)
                for group in made.param_groups:
                    group["lr"] = optimiser.rate(config.optimiser, step, self.steps)
                made.zero_grad()
                loss, parts = stepper(step, self._on_device(batch))
                if config.optimiser.clip is not None:
                    fabric.clip_gradients(towers, made, max_norm=config.optimiser.clip)
                made.step()
                completed = step + 1
                optimiser.set_temperature(self._scale, config.temperature, completed, self.steps)
                stop = self._stopping(patience)
                self._at(None)
                due = completed % config.checkpoint.every == 0 or completed == self.steps or stop
                if due:  # no checkpoint of NaN is written
                    self._watch.flush(saved)
                    self._check(completed, saved)
                self._watch.loss(completed, loss, parts, made.param_groups[0]["lr"], saved)
                advance(1)
                if due:
                    self._watch.flush(saved)
                    if fabric.global_rank == 0:
                        checkpoint.save(
                            self.checkpoints,
                            completed,
                            model,
                            made,
                            {"run": self.mark},
                            config.checkpoint.keep,
                        )
                    saved = completed
                if stop and completed < self.steps:
                    fabric.barrier()  # all wait for the checkpoint
                    raise KeyboardInterrupt
        return remarks

    def _at(self, step: int | None) -> None:
        if self.peers is not None:
            self.peers.step = step

    def _check(self, step: int, saved: int | None) -> None:
        """Raise an error if features are NaN or infinite: the loss may still be finite."""
        model: Any = self.trainable.model
        was = model.training
        model.eval()
        with torch.no_grad():
            batch = self.batches.first_pairs(2).to(self.fabric.device)
            image, text, _, _, others = Towers(model)(batch.images, batch.ids, batch.others)
        model.train(was)
        if not all(bool(each.isfinite().all()) for each in (image, text, *others)):
            raise Diverged(_diverged(f"after step {step} the features are NaN or infinite", saved))

    def _bar(self, first: int) -> AbstractContextManager[Callable[[int], None]]:
        if self.fabric.global_rank:
            return nullcontext(lambda _: None)
        return progress("training", self.steps, "step", first=first)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def _scale(self) -> Tensor:
        result: Tensor = self.trainable.model.logit_scale  # type: ignore[assignment]
        return result

    def _on_device(self, batch: Batch) -> Batch:
        return batch.to(self.fabric.device)

    def _stopping(self, patience: Patience) -> bool:
        """Whether to stop after this step, equal in all processes.

        The agreement is read one step later, so that no step waits for a GPU.
        """
        stop = patience.stopping
        if self.fabric.world_size > 1:
            flag = torch.full((), float(stop), device=self.fabric.device)
            before, self._stop_flags = (
                self._stop_flags,
                self.fabric.all_reduce(flag, reduce_op="sum"),
            )
            stop = before is not None and bool(before > 0)
        if stop:
            patience.hold()
        return stop


class _Watch:
    """Collects losses and measures; only the first process writes."""

    def __init__(self, loop: Loop, first: int) -> None:
        self.loop, self.config = loop, loop.config
        self.first = loop.fabric.global_rank == 0
        self.waiting: list[tuple[int, Tensor, dict[str, Tensor], float, float]] = []
        self.log: Log | None = None
        self.held_out = None
        if self.first:
            self.log = Log(loop.folder, first + 1 if first else 0,
                           tensorboard=self.config.watch.tensorboard)  # fmt: skip
            self.held_out = loop.batches.held_out(self.config.watch.rows)
            if self.held_out is not None:
                texts = list(self.held_out.texts)
                self.ids = [
                    loop.trainable.tokenizer(texts[start : start + PART])
                    for start in range(0, len(texts), PART)
                ]
        self.started, self.at = time.monotonic(), first

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self.log is not None:
            self.log.close()

    def loss(self, step: int, loss: Tensor, parts: Any, rate: float, saved: int | None) -> None:
        """Store the loss of a step; do not wait for a GPU."""
        watch = self.config.watch
        scale = self.loop._scale.detach().clone()
        self.waiting.append((step, loss, {**parts, "scale": scale}, rate, time.monotonic()))
        last = step == self.loop.steps
        measuring = last or (watch.measure > 0 and step % watch.measure == 0)
        if measuring or step % watch.every == 0:
            self.flush(saved)
        if measuring:
            self.measure(step)

    def flush(self, saved: int | None) -> None:
        """Write the stored losses; raise an error if one is NaN or infinite."""
        for step, loss, parts, rate, when in self.waiting:
            value = float(loss)
            if not math.isfinite(value):
                raise Diverged(_diverged(f"the loss of step {step} is {value}", saved))
            if self.log is None or (step % self.config.watch.every and step != self.loop.steps):
                continue
            scale = parts.pop("scale")
            pairs = (step - self.at) * self.config.batch
            line: dict[str, Any] = {"step": step, "loss": value, "lr": rate}
            line["temperature"] = float((-scale).exp())
            if len(parts) > 1:
                line["losses"] = {name: float(each) for name, each in parts.items()}
            line["pairs_per_second"] = round(pairs / max(when - self.started, 1e-9), 1)
            self.log.write(line)
        self.waiting = []

    def measure(self, step: int) -> None:
        """Measure on the held-out pairs."""
        if self.held_out is None or self.log is None:
            return
        began = time.monotonic()
        loop = self.loop
        model = loop.trainable.model
        model.eval()
        towers = Towers(model)
        data = encoded(towers, self.held_out, self.ids)
        pair = data if isinstance(data, Pair) else data.pair("image", "text")
        temperature = float((-loop._scale.detach()).exp())
        line: dict[str, Any] = {"step": step, "held_out": measured(data, temperature)}
        line["held_out"]["temperature"] = temperature
        line["accuracy"] = accuracies(towers, pair, self.held_out, loop.trainable.tokenizer)
        model.train()
        self.log.write(line)
        if step == loop.steps:
            save(data, loop.folder / HELD_OUT, overwrite=True)
        self.started += time.monotonic() - began  # do not count measuring in the throughput


def _diverged(what: str, saved: int | None) -> str:
    kept = "there is no checkpoint yet" if saved is None else f"checkpoint {saved} remains"
    hint = "a lower optimiser.lr, a longer optimiser.warmup or optimiser.clip may help"
    return f"{what}; {kept}; {hint}"
