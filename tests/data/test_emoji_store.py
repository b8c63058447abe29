"""The emoji data set: its files, how it is read, interrupted runs, damage, the contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from emoji_cases import package, packages

from modalgap import errors
from modalgap.data import DATASETS, read
from modalgap.data import emoji as made_of
from modalgap.data.emoji import build, load, store, svg
from modalgap.data.emoji.rows import FACTORS
from modalgap.data.pixels import decode

pytest.importorskip("emoji")
pytest.importorskip("resvg_py")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> made_of.Emoji:
    folder = tmp_path_factory.mktemp("new") / "data" / "emoji"  # data is made, too
    return build(source, folder, size=32, workers=1, languages=["de"])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_data_set(made: made_of.Emoji) -> None:
    assert sum(made.splits.values()) == 31
    assert made.things == {3: 9, 2: 2}
    assert made.hidden == 3
    assert made.left_out == ()
    assert made.settings["held_out_style"] == "fluent-emoji-flat"
    rows = [
        row
        for split in made.splits
        for row in pq.read_table(made.folder / store.file_of(split)).to_pylist()
    ]
    assert len({row["key"] for row in rows}) == 31
    key = "twemoji/woman-firefighter-medium-dark-skin-tone"
    row = next(row for row in rows if row["key"] == key)
    image = row.pop("image")
    seen = np.asarray(decode(image["bytes"]))
    assert seen.shape == (32, 32, 3)
    assert seen[16, 16].tolist() == [0, 255, 0]
    assert image["path"] == f"{key}.png"
    two = {row.pop("caption_attribute_1"), "woman firefighter medium dark skin tone"}
    assert two - {row.pop("caption_attribute_2")} <= {
        "woman firefighter", "firefighter medium dark skin tone",
    }  # fmt: skip
    assert len(two) == 2
    assert row == {
        "key": key,
        "caption": "woman firefighter medium dark skin tone",
        "caption_object": "firefighter",
        "caption_style": "woman firefighter medium dark skin tone drawn by twemoji",
        "caption_de": "feuerwehrfrau mitteldunkle hautfarbe",
        "thing": "1f469-1f3fe-200d-1f692",
        "style": "twemoji",
        "category": "other",
        "object": "firefighter",
        "skin_tone": "medium dark",
        "gender": "woman",
        "hair": "none",
        "direction": "none",
        "colour": "none",
    }
    arrows = {row["key"]: np.asarray(decode(row["image"]["bytes"]))
              for row in rows if row["key"].endswith("-arrow")}  # fmt: skip
    assert (arrows["noto/left-arrow"] == arrows["noto/right-arrow"][:, ::-1]).all()
    text = (made.folder / "README.md").read_text()
    assert "The noto \\| team | MIT | https://example.org | @iconify-json/noto 1.0.0 |" in text


def test_read_as_a_named_data_set(made: made_of.Emoji) -> None:
    for split, count in made.splits.items():
        found = read("emoji", root=made.folder.parent, split=split)
        assert found.media is not None
        assert len(found.media) == count == len(found.texts or ())
        assert set(FACTORS) == set(found.factors)
        assert "style" not in found.text_factors
        assert not found.missing
    assert not DATASETS["emoji"].missing(made.folder.parent)
    by_object = read(made.folder, split="train", text_column="caption_object", factors=["style"])
    assert "firefighter" in (by_object.texts or ())
    by_gender = read(made.folder, split="train", label_column="gender")
    assert not by_gender.unused
    assert set(by_gender.texts or ()) == {"man", "none", "woman"}


def test_with_two_workers_the_same_bytes(source: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(store, "BLOCK", 8)
    build(source, tmp_path / "a", size=16, workers=1)
    build(source, tmp_path / "b", size=16, workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_interrupted_it_resumes(source: Path, tmp_path: Path,
                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(store, "BLOCK", 8)
    build(source, tmp_path / "whole", size=16, workers=1)
    real, drawn = svg.pixels, 0

    def pixels(*arguments: Any) -> Any:
        nonlocal drawn
        drawn += 1
        if drawn == 20:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(svg, "pixels", pixels)
    with pytest.raises(KeyboardInterrupt):
        build(source, tmp_path / "m", size=16, workers=1)
    assert not (tmp_path / "m" / "emoji.json").exists()
    with pytest.raises(errors.InputError, match=r"other settings \(seed: 0, now 1\)"):
        build(source, tmp_path / "m", size=16, workers=1, seed=1)
    next((tmp_path / "m.parts").glob("pictures-00000000*")).write_bytes(b"junk")
    build(source, tmp_path / "m", size=16, workers=1)
    assert drawn == 20 + 31 - 8  # one of two finished parts was damaged
    assert contents(tmp_path / "m") == contents(tmp_path / "whole")
    assert not (tmp_path / "m.parts").exists()
    drawn = 100
    build(source, tmp_path / "m", size=16, workers=1)  # opened
    assert drawn == 100
    with pytest.raises(errors.OutputError, match="of other packages or settings; replace it"):
        build(source, tmp_path / "m", size=17, workers=1)
    assert build(source, tmp_path / "m", size=17, workers=1, overwrite=True).settings["size"] == 17


def test_pictures_that_cannot_be_drawn_are_left_out(tmp_path: Path) -> None:
    packages(tmp_path, "noto")
    package(tmp_path, "twemoji", evil={"body": '<image href="/etc/hostname"/>'})
    made = build(tmp_path, tmp_path / "m", size=16, workers=1)
    assert made.left_out == (
        ("twemoji/evil", "must be a plain drawing; it has the element 'image'"),
    )
    assert sum(made.splits.values()) == 21
    lines = "\n".join(made_of.report(made))
    assert "left out twemoji/evil: must be a plain drawing" in lines
    assert "images   22 of 16 x 16 pixels" in lines


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": 8}, "size must be"),
        ({"held_out": 0.95}, "held_out must be"),
        ({"workers": 0}, "workers: must be an integer of at least 1"),
        ({"seed": -1}, "seed: must be"),
        ({"languages": ["xx"]}, "language 'xx'"),
        ({"languages": ["de", "de"]}, "languages: must be distinct"),
        ({"held_out_style": "nota"}, "held_out_style 'nota'"),
        ({"styles": ["noto"], "held_out_style": "noto"}, "needs a second style"),
    ],
)
def test_options(source: Path, tmp_path: Path, options: Any, reason: str) -> None:
    with pytest.raises(errors.OptionError, match=reason):
        build(source, tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_damaged_data_sets(made: made_of.Emoji, tmp_path: Path) -> None:
    with pytest.raises(errors.FileError, match=r"must be an emoji data set, with emoji\.json"):
        load(tmp_path)
    for name, content in contents(made.folder).items():
        (tmp_path / name).write_bytes(content)
    for content in ("", "[]", "{}", '{"settings": 3}'):
        (tmp_path / "emoji.json").write_text(content)
        with pytest.raises(errors.FileError, match=r"emoji\.json"):
            load(tmp_path)
    (tmp_path / "emoji.json").write_bytes((made.folder / "emoji.json").read_bytes())
    (tmp_path / store.file_of("test")).unlink()
    with pytest.raises(errors.FileError, match=r"test-00000-of-00001\.parquet: is missing"):
        load(tmp_path)


def test_contact_sheet(made: made_of.Emoji) -> None:
    sheet = made_of.contact_sheet(made)
    assert sheet.size == (9 * 36 + 4, 3 * 36 + 4)
    few = made_of.contact_sheet(made, 2)
    assert few.size == (2 * 36 + 4, 3 * 36 + 4)
    seen = np.asarray(few)
    assert seen[20, 20].tolist() == [255, 0, 0]
    assert seen[20 + 36, 20].tolist() == [0, 255, 0]
