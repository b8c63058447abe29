"""encode of several modalities: the model of each, the rows of each item, resuming, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import functions
import pytest
import torch
from encode.items_cases import folder_of, images, items_of, sounds, spectrum
from encode.transformers_cases import Made, media_features
from layouts import collections
from layouts.items import png, put, wav

import modalgap as mg
from modalgap import errors
from modalgap.data import Items, Source, read, read_items
from modalgap.data.pixels import decode
from modalgap.data.sound import decode as samples
from modalgap.encode import EncodedItems, Options, run_items
from modalgap.encode.by_modality import assigned, models_of
from modalgap.encode.engine import parts

BOTH: dict[str, Any] = {"image,text": images(), "audio": sounds()}


def run(source: Any, model: Any, path: Path | None = None, **options: Any) -> EncodedItems:
    return run_items(source, model, path, Options(workers=0, device="cpu", **options))


def unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


def test_each_modality_has_the_rows_of_its_model(tmp_path: Path) -> None:
    items = items_of(tmp_path / "d")
    found = mg.encode(items, BOTH, tmp_path / "o.safetensors", device="cpu", workers=0)
    assert isinstance(found, mg.Modalities)
    assert list(found) == ["image", "speech", "tts", "text"]
    assert [side.n for side in found.sides] == [6, 6, 6, 12]
    pixels = torch.stack([functions.shrink(decode(png(i))) for i in range(6)])
    torch.testing.assert_close(found["image"].unit(), unit(functions.look(pixels)))
    for side, seed in (("speech", 0), ("tts", 50)):
        heard = torch.stack([spectrum(samples(wav(seed + i))) for i in range(6)])
        torch.testing.assert_close(found[side].unit(), unit(functions.look(heard)))
    captions = list(found["text"].factors["caption"])
    assert captions[2:4] == ["a face b", "bad c deed"]
    torch.testing.assert_close(found["text"].unit(), unit(functions.count(captions)))
    assert found["text"].names == tuple(str(i) for i in range(6) for _ in range(2))
    assert found.complete == 12
    assert found.pair("image", "text").matches[0].tolist() == [i for i in range(6) for _ in "ab"]
    assert found.pair("speech", "tts").matched_by == "rows"
    assert found["image"].provenance["model"] == "images"
    assert found["speech"].provenance["model"] == "sounds"
    assert {*found["tts"].provenance} >= {"data", "data_fingerprint", "precision", "libraries"}
    again = mg.load(tmp_path / "o.safetensors")
    assert isinstance(again, mg.Modalities)
    assert again.fingerprint == found.fingerprint
    assert set(mg.measure(again).matrix("rmg")) == {"image", "speech", "tts"}


def test_without_an_output_the_rows_are_the_same(tmp_path: Path) -> None:
    items = items_of(tmp_path / "d")
    written = run(items, BOTH, tmp_path / "o.npz").data
    assert run(items, BOTH).data.fingerprint == written.fingerprint
    by_side = {"image": images(), "text": images(), "speech": sounds(), "tts": sounds()}
    assert run(items, by_side).data.fingerprint == written.fingerprint
    assert run(tmp_path / "d", BOTH).data.fingerprint == written.fingerprint


def test_one_model_encodes_the_modalities_that_it_has_a_tower_for(tmp_path: Path) -> None:
    done = run(items_of(tmp_path / "d"), sounds())
    assert list(done.data) == ["speech", "tts", "text"]
    assert "no model encodes image" in done.notes
    assert list(run(tmp_path / "d", {"image,text": images()}).data) == ["image", "text"]


def test_two_models_of_a_source_of_images_and_captions(tmp_path: Path) -> None:
    """The same rows as one run of the usual encoder, without merging."""
    folder = folder_of(tmp_path / "d")
    for path in folder.glob("*.wav"):
        path.unlink()
    pair = mg.encode(read(folder), images(), device="cpu", workers=0, keep_repeats=True)
    found = run(folder, {"image": images(), "text": images(spec="other")})
    assert isinstance(pair, mg.Pair)
    for side in pair.sides:
        torch.testing.assert_close(found.data[side.modality].unit(), side.unit())
    assert found.data.pair("image", "text").matched_by == pair.matched_by
    assert any("mean something only if" in note for note in found.notes)


def test_rows_that_cannot_be_read_and_items_that_lack_a_modality(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "d")
    (folder / "1.speech.wav").unlink()
    (folder / "2.tts.wav").write_bytes(b"junk")
    (folder / "3.txt").unlink()
    done = run(folder, BOTH, tmp_path / "o.safetensors")
    assert [side.n for side in done.data.sides] == [6, 5, 5, 10]
    assert done.data.complete == 6  # items 0, 4 and 5, with two captions each
    assert done.data.incomplete == {"image": 3, "speech": 2, "tts": 2, "text": 4}
    assert done.source.incomplete["speech"] == 1
    ((name, _),) = done.skipped
    assert name == "tts: 2.tts.wav"
    assert done.listing is not None
    assert "tts: 2.tts.wav" in done.listing.read_text()
    assert done.to_dict()["encoded"] == {"image": 6, "speech": 5, "tts": 5, "text": 10}
    assert done.to_dict()["complete"] == 3
    with pytest.warns(UserWarning, match=r"skipped 1: .*tts: 2\.tts\.wav"):
        mg.encode(folder, BOTH, device="cpu", workers=0)
    with pytest.raises(errors.InputError, match=r"2\.tts\.wav"):
        run(folder, BOTH, strict=True)
    for i in range(1, 6):
        (folder / f"{i}.tts.wav").write_bytes(b"junk")
    with pytest.raises(errors.InputError, match=r"tts needs at least 2 rows .* found 1 of 6"):
        run(folder, BOTH, tmp_path / "p.safetensors")
    assert not (tmp_path / "p.safetensors.parts").exists()


def test_a_video_is_the_mean_of_its_frames(tmp_path: Path) -> None:
    frames = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    for item, frame in frames:
        put(tmp_path / "d" / "video" / f"{item}" / f"{frame}.png", png(10 * item + frame))
    for item in range(3):
        put(tmp_path / "d" / "text" / f"{item}.txt", f"abc {item}")
    found = run(tmp_path / "d", images()).data
    assert list(found) == ["video", "text"]
    assert found["video"].names == ("0", "1", "2")
    pixels = [functions.shrink(decode(png(10 * item + frame))) for item, frame in frames]
    rows = unit(functions.look(torch.stack(pixels)).double())
    means = [rows[:3].mean(0), rows[3], rows[4:].mean(0)]
    expected = unit(torch.stack(means)).float()
    torch.testing.assert_close(found["video"].unit(), expected, rtol=1e-5, atol=1e-6)
    assert found["video"].provenance["rows_per_item"] == "2, mean of unit rows"
    assert found.pair("video", "text").matched_by == "rows"


def test_clap_and_clip_on_the_layout_of_mteb(
    tmp_path: Path, make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untrained towers of transformers, both 24 wide; sounds as the library encodes them."""
    collections.modal_equiv(tmp_path / "coco-modality-equivalence")
    monkeypatch.setenv("MODALGAP_DATA", str(tmp_path))
    clap, clip = make("clap"), make("clip")
    models = {"image,text": f"hf:{clip.folder}", "audio": f"hf:{clap.folder}"}
    done = run("coco_modal_equiv", models)
    assert list(done.data) == ["image", "text", "speech", "tts"]
    assert done.data.by_row
    assert done.data.complete == 4
    heard = [samples(wav(20 + i)) for i in range(4)]
    expected = unit(media_features(clap, heard))
    torch.testing.assert_close(done.data["tts"].unit(), expected, rtol=0, atol=1e-5)
    for side, made in (("image", clip), ("text", clip), ("speech", clap), ("tts", clap)):
        found = done.data[side].provenance
        assert found["weights_hash"] == made.ours.provenance["weights_hash"]
        assert found["data"] == "coco-modal-equiv"
    assert set(mg.measure(done.data).matrix("rmg")) == {"image", "text", "speech"}
    alone = run("coco_modal_equiv", clap.ours).data
    assert list(alone) == ["text", "speech", "tts"]
    assert alone["tts"].fingerprint == done.data["tts"].fingerprint


