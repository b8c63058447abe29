"""encode: alignment whatever cannot be read, resuming to the same bytes, shards, bad options."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pytest
import tiny
import torch
from encode.cases import Numbered, folder_of, number, picture, run
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.drawing import draw
from PIL import Image

import modalgap as mg
from modalgap import errors
from modalgap.data import Documents, Pixels, Source, read


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


def unit(rows: Any) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.as_tensor(rows), dim=1)


# what comes out -----------------------------------------------------------------------------------


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


def test_too_few_items_are_named_with_their_reasons(tmp_path: Path) -> None:
    """Not the items without a caption, which were not counted."""
    folder = tmp_path / "d"
    for i in range(2):
        draw(folder / f"{i}.png", i)
        (folder / f"{i}.txt").write_text("bad face" if i else "")
    (folder / "1.png").write_bytes(b"not an image")
    with pytest.raises(errors.InputError) as caught:
        mg.encode(folder, functions.encoder())
    said = str(caught.value)
    assert "found 0 of 1; 1.png: " in said
    assert "0.png" not in said
    for i in range(2, 7):
        (folder / f"{i}.png").write_bytes(b"not an image")
        (folder / f"{i}.txt").write_text(f"face {i}")
    with pytest.raises(errors.InputError, match=r"found 0 of 6; 1\.png: .*3\.png: .*; and 3 more"):
        mg.encode(folder, functions.encoder())


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


# what cannot be read ------------------------------------------------------------------------------


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
