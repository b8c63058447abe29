"""encode: alignment whatever cannot be read, resuming to the same bytes, shards, bad options."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pytest
import tiny
import torch
from encode.cases import Numbered, folder_of, run
from layouts.drawing import draw
from PIL import Image

import modalgap as mg
from modalgap import errors
from modalgap.data import Files, Pixels, Source, read
from modalgap.encode import FunctionEncoder, load_model
from modalgap.encode.engine import output as large


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


# large outputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["captions", "rows", "labels", "images", "uneven"])
def test_large_outputs_come_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stored: list[Any] = list(range(21))
    stored[8] = b"junk"
    media = Numbered(stored)
    rng = np.random.default_rng(0)
    source = {
        "captions": Source(
            name="s", media=media, texts=[f"{i // 3:03d} {i}" for i in range(63)],
            text_to_image=np.arange(63) // 3, text_factors={"i": list(range(63))},
        ),
        "rows": Source(name="s", media=media, texts=[f"{i:03d} a" for i in range(21)]),
        "labels": Source(name="s", media=media, texts=["a", "b", "c"], labels=np.arange(21) % 3),
        "images": Source(name="s", media=media, factors={"i": list(range(21))}),
        "uneven": Source(
            name="s", media=media, texts=[f"{i} a" for i in range(40)],
            text_to_image=np.sort(rng.integers(0, 21, 40)),
        ),
    }[kind]  # fmt: skip
    whole = run(source, functions.encoder(), tmp_path / "whole.safetensors").data
    monkeypatch.setattr(large, "SHARD", 8 * 4 * 12)
    done = run(source, functions.encoder(), tmp_path / "o.safetensors")
    assert len(done.files) >= 2
    assert done.files[0].name.startswith("o-00000-of-000")
    assert not (tmp_path / "o.safetensors").exists()
    assert done.data.fingerprint == whole.fingerprint
    loaded = mg.embeddings.store.load_any(str(tmp_path / "o-*.safetensors"))
    assert loaded.fingerprint == whole.fingerprint
    if isinstance(whole, mg.Pair):
        assert isinstance(loaded, mg.Pair)
        assert loaded.text.names == whole.text.names


def test_a_kill_between_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{i:03d}" for i in range(21)]
    source = Source(name="s", media=Numbered(list(range(21))), texts=texts)
    monkeypatch.setattr(large, "SHARD", 8 * 4 * 12)
    whole = run(source, functions.encoder(), tmp_path / "whole.safetensors")
    real, written = large.save, []

    def stop(data: Any, path: Path, **options: Any) -> Path:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(real(data, path, **options))
        return path

    monkeypatch.setattr(large, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        run(source, functions.encoder(), tmp_path / "o.safetensors")
    monkeypatch.setattr(large, "save", real)
    done = run(source, functions.encoder(), tmp_path / "o.safetensors")
    assert done.resumed == 42
    for ours, theirs in zip(done.files, whole.files, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_half_precision(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "d", 5)
    full = mg.encode(source, tiny.encoder())
    half = mg.encode(source, tiny.encoder(), tmp_path / "h.safetensors", precision="bf16")
    assert isinstance(full, mg.Pair)
    assert isinstance(half, mg.Pair)
    assert half.image.rows.dtype is torch.float16
    assert half.image.provenance["precision"] == "bf16"
    assert (full.image.unit() * half.image.unit()).sum(1).min() > 0.999


# options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"precision": "fp16", "device": "cpu"}, "fp16 needs a GPU"),
        ({"device": "gpu"}, "device: cannot use 'gpu'"),
        ({"device": "meta"}, "cannot use 'meta' .it must be one of cpu, cuda, mps"),
        ({"batch_size": 2**31}, "batch_size: must be at most 2147483647; got 2147483648"),
        ({"workers": 10**6}, "workers: must be at most 1024"),
        ({"workers": False}, "workers must be an integer"),
        ({"output": "n" * 250 + ".npz"}, "File name too long"),
        ({"output": "n" * 240 + ".npz"}, "skipped.jsonl: cannot be written .File name too long"),
        ({"device": "cuda:99"}, "device: cannot use 'cuda:99'"),
        ({"batch_size": 0}, "batch_size: must be an integer of at least 1; got 0"),
        ({"batch_size": True}, "batch_size"),
        ({"workers": -1}, "workers: must be an integer"),
        ({"output": "o.txt"}, "must end in"),
        ({"output": "nowhere/o.npz"}, "in a folder that exists"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    source = read(folder_of(tmp_path / "d", 3))
    if "output" in options:
        options = options | {"output": tmp_path / options["output"]}
    with pytest.raises(mg.ModalgapError, match=reason):
        mg.encode(source, functions.encoder(), **options)


def test_an_output_is_not_overwritten(tmp_path: Path) -> None:
    source, output = read(folder_of(tmp_path / "d", 3)), tmp_path / "o.npz"
    mg.encode(source, functions.encoder(), output)
    with pytest.raises(errors.OutputError, match="exists"):
        mg.encode(source, functions.encoder(), output)
    mg.encode(source, functions.encoder(), output, overwrite=True)


def test_functions_of_wrong_shape() -> None:
    media = Pixels(np.zeros((4, 5, 5), np.uint8), list("abcd"))
    source = Source(name="s", media=media, texts=list("abcd"))
    with pytest.raises(errors.InputError, match=r"media: must return features of shape \(4, 9\)"):
        mg.encode(source, functions.encoder(dim=9))
    assert isinstance(functions.encoder(), FunctionEncoder)
    for gives, reason in (
        (None, "must return a tensor of features; got NoneType"),
        ("abc", "must return a tensor of features; got str"),
        (torch.zeros(4, 8, dtype=torch.complex64), "must return real numbers"),
        (torch.zeros(8), r"must return features of shape \(4, 8\); got \(8,\)"),
    ):
        for side in ("media", "texts"):
            with pytest.raises(errors.InputError, match=f"{side}: {reason}"):
                mg.encode(source, functions.encoder(**{side: lambda _, gives=gives: gives}))
    with pytest.raises(errors.InputError, match="prepare: must return a tensor; got ndarray"):
        mg.encode(source, functions.encoder(prepare=np.asarray), workers=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dim": 8.0}, "dim must be an integer; got 8.0"),
        ({"dim": 0}, "dim: must be"),
        ({"media": 3}, "media must be a function; got 3"),
        ({"spec": Path("x")}, "spec must be a string"),
        ({"logit_scale": "20"}, "logit_scale must be a number or None"),
        ({"logit_scale": float("nan")}, "logit_scale: must be a number above 0"),
        ({"modalities": ("picture", "text")}, "modalities: must be of image, audio, text"),
        ({"provenance": {"revision": 3}}, "provenance: must be strings; 'revision' is 3"),
    ],
)
def test_functions_with_wrong_arguments(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(errors.InputError, match=reason):
        functions.encoder(**change)


def test_files_may_go_between_listing_and_reading(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png", 1)
    files = Files.under(tmp_path, ["a.png", "gone.png", "b.png"])
    done = run(Source(name="s", media=files), functions.encoder())
    assert done.skipped == (("gone.png", f"found no {tmp_path / 'gone.png'}"),)


@pytest.mark.slow
def test_images_that_ship_with_libraries(tmp_path: Path) -> None:
    """Real photographs of scikit-image and scikit-learn through an untrained model."""
    skimage = pytest.importorskip("skimage")
    sklearn = pytest.importorskip("sklearn.datasets")
    folder = tmp_path / "photographs"
    folder.mkdir()
    shipped = Path(skimage.__file__).parent / "data"
    for path in sorted(shipped.glob("*")):
        if path.suffix in (".png", ".jpg", ".jpeg", ".gif", ".tif"):
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.with_suffix(".txt").name).write_text(f"a picture called {path.stem}")
    photographs = sklearn.load_sample_images()
    for name, values in zip(photographs.filenames, photographs.images, strict=True):
        Image.fromarray(values).save(folder / Path(name).name)
        (folder / Path(name).with_suffix(".txt").name).write_text(f"a photo: {Path(name).stem}")
    done = run(folder, load_model("open_clip:ViT-S-32-alt/random"), tmp_path / "o.safetensors")
    assert isinstance(done.data, mg.Pair)
    assert done.data.image.n >= 6
    page = mg.report(done.data, tmp_path / "page.html")
    assert page.stat().st_size > 50_000


def test_memory_holds_one_batch_of_images_at_a_time() -> None:
    """What waits for the model is bounded: workers do not run ahead of it without end."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8)).save(held, "PNG")
    opened: list[int] = []

    class Watching(Numbered):
        def __getitem__(self, position: int) -> Any:
            opened.append(position)
            return super().__getitem__(position)

    seen: list[int] = []

    def media(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(opened) - sum(seen))
        return functions.look(batch)

    run(
        Source(name="s", media=Watching(list(range(40)))), functions.encoder(media=media), workers=0
    )
    assert max(seen) <= 32