# Resuming -------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = items_of(tmp_path / "d")
    whole = tmp_path / "whole.safetensors"
    run(items, BOTH, whole, batch_size=2)
    monkeypatch.setattr(parts, "PATIENCE", 0.0)
    real = parts.SideParts.add
    left = 0

    def add(self: parts.SideParts, *given: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        real(self, *given)

    monkeypatch.setattr(parts.SideParts, "add", add)
    output = tmp_path / "o.safetensors"
    for _ in range(30):
        left = 2
        try:
            done = run(items, BOTH, output, batch_size=2)
        except KeyboardInterrupt:
            assert (tmp_path / "o.safetensors.parts").is_dir()
        else:
            break
    assert done.resumed > 0
    assert output.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "o.safetensors.parts").exists()


def test_a_run_of_other_items_or_models_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = folder_of(tmp_path / "d"), tmp_path / "o.safetensors"

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modalgap.encode.many.Modalities", stop)
    with pytest.raises(KeyboardInterrupt):
        run(folder, BOTH, output)
    monkeypatch.undo()
    other = {"image,text": images(), "audio": sounds(spec="other")}
    with pytest.raises(errors.InputError, match=r"made with other settings .*model of"):
        run(folder, other, output)
    put(folder / "0.txt", "another caption")
    with pytest.raises(errors.InputError, match="the items of text, their ids or files have"):
        run(folder, BOTH, output)
    assert run(folder, BOTH, output, overwrite=True).resumed == 0


