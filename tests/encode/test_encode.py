"""encode: alignment whatever cannot be read, resuming to the same bytes, shards, bad options."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.drawing import draw
from patience import LIMIT, until
from PIL import Image

import modalgap as mg
from modalgap import errors
from modalgap.data import Documents, Files, Pixels, Source, read
from modalgap.data.media import state
from modalgap.encode import Encoded, FunctionEncoder, Options, load_model
from modalgap.encode import run as work
from modalgap.encode.engine import output as large
from modalgap.encode.engine import parts
from modalgap.work import work_folder

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


def run(source: Any, encoder: Any, path: Any = None, **options: Any) -> Encoded:
    """``modalgap.encode.run`` with its options beside it."""
    return work(source, encoder, path, Options(**options))


def unit(rows: Any) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.as_tensor(rows), dim=1)


def picture(number: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    values = np.random.default_rng(number).integers(0, 255, (*size, 3), np.uint8)
    return Image.fromarray(values)


def folder_of(path: Path, count: int, captions: int = 2) -> Path:
    """Images of noise with captions that name their number."""
    path.mkdir(exist_ok=True)
    for i in range(count):
        picture(i).save(path / f"{i:03d}.png")
        said = [f"image {i:03d} {'bad' * j} {'face ' * (i % 7)}" for j in range(captions)]
        (path / f"{i:03d}.txt").write_text("\n".join(said))
    return path


def number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit())[:3])


# what comes out -------------------------------------------------------------------------------


def test_a_pair_with_its_provenance(tmp_path: Path) -> None:
    source = read(folder_of(tmp_path / "d", 7))
    pair = mg.encode(source, functions.encoder(logit_scale=20.0), tmp_path / "o.safetensors")
    assert isinstance(pair, mg.Pair)
    assert pair.captions_per_image == 2
    expected = unit(functions.look(torch.stack([functions.shrink(picture(i)) for i in range(7)])))
    torch.testing.assert_close(pair.image.unit(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        pair.text.unit(), unit(functions.count(list(source.texts or ()))), atol=1e-6, rtol=0
    )
    assert pair.image.names == tuple(f"{i:03d}.png" for i in range(7))
    assert pair.text.names == tuple(source.texts or ())
    said = pair.image.provenance
    assert said["model"] == "functions"
    assert said["data"] == str(tmp_path / "d")
    assert said["logit_scale"] == "20.0"
    assert said["precision"] == "fp32"
    assert len(said["data_fingerprint"]) == 32
    assert "modalgap" in said["libraries"]
    assert pair.image.were_unit
    assert not (tmp_path / "o.safetensors.parts").exists()
    assert not (tmp_path / "o.safetensors.skipped.jsonl").exists()
    assert mg.measure(pair, temperature=0.05)["l2m"].value > 0


def test_the_same_in_memory_in_files_and_whatever_the_workers(tmp_path: Path) -> None:
    source = read(folder_of(tmp_path / "d", 23))
    prints = set()
    for i, options in enumerate(
        ({"workers": 0}, {"workers": 2}, {"workers": 3, "batch_size": 4}, {"batch_size": 1})
    ):
        pair = mg.encode(source, functions.encoder(), tmp_path / f"{i}.safetensors", **options)
        prints.add(pair.fingerprint)
        prints.add(mg.encode(source, functions.encoder(), **options).fingerprint)
        prints.add(
            mg.encode(source, functions.encoder(), tmp_path / f"{i}.npz", **options).fingerprint
        )
    assert len(prints) == 1


def test_classes_and_templates(tmp_path: Path) -> None:
    for i, name in enumerate(("bee/a.png", "cab/b.png", "cab/c.png")):
        draw(tmp_path / "d" / name, i)
    source = read(tmp_path / "d")
    plain = mg.encode(source, functions.encoder(), template="{}")
    assert isinstance(plain, mg.Pair)
    assert plain.matched_by == "labels"
    assert plain.labels is not None
    assert plain.labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(plain.text.unit(), unit(functions.count(["bee", "cab"])))
    several = mg.encode(source, functions.encoder(), template=["a {}", "the bad {}"])
    assert isinstance(several, mg.Pair)
    mean = unit(functions.count(["a bee", "a cab"])) + unit(
        functions.count(["the bad bee", "the bad cab"])
    )
    torch.testing.assert_close(several.text.unit(), unit(mean), atol=1e-6, rtol=0)
    assert json.loads(several.text.provenance["templates"]) == ["a {}", "the bad {}"]
    assert several.text.names == ("bee", "cab")
    own = mg.encode(source, functions.encoder())
    assert isinstance(own, mg.Pair)
    assert json.loads(own.text.provenance["templates"]) == ["a photo of a {}."]
    for template, reason in (("bee", "once"), ("{} {}", "once"), ([], "at least one sentence")):
        with pytest.raises(errors.InputError, match=reason):
            mg.encode(source, functions.encoder(), template=template)
    captions = read(folder_of(tmp_path / "c", 3))
    with pytest.raises(errors.InputError, match="is for class names"):
        mg.encode(captions, functions.encoder(), template="a {}")


def test_one_side(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("bad face\ncabbage\n")
    found = mg.encode(tmp_path / "t.txt", functions.encoder(), tmp_path / "t.npz")
    assert isinstance(found, mg.Embeddings)
    assert found.modality == "text"
    assert found.names == ("bad face", "cabbage")
    for i in range(3):
        draw(tmp_path / "d" / f"{i}.png", i)
    images = mg.encode(tmp_path / "d", functions.encoder(), tmp_path / "i.safetensors")
    assert isinstance(images, mg.Embeddings)
    assert images.modality == "image"
    assert mg.load_embeddings(tmp_path / "i.safetensors").fingerprint == images.fingerprint


def test_documents_and_queries() -> None:
    source = Source(
        name="s",
        media=Documents(["bad", "face", "cab"], ["d1", "d2", "d3"]),
        modality="document",
        texts=["q a", "q b", "q c", "q d"],
        text_modality="query",
        text_to_image=[2, 0, 1, 1],
        text_factors={"relevant": ['["d3"]', '["d1"]', '["d2"]', '["d2"]']},
    )
    pair = mg.encode(source, functions.encoder())
    assert isinstance(pair, mg.Pair)
    assert [side.modality for side in pair.sides] == ["document", "query"]
    for query, document in enumerate(pair.matches[0].tolist()):
        assert json.loads(pair.text.factors["relevant"][query]) == [pair.image.names[document]]  # type: ignore[index]


def test_sounds(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "d").mkdir()
    for i in range(3):
        with wave.open(str(tmp_path / "d" / f"{i}.wav"), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((np.sin(np.arange(1600) * (i + 1) / 9) * 9000).astype("<i2").tobytes())
        (tmp_path / "d" / f"{i}.txt").write_text(f"a sound {i}")
    (tmp_path / "d" / "3.wav").write_bytes(b"RIFF....")
    (tmp_path / "d" / "3.txt").write_text("nothing")
    encoder = functions.encoder(prepare=loudness, modalities=("audio", "text"))
    done = run(read(tmp_path / "d"), encoder)
    assert isinstance(done.data, mg.Pair)
    assert done.data.image.modality == "audio"
    assert done.data.image.n == 3
    assert [name for name, _ in done.skipped] == ["3.wav", "nothing"]
    with pytest.raises(errors.InputError, match=r"takes image and text; .* holds audio"):
        mg.encode(tmp_path / "d", functions.encoder())


def loudness(item: tuple[Any, int]) -> torch.Tensor:
    samples, rate = item
    assert rate == 8000
    return torch.from_numpy(np.abs(samples[:768]).reshape(48, 16).mean(1))


# what cannot be read --------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.sets(st.integers(0, 19)), st.sets(st.integers(0, 39)), st.integers(1, 7))
def test_nothing_slips(bad: set[int], empty: set[int], batch_size: int) -> None:
    """Whatever images and captions drop out, each row left stands beside its own match."""
    stored = [b"junk" if i in bad else i for i in range(20)]
    texts = ["  " if j in empty else f"{j // 2:03d} caption {j}" for j in range(40)]
    source = Source(
        name="s",
        media=Numbered(stored),
        texts=texts,
        text_to_image=np.arange(40) // 2,
        factors={"number": list(range(20))},
        text_factors={"number": [j // 2 for j in range(40)]},
    )
    images = 20 - len(bad)
    captions = sum(j // 2 not in bad and j not in empty for j in range(40))
    if images < 2 or captions < 2:
        with pytest.raises(errors.InputError, match="needs at least 2"):
            run(source, functions.encoder(prepare=functions.shrink), workers=0)
        return
    done = run(source, functions.encoder(), workers=0, batch_size=batch_size)
    pair = done.data
    assert isinstance(pair, mg.Pair)
    assert (pair.image.n, pair.text.n) == (images, captions)
    image, text = pair.matches
    for i, j in zip(image.tolist(), text.tolist(), strict=True):
        assert pair.image.names is not None
        assert pair.text.names is not None
        assert number(pair.image.names[i]) == number(pair.text.names[j])
        assert pair.image.factors["number"][i] == pair.text.factors["number"][j]
    for i, name in enumerate(pair.image.names or ()):
        expected = unit(functions.look(functions.shrink(picture(number(name)))[None]))
        torch.testing.assert_close(pair.image.unit(i, i + 1), expected, atol=1e-5, rtol=0)
    assert len(done.skipped) == len(bad) + 40 - captions  # each item is encoded or listed


class Numbered:
    """Images by number; bytes stand for a file that is no image."""

    kind = "image"

    def __init__(self, stored: list[Any]) -> None:
        self.stored = stored
        self.names = [f"{i:03d}.png" for i in range(len(stored))]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, position: int) -> Any:
        found = self.stored[position]
        return found if isinstance(found, bytes) else picture(found)


def test_what_was_skipped_is_listed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "d", 6)
    (folder / "002.png").write_bytes(b"junk")
    (folder / "004.png").write_bytes((folder / "004.png").read_bytes()[:90])
    (folder / "001.txt").write_text("")
    output = tmp_path / "o.safetensors"
    with pytest.warns(UserWarning, match=r"skipped 1: an empty caption \(001.png\); skipped 1: "):
        pair = mg.encode(folder, functions.encoder(), output)
    assert isinstance(pair, mg.Pair)
    listed = [
        json.loads(line)
        for line in (tmp_path / "o.safetensors.skipped.jsonl").read_text().splitlines()
    ]
    images = {each["name"] for each in listed if each["name"].endswith(".png")}
    assert images == {"001.png", "002.png", "004.png"}
    without = [each for each in listed if "its image was not encoded" in each["reason"]]
    assert len(without) == len(listed) - 3 == 4  # two captions each of 002 and 004
    assert all(each["reason"] for each in listed)
    assert pair.image.provenance["skipped"] == "2"
    with pytest.raises(errors.InputError, match=r"001\.png: an empty caption"):
        mg.encode(folder, functions.encoder(), tmp_path / "s.safetensors", strict=True)
    (folder / "001.txt").write_text("one")
    with pytest.raises(errors.InputError, match=r"002\.png: not an image"):
        mg.encode(folder, functions.encoder(), tmp_path / "s.safetensors", strict=True)
    (folder / "002.png").unlink()
    with pytest.warns(UserWarning, match="skipped"):
        mg.encode(folder, functions.encoder(), output, overwrite=True)


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    """File systems hold bytes, and people have files from other systems."""
    folder = folder_of(tmp_path / "d", 2)
    odd = os.fsdecode(b"sur\xff")
    picture(5).save(folder / f"{odd}.png")
    (folder / f"{odd}.txt").write_bytes("café".encode())
    pair = mg.encode(folder, functions.encoder(), tmp_path / "o.safetensors")
    assert isinstance(pair, mg.Pair)
    assert pair.image.names is not None
    assert pair.image.names[2] == "sur\ufffd.png"
    (folder / f"{odd}.txt").write_bytes(b"caf\xe9")
    with pytest.warns(UserWarning, match="its caption is not UTF-8 text"):
        mg.encode(folder, functions.encoder(), tmp_path / "o.safetensors", overwrite=True)
    media = Pixels(np.zeros((3, 5, 5), np.uint8), ["\ud800", "b", "c"])
    with pytest.raises(errors.InputError, match=r"source: must be valid Unicode; got '.*sur"):
        run(tmp_path / odd, functions.encoder())
    done = run(Source(name="s", media=media, texts=["a\ud800", "b", "c"]), functions.encoder())
    assert done.skipped == (("a\ud800", "not valid Unicode"),)


def test_items_prepared_to_other_shapes() -> None:
    media = Pixels(np.arange(6 * 75).reshape(6, 5, 5, 3).astype(np.uint8), list("abcdef"))
    done = run(
        Source(name="s", media=media), functions.encoder(prepare=now_and_then_short), workers=0
    )
    assert [name for name, _ in done.skipped] == ["b", "d", "f"]
    assert "prepared to shape (4,), and other items to (48,)" in done.skipped[0][1]


def now_and_then_short(image: Image.Image) -> torch.Tensor:
    first = np.asarray(image)[0, 0, 0]
    return functions.shrink(image) if first % 2 == 0 else torch.zeros(4)


def test_a_class_name_is_never_skipped() -> None:
    media = Pixels(np.zeros((4, 5, 5), np.uint8), list("abcd"))
    for name, why in ((" ", "an empty text"), ("caf\udce9", "not valid Unicode")):
        source = Source(name="s", media=media, texts=["cat", name], labels=[0, 1, 0, 1])
        with pytest.raises(errors.InputError, match=f"class .* cannot be encoded: {why}"):
            mg.encode(source, functions.encoder(media=interrupt))


def interrupt(batch: torch.Tensor) -> torch.Tensor:
    raise KeyboardInterrupt


def test_features_that_are_not_finite() -> None:
    media = Pixels(np.arange(6 * 75).reshape(6, 5, 5, 3).astype(np.uint8), list("abcdef"))
    source = Source(name="s", media=media, texts=list("abcdef"))
    done = run(source, functions.encoder(media=sometimes_nan), batch_size=3)
    assert isinstance(done.data, mg.Pair)
    assert done.data.image.names == ("b", "c", "e", "f")
    assert done.data.text.names == ("b", "c", "e", "f")
    not_finite = "its feature is zero or not finite"
    without = "its image was not encoded"
    assert [why for _, why in done.skipped] == [not_finite, not_finite, without, without]


def sometimes_nan(batch: torch.Tensor) -> torch.Tensor:
    found = functions.look(batch)
    found[0] = torch.nan
    return found


def test_long_texts_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("short\n" + "word " * 100 + "\nein Hündchen 犬\n")
    done = run(tmp_path / "t.txt", tiny.encoder(), tmp_path / "o.npz")
    assert done.cut == 1
    assert isinstance(done.data, mg.Embeddings)
    assert done.data.provenance["cut"] == "1"


# resuming --------------------------------------------------------------------------------------

SLOW = """
import sys, time
sys.path.insert(0, {here!r})
import functions
from pathlib import Path
from modalgap.encode import Options, run
from modalgap.encode.engine import parts
parts.PATIENCE = 0.0
def slowly(batch):
    time.sleep(0.01)
    return functions.look(batch)
