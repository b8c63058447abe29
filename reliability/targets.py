"""What is fuzzed: folders of small valid files, and the reader of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import modalgap as mg
from modalgap.close import ScoreScaler
from modalgap.embeddings.store import load_all, load_any


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        make: writes valid inputs below a folder, each a folder of files.
        read: reads one of them; it returns, or raises a ``ModalgapError``.
        share: of all inputs.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], object]
    share: float = 1.0


def only(folder: Path) -> Path:
    """The one file of an input."""
    (path,) = (each for each in folder.iterdir() if each.is_file())
    return path


def place(path: Path) -> Path:
    """``path`` with its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# embeddings ---------------------------------------------------------------------------------------


def _embeddings(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(8, 3)).astype(np.float32)
    np.save(place(folder / "npy" / "one.npy"), x.astype(np.float16))
    np.save(place(folder / "stack" / "two.npy"), np.stack([x, y[:5]]))
    arrays: dict[str, Any] = {"image_embeds": x, "texts": y, "text_to_image": np.arange(8) % 5}
    names = np.array([f"é{i}" for i in range(8)])
    np.savez(place(folder / "npz" / "plain.npz"), **arrays, text_names=names)
    np.savez_compressed(place(folder / "deflated" / "deflated.npz"), **arrays)
    image = mg.Embeddings(x, "image", list("abcde"), {"object": list("aabbc")}, {"model": "none"})
    text = mg.Embeddings(y, "text", None, {"class": range(8)})
    for suffix in ("npz", "safetensors", "parquet"):
        mg.save(
            mg.Pair(image, text, np.arange(8) % 5), place(folder / f"our_{suffix}" / f"a.{suffix}")
        )
    three = mg.Modalities({"image": x, "text": x + 1, "audio": x - 1})
    for suffix in ("npz", "safetensors"):
        mg.save(three, place(folder / f"three_{suffix}" / f"a.{suffix}"))


def _read_embeddings(folder: Path) -> object:
    found = load_all([str(only(folder))])
    parts = found.values() if isinstance(found, mg.Modalities) else [found]
    return [each.fingerprint for each in parts]  # reads every byte


def _shards(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 3)).astype(np.float32)
    for i in range(3):
        np.save(place(folder / "img2dataset" / "img_emb" / f"img_emb_{i}.npy"), rows)
        np.save(place(folder / "img2dataset" / "text_emb" / f"text_emb_{i}.npy"), rows)
        table = pa.table({"caption": list("abcd"), "key": [f"{i}{j}" for j in range(4)]})
        pq.write_table(table, place(folder / "img2dataset" / "metadata" / f"metadata_{i}.parquet"))
        side = {"image": rows.tolist(), "text": rows.tolist(), "image_names": list("abcd")}
        pq.write_table(pa.table(side), place(folder / "parquet" / f"{i}.parquet"))
        mg.save(mg.Pair(rows, rows + 1), place(folder / "shards" / f"{i}.safetensors"))


def _read_shards(folder: Path) -> object:
    return load_any(folder).fingerprint


# maps and results ---------------------------------------------------------------------------------


def _maps(folder: Path) -> None:
    from modalgap.close import fit

    rng = np.random.default_rng(0)
    pair = mg.Pair(*rng.normal(size=(2, 40, 4)).astype(np.float32))
    for method in ("center", "standardize", "shift", "procrustes", "ridge"):
        fit(pair, method).save(place(folder / method / "map.safetensors"))
    ScoreScaler.fit(pair).save(place(folder / "zscore" / "scales.json"))


def _read_map(folder: Path) -> object:
    path = only(folder)
    return ScoreScaler.load(path) if path.suffix == ".json" else mg.close.load(path)


def _answers(folder: Path) -> None:
    rng = np.random.default_rng(0)
    pair = mg.Pair(*rng.normal(size=(2, 40, 4)).astype(np.float32))
    place(folder / "result" / "a.json").write_text(mg.measure(pair, only=["l2m", "rmg"]).to_json())
    place(folder / "scores" / "a.json").write_text(mg.evaluate(pair, only=["retrieval"]).to_json())


