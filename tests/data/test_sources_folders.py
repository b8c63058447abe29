"""Folders as people and programs leave them: links, files beside images, metadata, leftovers."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from data.folder_cases import captions, classes, names, three
from layouts.drawing import draw, write

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import summary

# links --------------------------------------------------------------------------------------------


def test_linked_folders_and_files_are_read(tmp_path: Path) -> None:
    full = tmp_path / "full"
    for i, name in enumerate(("hen/0.png", "hen/1.png", "owl/0.png")):
        draw(full / name, i)
    some = tmp_path / "some"
    draw(some / "tench" / "0.png")
    (some / "hen").symlink_to(full / "hen")
    (some / "owl").symlink_to(some / "other", target_is_directory=True)
    (some / "other").symlink_to("../full/owl")  # a link to a link, and a relative one
    (some / "tench" / "1.png").symlink_to(full / "owl" / "0.png")
    source = read(some)
    assert classes(source) == [
        ("hen/0.png", "hen"),
        ("hen/1.png", "hen"),
        ("other/0.png", "other"),
        ("owl/0.png", "owl"),
        ("tench/0.png", "tench"),
        ("tench/1.png", "tench"),
    ]
    assert source.media is not None
    assert source.media[5] == (full / "owl" / "0.png").read_bytes()
    assert source.missing == source.unused == ()


def test_loops_and_broken_links_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    draw(folder / "a" / "0.png")
    draw(folder / "b" / "1.png")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "above").symlink_to(tmp_path)
    (folder / "b" / "self").symlink_to(folder / "b")
    (folder / "b" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "c").symlink_to(folder / "nothing")
    (folder / "x").symlink_to(folder / "y")
    (folder / "y").symlink_to(folder / "x")
    os.mkfifo(folder / "pipe.png")
    source = read(folder)
    assert names(source) == ["a/0.png", "b/1.png"]
    lost = dict(source.missing)
    assert lost["b/gone.png"] == lost["c"] == "a link whose target is not there"
    assert set(lost) == {"b/gone.png", "c", "x", "y"}
    assert dict(source.unused) == {
        "a/above": "a link to a folder that contains it",
        "a/up": "a link to a folder that contains it",
        "b/self": "a link to a folder that contains it",
        "pipe.png": "not a regular file",
    }


# captions beside images ---------------------------------------------------------------------------


def test_names_with_dots(tmp_path: Path) -> None:
    for i, name in enumerate(("a.b.png", "a.c.png", "x.png", "x.jpg", "v1.0.png")):
        draw(tmp_path / name, i)
    write(tmp_path / "a.b.txt", "ab")
    write(tmp_path / "a.c.png.txt", "ac")
    write(tmp_path / "a.txt", "nobody's")
    write(tmp_path / "x.png.txt", "the png")
    write(tmp_path / "x.txt", "the others")
    write(tmp_path / "v1.0.TXT", "version")
    source = read(tmp_path)
    assert captions(source) == [
        ("a.b.png", "ab"),
        ("a.c.png", "ac"),
        ("v1.0.png", "version"),
        ("x.jpg", "the others"),
        ("x.png", "the png"),
    ]
    assert source.missing == (("a.txt", "a caption without a file"),)


SAID = ["a red door", "a dog\u2028on a lawn", "one\u2029two", "blue\x85green", "a\x0cb", "c\x1cd"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_at_line_ends_only(tmp_path: Path, end: str) -> None:
    (tmp_path / "beside").mkdir()
    for i, said in enumerate(SAID):
        draw(tmp_path / "beside" / f"{i}.png", i)
        (tmp_path / "beside" / f"{i}.txt").write_bytes(f"{said}{end}second{end}".encode())
    (tmp_path / "lines.txt").write_bytes(end.join([*SAID, "", ""]).encode())
    texts = read(tmp_path / "beside").texts
    assert texts == [each for said in SAID for each in (said, "second")]
    found = read(tmp_path / "lines.txt")
    assert found.texts == SAID
    assert found.notes == ("1 empty lines",)
    assert read(tmp_path / "beside", captions="one").texts == [f"{said} second" for said in SAID]


def test_captions_of_several_lines_are_named(tmp_path: Path) -> None:
    three(tmp_path)
    write(tmp_path / "0.txt", "one\ntwo")
    write(tmp_path / "1.txt", "three")
    write(tmp_path / "2.txt", "four\nfive")
    source = read(tmp_path)
    assert len(source.texts or ()) == 5
    assert "2 .txt files have several lines, one caption each (--captions one joins them)" in (
        summary(source)
    )
    assert read(tmp_path, captions="several").notes == ()


@pytest.mark.parametrize("ending", [".caption", ".json", ".txt"])
def test_kinds_of_caption_files(tmp_path: Path, ending: str) -> None:
    three(tmp_path)
    for i in range(3):
        held = json.dumps({"caption": f"said {i}", "n": i}) if ending == ".json" else f"said {i}"
        write(tmp_path / f"{i}{ending}", held)
    source = read(tmp_path)
    assert captions(source) == [(f"{i}.png", f"said {i}") for i in range(3)]
    assert source.rule == f"images beside {ending} captions"


@pytest.mark.parametrize(
    "held",
    [
        {"captions": ["one", "two"]},
        {"sentences": [{"raw": "one"}, {"raw": "two"}]},
        {"text": '["one", "two"]'},
        ["one", "two"],
    ],
)
def test_json_of_several_captions(tmp_path: Path, held: object) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    for name in "ab":
        write(tmp_path / f"{name}.json", json.dumps(held))
    assert [text for _, text in captions(read(tmp_path))] == ["one", "two"] * 2


def test_captions_in_two_files(tmp_path: Path) -> None:
    three(tmp_path)
    for i in range(3):
        write(tmp_path / f"{i}.txt", f"said  {i}\n")
        write(tmp_path / f"{i}.json", json.dumps({"caption": f"said {i}"}))
    source = read(tmp_path)
    assert source.texts == ["said  0", "said  1", "said  2"]
    assert source.unused == ()
    write(tmp_path / "1.json", json.dumps({"caption": "something else"}))
    with pytest.raises(errors.FileError, match=r"1\.txt and 1\.json hold different captions"):
        read(tmp_path)
    assert read(tmp_path, text_column="txt").texts == ["said  0", "said  1", "said  2"]
    chosen = read(tmp_path, text_column="caption")  # the field; there are no .caption files
    assert chosen.texts == ["said 0", "something else", "said 2"]
    assert {name for name, _ in chosen.unused} == {"0.txt", "1.txt", "2.txt"}
    (tmp_path / "1.txt").unlink()
    assert read(tmp_path).texts == ["said  0", "something else", "said  2"]
    with pytest.raises(errors.OptionError, match=r"--text-column: .* has no 'prompt'; it has"):
        read(tmp_path, text_column="prompt")


def test_captions_that_cannot_be_read(tmp_path: Path) -> None:
    for i in range(5):
        draw(tmp_path / f"{i}.png", i)
    write(tmp_path / "0.txt", "fine")
    (tmp_path / "1.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "2.txt").write_bytes(b"x" * (2**20 + 1))
    (tmp_path / "3.txt").write_bytes("wide".encode("utf-16"))
    (tmp_path / "4.txt").write_bytes(b"nul\0")
    source = read(tmp_path)
    assert captions(source) == [("0.png", "fine"), ("3.png", "wide")]
    assert dict(source.missing) == {
        "1.png": "its caption is not UTF-8 text",
        "2.png": "its caption must have at most 1,048,576 bytes",
        "4.png": "its caption line 1 must be text; it holds a NUL",
    }


def test_unicode_forms_of_names(tmp_path: Path) -> None:
    nfd, nfc = unicodedata.normalize("NFD", "über"), "über"
    draw(tmp_path / "a" / f"{nfd}.png")
    write(tmp_path / "a" / f"{nfc}.txt", "beside")
    assert captions(read(tmp_path / "a")) == [(f"{nfd}.png", "beside")]
    draw(tmp_path / "b" / f"{nfc}.png")
    write(tmp_path / "b" / "metadata.csv", f"file_name,text\n{nfd}.png,in a table\n")
    assert captions(read(tmp_path / "b")) == [(f"{nfc}.png", "in a table")]
    draw(tmp_path / "c" / nfd / f"{nfd}.png")
    write(tmp_path / "c" / "t.csv", f"path,text\n{nfc}\\{nfc}.png,in a path\n")
    media = read(tmp_path / "c" / "t.csv").media
    assert media is not None
    assert media[0] == (tmp_path / "c" / nfd / f"{nfd}.png").read_bytes()