def count(texts):
    time.sleep(0.01)
    return functions.count(texts)
encoder = functions.encoder(media=slowly, texts=count)
print("ready", flush=True)
run(Path({source!r}), encoder, {output!r}, Options(batch_size=2, workers={workers}))
"""


def slow(source: Path, output: Path, workers: int) -> subprocess.Popen[str]:
    code = SLOW.format(here=str(HERE), source=str(source), output=str(output), workers=workers)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    source = folder_of(tmp_path / "d", 60)
    (source / "031.png").write_bytes(b"junk")
    whole = tmp_path / "whole.safetensors"
    done = run(source, functions.encoder(), whole, batch_size=2)
    output = tmp_path / "o.safetensors"
    clock = random.Random(7)  # noqa: S311
    kills = 0

    def partial() -> int:
        return len(list((tmp_path / "o.safetensors.parts").glob("*.safetensors")))

    while not output.exists() and kills < 5:
        with slow(source, output, workers) as process:
            assert process.stdout is not None
            process.stdout.readline()
            before = partial()
            if kills % 2:  # once something is written; else while the run begins
                until(lambda before=before: partial() > before, process)
            time.sleep(clock.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        kills += 1
    until(lambda: not workers_of(output))  # workers must not outlive their run
    assert kills >= 5, "it must be killed before it is done, or nothing is tested"
    assert partial() > 1
    again = run(source, functions.encoder(), output, batch_size=2)
    assert again.resumed > 0
    assert output.read_bytes() == whole.read_bytes()
    assert again.skipped == done.skipped
    assert not (tmp_path / "o.safetensors.parts").exists()


def workers_of(output: Path) -> list[str]:
    """Processes that still name ``output`` on their command line (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(output).encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_a_real_model_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in process after every part, with open_clip's towers rather than functions."""
    source = folder_of(tmp_path / "d", 11)
    encoder = tiny.encoder()
    whole = run(source, encoder, tmp_path / "whole.safetensors", batch_size=2)
    monkeypatch.setattr(parts, "PATIENCE", 0.0)
    monkeypatch.setattr("modalgap.encode.engine.engine.WINDOW", 2)
    whole_short = run(source, encoder, tmp_path / "short.safetensors", batch_size=2)
    real = parts.SideParts.add
    left = 0

    def fail(self: parts.SideParts, *args: Any, **kwargs: Any) -> None:
        nonlocal left
        real(self, *args, **kwargs)
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(parts.SideParts, "add", fail)
    stops = 0
    while True:
        left = 1
        try:
            run(source, encoder, tmp_path / "o.safetensors", batch_size=2)
        except KeyboardInterrupt:
            stops += 1
            continue
        break
    assert stops > 4
    found = (tmp_path / "o.safetensors").read_bytes()
    assert found == (tmp_path / "short.safetensors").read_bytes()
    assert isinstance(whole.data, mg.Pair)
    assert isinstance(whole_short.data, mg.Pair)
    torch.testing.assert_close(whole.data.text.unit(), whole_short.data.text.unit())


def interrupted(source: Path, output: Path, **options: Any) -> None:
    """Leave an unfinished run behind."""

    def stop(texts: list[str]) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, functions.encoder(texts=stop), output, **options)
    assert output.with_name(f"{output.name}.parts").is_dir()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    interrupted(source, output, batch_size=2)
    with pytest.raises(errors.InputError, match=r"other settings \(batch_size: 2, now 3\)"):
        run(source, functions.encoder(), output, batch_size=3)
    with pytest.raises(errors.InputError, match='model: "functions", now "others"'):
        run(source, functions.encoder(spec="others"), output, batch_size=2)
    (source / "000.txt").write_text("now another")
    with pytest.raises(errors.InputError, match="the texts have changed"):
        run(source, functions.encoder(), output, batch_size=2)
    done = run(source, functions.encoder(), output, batch_size=3, overwrite=True)
    assert done.resumed == 0
    assert isinstance(done.data, mg.Pair)
    assert done.data.text.names is not None
    assert done.data.text.names[0] == "now another"