def _read_answer(folder: Path) -> object:
    return mg.Result.from_json(only(folder).read_bytes().decode(errors="surrogateescape"))


# training and models ------------------------------------------------------------------------------


def _configs(folder: Path) -> None:
    from modalgap.train.config import READY
    from reliability.commands import CONFIG

    for path in READY.glob("*.yaml"):
        place(folder / path.stem / "config.yaml").write_text(path.read_text())
    import yaml

    place(folder / "whole" / "config.yaml").write_text(yaml.safe_dump(CONFIG))


def _read_config(folder: Path) -> object:
    from modalgap.train.config import load_config

    return load_config(only(folder))


def _checkpoints(folder: Path) -> None:
    import torch

    from modalgap.train.checkpoint import save

    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    place(folder / "checkpoint" / "x").parent.mkdir(exist_ok=True)
    save(folder / "checkpoint", 4, model, optimiser, {"run": "mark"}, keep=2)


def _read_checkpoint(folder: Path) -> object:
    from modalgap.train.checkpoint import newest

    return newest(folder, "mark")


def _weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "logit_scale": torch.ones(())}
    torch.save(state, place(folder / "state" / "a.pt"))
    torch.save({"state_dict": state, "epoch": 3, "name": "x"}, place(folder / "training" / "a.pt"))
    torch.save(state, place(folder / "old" / "a.pt"), _use_new_zipfile_serialization=False)
    save_file(state, place(folder / "safetensors" / "a.safetensors"))
    module: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
        torch.nn.Linear(3, 2), torch.ones(1, 3)
    )
    torch.jit.save(module, str(place(folder / "torchscript" / "a.pt")))


def _read_weights(folder: Path) -> object:
    from modalgap.encode.libraries.open_clip_weights import read_weights
    from modalgap.encode.weights import reading_weights

    path = only(folder)
    with reading_weights("open_clip:x", path):
        return read_weights(path)


# data ---------------------------------------------------------------------------------------------


def _pickles(folder: Path) -> None:
    import pickle

    values: dict[str, Any] = {
        "plain": {"a": [1, 2.5, None, "é", b"x"], "b": ({1, 2}, True)},
        "array": {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [0, 1, 2]},
        "strings": np.array(["a", "bc"]),
    }
    for name, value in values.items():
        for protocol in (0, 2, 4):
            data = pickle.dumps(value, protocol)
            place(folder / f"{name}{protocol}" / "a.pkl").write_bytes(data)


def _read_pickle(folder: Path) -> object:
    from modalgap.data.plain_pickle import load_plain

    return load_plain(only(folder).read_bytes())