# Refusals -------------------------------------------------------------------------------------


def test_refusals(tmp_path: Path) -> None:
    items = items_of(tmp_path / "d")

    def wide(batch: torch.Tensor) -> torch.Tensor:
        return batch[:, :9]

    narrow = {"image,text": images(), "audio": sounds(media=wide, texts=wide, dim=9, spec="nine")}
    for model, why in (
        (narrow, "models must have the same width.*images has 8 and nine has 9"),
        ({"image": images()}, "at least two of the modalities"),
        ({"image,speech": images()}, "images takes image and text; speech of .* holds audio"),
        ({"image,sound": images()}, "modality of model.*'sound'"),
        ({"image,text": images(), "image": sounds()}, "image must have one model; got two"),
        ({"audio,speech": sounds(), "audio": sounds()}, "tts must have one model; got two"),
        ({"image,text": 3}, "model: must be a string or an Encoder; got int"),
    ):
        with pytest.raises(errors.InputError, match=why):
            run(items, model)
    with pytest.raises(errors.InputError, match="template: is for class names"):
        run(items, BOTH, template="a {}")
    with pytest.raises(errors.OutputError, match="must not be a file that is being read"):
        run(made_of(tmp_path), BOTH, tmp_path / "t.npz", overwrite=True)
    own = {side: [f"{side} {each}" for each in ids] for side, ids in items.ids.items()}
    apart = Items(name="d", sides=items.sides, ids=own)
    with pytest.raises(errors.InputError, match="must have items in common"):
        run(apart, BOTH)


def made_of(folder: Path) -> Items:
    """Items that were read from ``t.npz``."""
    put(folder / "t.npz", b"x")
    items = read_items(folder / "d")
    return Items(name="t", sides=items.sides, ids=items.ids, files=(folder / "t.npz",))


def test_names_of_models() -> None:
    assert models_of(["hf:a/b"]) == "hf:a/b"
    assert models_of(["hf:/x=y"]) == "hf:/x=y"
    assert models_of(["image,text=hf:a/b", "audio=hf:/c=d"]) == {
        "image,text": "hf:a/b",
        "audio": "hf:/c=d",
    }
    with pytest.raises(errors.OptionError, match="each of several models must name"):
        models_of(["hf:a", "hf:b"])
    with pytest.raises(errors.OptionError, match="'audio' must have one model; got two"):
        models_of(["audio=hf:a", "audio=hf:b"])
    kinds: Any = {"image": "image", "speech": "audio", "tts": "audio", "text": "text"}
    assert assigned({"audio": 1, "tts": 2}, kinds) == {"speech": 1, "tts": 2}
    assert assigned({"text , image": 1}, kinds) == {"image": 1, "text": 1}


def test_a_source_of_classes_is_refused() -> None:
    source = Source(name="s", texts=["a", "b"])
    with pytest.raises(errors.InputError, match="at least two of the modalities of s, text"):
        run(source, {"text": images()})