def test_damaged_parts_are_said(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    interrupted(source, output)
    folder = tmp_path / "o.safetensors.parts"
    for path in folder.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(errors.FileError, match=r"media-.*\.safetensors"):
        run(source, functions.encoder(), output)
    (folder / "plan.json").write_text("{")
    for text in ("{", "[1]", "3"):
        (folder / "plan.json").write_text(text)
        for overwrite in (False, True):
            with pytest.raises(errors.FileError, match="is damaged; remove"):
                run(source, functions.encoder(), output, overwrite=overwrite)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 3), tmp_path / "o.safetensors"
    theirs = tmp_path / "o.safetensors.parts"
    for name in ("notes.txt", "plan.json"):
        theirs.mkdir(exist_ok=True)
        (theirs / name).write_text('{"steps": []}')
        for overwrite in (False, True):
            with pytest.raises(errors.OutputError, match="of an unfinished run; found"):
                run(source, functions.encoder(), output, overwrite=overwrite)
        assert (theirs / name).read_text() == '{"steps": []}'
        (theirs / name).unlink()
    run(source, functions.encoder(), output)  # what a kill at the very start leaves is ours
    assert not theirs.exists()


def test_strict_stops_at_what_an_earlier_run_skipped(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    (source / "002.png").write_bytes(b"junk")
    interrupted(source, output)
    with pytest.raises(errors.InputError, match=r"002\.png: not an image"):
        run(source, functions.encoder(), output, strict=True)
    assert run(source, functions.encoder(), output).resumed == 5


def test_files_that_change_between_runs_are_other_settings(tmp_path: Path) -> None:
    table = pa.table({"jpg": [stored(i) for i in range(3)], "caption": list("abc")})
    pq.write_table(table, tmp_path / "a.parquet")
    changed = [
        (tmp_path / "a.parquet", lambda: os.utime(tmp_path / "a.parquet", ns=(5, 5))),
        (folder_of(tmp_path / "d", 3), lambda: os.utime(tmp_path / "d" / "001.png", ns=(5, 5))),
    ]
    for source, change in changed:
        output = tmp_path / f"{source.name}.npz"
        interrupted(source, output)
        change()
        with pytest.raises(errors.InputError, match=r"other settings \(the images, their names or"):
            run(source, functions.encoder(), output)
    media = [Pixels(np.full((3, 5, 5), i, np.uint8), list("abc")) for i in range(2)]
    documents = [Documents([f"{i}", "b", "c"], list("abc")) for i in range(2)]
    for one, other in (media, documents):
        assert list(state(one)) != list(state(other))


def stored(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def test_the_output_is_not_what_is_read(tmp_path: Path) -> None:
    table = pa.table({"jpg": [stored(i) for i in range(3)], "caption": list("abc")})
    for name in ("a.parquet", "o-00000-of-00001.parquet"):
        pq.write_table(table, tmp_path / name)
    pq.write_table(table.select(["caption"]), tmp_path / "texts.parquet")
    photos = folder_of(tmp_path / "d", 3)
    (tmp_path / "l.npz").symlink_to(photos / "001.png")
    (tmp_path / "t.txt").write_text("a\nb\n")
    (tmp_path / "t.npz").symlink_to(tmp_path / "t.txt")
    for source, output in (
        ("a.parquet", "a.parquet"),
        ("texts.parquet", "texts.parquet"),
        ("o-00000-of-00001.parquet", "o.parquet"),
        ("d", "l.npz"),
        ("t.txt", "t.npz"),
    ):
        with pytest.raises(errors.OutputError, match="must not be a file that is being read"):
            run(tmp_path / source, functions.encoder(), tmp_path / output, overwrite=True)


def test_what_lies_beside_the_output_is_checked_first(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "d", 3)
    (tmp_path / "a.npz.skipped.jsonl").mkdir()
    with pytest.raises(errors.OutputError, match=r"skipped\.jsonl: must be a file; found a folder"):
        run(source, functions.encoder(), tmp_path / "a.npz")
    (tmp_path / "b-00000-of-00002.npz").write_text("of an earlier run")
    with pytest.raises(errors.OutputError, match=r"b-00000-of-00002\.npz: exists; replace"):
        run(source, functions.encoder(), tmp_path / "b.npz")
    run(source, functions.encoder(), tmp_path / "b.npz", overwrite=True)


def test_two_runs_of_one_output(tmp_path: Path) -> None:
    folder = tmp_path / "o.parts"
    code = f"""
from pathlib import Path
from modalgap.work import work_folder
with work_folder(Path({str(folder)!r}), {{}}, overwrite=False):
    pass
"""
    with work_folder(folder, {}, overwrite=False):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert "OutputError" in done.stderr
    assert "another run is using it" in done.stderr


FULL = """
import resource, signal, sys
sys.path.insert(0, {here!r})
import functions
from pathlib import Path
from modalgap import errors
from modalgap.encode import Options, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
encoder = functions.encoder()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # as a full disk: writing fails
try:
    run(Path({source!r}), encoder, {output!r}, Options(workers=0))
except errors.OutputError as error:
    print(error)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 40), tmp_path / "o.safetensors"
    code = FULL.format(here=str(HERE), source=str(source), output=str(output))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert "cannot be written (File too large)" in done.stdout, done.stderr
    assert not output.exists()
    run(source, functions.encoder(), output, workers=0)
    run(source, functions.encoder(), tmp_path / "whole.safetensors", workers=0)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


class Deadly(Numbered):
    """The worker that opens number 5 dies, once."""

    def __init__(self, stored: list[Any], mark: Path) -> None:
        super().__init__(stored)
        self.mark = mark

    def __getitem__(self, position: int) -> Any:
        if position == 5 and not self.mark.exists():
            self.mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(position)


def test_a_dead_worker(tmp_path: Path) -> None:
    def source(mark: str) -> Source:
        return Source(name="s", media=Deadly(list(range(12)), tmp_path / mark))

    (tmp_path / "calm").write_text("")
    run(source("calm"), functions.encoder(), tmp_path / "whole.safetensors", batch_size=2)
    output = tmp_path / "o.safetensors"
    with pytest.raises(mg.ModalgapError, match=r"a worker died.*run the same command again"):
        run(source("mark"), functions.encoder(), output, batch_size=2, workers=2)
    run(source("mark"), functions.encoder(), output, batch_size=2, workers=2)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


# large outputs ----------------------------------------------------------------------------------


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


# options ----------------------------------------------------------------------------------------


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
    """Real photographs of scikit-image and scikit-learn through an untrained ViT-B/32."""
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
    done = run(folder, load_model("open_clip:ViT-B-32/random"), tmp_path / "o.safetensors")
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