def _images(folder: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (9, 11, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for form in ("png", "jpeg", "gif", "webp", "bmp", "tiff", "ppm", "ico"):
        image.save(place(folder / form / f"a.{form}"))
    image.convert("P").save(place(folder / "palette" / "a.png"))
    image.convert("I;16").save(place(folder / "deep" / "a.png"))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(place(folder / "turned" / "a.jpeg"), exif=exif)


def _read_image(folder: Path) -> object:
    from modalgap.data.pixels import decode

    return decode(only(folder).read_bytes())


def _sounds(folder: Path) -> None:
    from layouts.items import wav

    place(folder / "wav" / "a.wav").write_bytes(wav(0))
    import soundfile

    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 800)
    for form in ("flac", "ogg"):
        soundfile.write(place(folder / form / f"a.{form}"), samples, 16_000)


def _read_sound(folder: Path) -> object:
    from modalgap.data.sound import decode

    return decode(only(folder).read_bytes())


def _drawings(folder: Path) -> None:
    bodies = {
        "circle": "<circle cx='9' cy='9' r='7' fill='red'/>",
        "path": "<path d='M1 1h9v9z' transform='rotate(30)'/><g opacity='.5'><rect width='4'/></g>",
        "defs": "<defs><linearGradient id='a'><stop offset='1'/></linearGradient></defs>"
        "<path fill='url(#a)' d='M0 0c1 2 3 4 5 6'/><use href='#a'/>",
    }
    for name, body in bodies.items():
        icons = {"icons": {"bear": {"body": body, "width": 24, "height": 24}}}
        place(folder / name / "noto" / "icons.json").write_text(json.dumps(icons))


def _read_drawing(folder: Path) -> object:
    from modalgap.data.emoji import svg
    from modalgap.data.emoji.packages import packages
    from modalgap.data.emoji.things import pictures

    return [svg.pixels(icon, 16) for icon in pictures(packages(folder)).icons]


def _sources(folder: Path) -> None:
    from layouts.trees import grow

    for seed in range(12):
        grow(place(folder / f"{seed}" / "x").parent, seed)


def _read_source(folder: Path) -> object:
    from modalgap.data import read
    from modalgap.data.summary import facts, summary

    source = read(folder / "tree")
    return summary(source), facts(source)


def _sets(folder: Path) -> None:
    from layouts import classification, collections

    folder.mkdir(parents=True)
    for build in (classification.BUILD, collections.BUILD):
        for name, make in build.items():
            make(folder / name)


def _read_set(folder: Path) -> object:
    from modalgap.data import DATASETS, read

    name = folder.name
    return [read(name, root=folder, split=split) for split in DATASETS[name].card.splits[:1]]


def _zoos(folder: Path) -> None:
    from modalgap.result import Value
    from modalgap.zoo.results import Zoo

    value = Value(value=0.5, interval=(0.4, 0.6))
    zoo = Zoo(values={"m": {"d": {"rmg": value}}}, models={"m": {"width": 3.0, "data": "x"}})
    zoo.write(place(folder / "zoo" / "x").parent)


def _read_zoo(folder: Path) -> object:
    from modalgap.zoo.results import Zoo

    return Zoo.read(folder)


# command lines ------------------------------------------------------------------------------------


def _commands(folder: Path) -> None:
    from reliability.commands import LINES

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    for i, line in enumerate(LINES):
        case = place(folder / f"{i}" / "x").parent
        factors = {"kind": np.arange(30) % 3}
        names = [str(each) for each in range(30)]
        image = mg.Embeddings(rows, "image", names, factors)
        text = mg.Embeddings(rows[::-1] + 0.5, "text", names, factors)
        mg.save(mg.Pair(image, text), case / "pair.npz")
        (case / "arguments").write_text("\n".join(line.split()))


def _read_command(folder: Path) -> object:
    """Run the arguments in the file, one per line; exit codes 0, 1 and 2 are right."""
    import contextlib
    import io
    import os

    from modalgap.cli import main

    text = (folder / "arguments").read_bytes().decode("utf-8", "surrogateescape")
    arguments = text.replace("\x00", "").split("\n")
    if any(each in ("demo", "--serve", "--help", "-h") or "://" in each for each in arguments):
        return None  # minutes, a server, pages of text, and URIs, which are opened as asked
    before, said = Path.cwd(), io.StringIO()
    os.chdir(folder)
    sys.argv = ["modalgap", *arguments]
    code: object = 0
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main()
    except SystemExit as leaving:
        code = leaving.code or 0
    finally:
        os.chdir(before)
    assert code in (0, 1, 2), code
    assert "Traceback" not in said.getvalue(), said.getvalue()
    if code == 2:
        raise mg.ModalgapError((said.getvalue().strip().splitlines() or [""])[-1])
    return code


TARGETS: dict[str, Target] = {
    "embeddings": Target(_embeddings, _read_embeddings, 30),
    "shards": Target(_shards, _read_shards, 5),
    "maps": Target(_maps, _read_map, 10),
    "answers": Target(_answers, _read_answer, 10),
    "configs": Target(_configs, _read_config, 8),
    "checkpoints": Target(_checkpoints, _read_checkpoint, 8),
    "weights": Target(_weights, _read_weights, 8),
    "images": Target(_images, _read_image, 10),
    "sounds": Target(_sounds, _read_sound, 3),
    "drawings": Target(_drawings, _read_drawing, 2),
    "sources": Target(_sources, _read_source, 2),
    "sets": Target(_sets, _read_set, 0.4),
    "zoos": Target(_zoos, _read_zoo, 2),
    "commands": Target(_commands, _read_command, 0.5),
    "pickles": Target(_pickles, _read_pickle, 0.1),
}
