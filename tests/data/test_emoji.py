"""Emoji: the attributes in names, packages, and the things of several styles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emoji_cases import CODES, STYLES, package, packages, write

from modalgap import errors
from modalgap.data.emoji import Attributes, attributes, names
from modalgap.data.emoji.packages import packages as found_in
from modalgap.data.emoji.things import pictures

emoji = pytest.importorskip("emoji")
pytest.importorskip("resvg_py")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages(tmp_path_factory.mktemp("npm"))


# names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("firefighter", {"object": "firefighter"}),
        (
            "woman firefighter medium dark skin tone",
            {"object": "firefighter", "gender": "woman", "skin_tone": "medium dark"},
        ),
        ("man red hair", {"object": "person", "gender": "man", "hair": "red hair"}),
        (
            "woman dark skin tone white hair",
            {"object": "person", "gender": "woman", "skin_tone": "dark", "hair": "white hair"},
        ),
        (
            "kiss woman man light skin tone dark skin tone",
            {"object": "kiss", "gender": "mixed", "skin_tone": "mixed"},
        ),
        (
            "men holding hands dark skin tone",
            {"object": "holding hands", "gender": "man", "skin_tone": "dark"},
        ),
        ("woman and man holding hands", {"object": "holding hands", "gender": "mixed"}),
        ("family adult adult child", {"object": "family", "gender": "person"}),
        ("pregnant woman", {"object": "pregnant person", "gender": "woman"}),
        ("girl", {"object": "child", "gender": "woman"}),
        (
            "person with white cane facing right",
            {"object": "person with white cane", "gender": "person", "direction": "right"},
        ),
        ("red heart", {"object": "heart", "colour": "red"}),
        ("light blue heart", {"object": "heart", "colour": "light blue"}),
        ("light bulb", {"object": "light bulb"}),
        ("orange", {"object": "orange"}),
        ("white hair", {"object": "white hair"}),
        ("red and black flag", {"object": "red and black flag"}),
        ("up left arrow", {"object": "arrow", "direction": "up left"}),
        ("upside down face", {"object": "upside down face"}),
        ("left luggage", {"object": "left luggage"}),
        ("medium skin tone", {"object": "medium skin tone"}),
    ],
)
def test_attributes_of_names(name: str, expected: dict[str, str]) -> None:
    assert attributes(name) == Attributes(**expected)


def test_objects_with_some_attributes() -> None:
    said = attributes("woman firefighter medium dark skin tone")
    assert names.described(said, ()) == "firefighter"
    assert names.described(said, ["gender", "colour"]) == "woman firefighter"
    assert names.described(said, ["skin_tone"]) == "firefighter medium dark skin tone"
    for name in (
        "woman firefighter medium dark skin tone",
        "man red hair dark skin tone",
        "man in tuxedo light skin tone",
        "light blue heart",
        "person",
    ):
        assert names.described(attributes(name), names.ATTRIBUTES) == name


def _one(values: set[str]) -> str:
    return "none" if not values else "mixed" if len(values) > 1 else values.pop()


def test_skin_tones_and_genders_against_the_code_points() -> None:
    """For every emoji of Unicode: its code points state what its name says."""
    tones = {"1f3fb": "light", "1f3fc": "medium light", "1f3fd": "medium"}
    tones |= {"1f3fe": "medium dark", "1f3ff": "dark"}
    signs = {"1f468": "man", "1f466": "man", "2642": "man"}
    signs |= {"1f469": "woman", "1f467": "woman", "2640": "woman"}
    checked = 0
    for text, known in emoji.EMOJI_DATA.items():
        if known["status"] != emoji.STATUS["fully_qualified"] or len(text) < 2:
            continue
        codes = [f"{ord(each):x}" for each in text if each != "\ufe0f"]
        name = names.name_of("-".join(codes))
        assert name is not None
        assert name == names.words_of(name)
        said = attributes(name)
        skin = {tones[each] for each in codes if each in tones}
        assert said.skin_tone == _one(skin), name
        gender = {signs[each] for each in codes if each in signs}
        if gender and "1f9d1" not in codes and said.gender != "none":
            assert said.gender == _one(gender), name
            checked += 1
        if codes[1:2] == ["200d"] and codes[-1] in ("2640", "2642"):
            assert names.gender_of("-".join(codes)) == signs[codes[-1]]
    assert checked > 1000


def test_names_of_code_points() -> None:
    assert names.name_of("1f469-1f3fe-200d-1f692") == "woman firefighter medium dark skin tone"
    assert names.name_of("1f1e8-1f1ee") == "flag cote divoire"
    assert names.name_of("31-20e3") == "keycap 1"
    assert names.name_of("23-20e3") == "keycap hash"
    assert names.name_of("2a-20e3") == "keycap asterisk"
    assert names.name_of("e000") is None
    assert names.translated("2764", "de") == "rotes herz"
    assert names.translated("e000", "de") == ""


# packages and things ------------------------------------------------------------------------------


def test_packages(source: Path) -> None:
    found = found_in(source)
    assert [each.style for each in found] == ["noto", "twemoji", "fluent-emoji-flat"]
    noto = found[0]
    assert (noto.version, noto.licence, noto.author) == ("1.0.0", "MIT", "The noto | team")
    assert noto.hidden == 1
    listed = {icon.name: icon for icon in noto.icons}
    assert "old-face" not in listed
    assert "grin" not in listed  # another name of the same picture
    assert listed["right-arrow"].turned == (True, False, 0)
    assert listed["grinning-face"].category == "smileys emotion"
    assert listed["red-heart"].codes == "2764"
    assert listed["keycap-1"].codes == "31-20e3"
    for place in ("node_modules", "node_modules/@iconify-json"):
        assert len(found_in(source / place)) == 3
    assert [each.style for each in found_in(source, ["twemoji"])] == ["twemoji"]


def test_things(source: Path) -> None:
    found = pictures(found_in(source))
    assert len(found) == sum(len(CODES) + 1 - len(missing) for _, _, missing in STYLES.values())
    assert found.in_styles() == {3: 9, 2: 2}
    assert found.by_name == 2  # the right arrow of twemoji and of fluent-emoji-flat
    of = {
        (icon.style, icon.name): thing
        for icon, thing in zip(found.icons, found.things, strict=True)
    }
    for name in ("red-heart", "right-arrow", "firefighter"):
        assert len({of[style, name].key for style in STYLES}) == 1
    assert of["twemoji", "right-arrow"].key == "27a1"
    assert of["noto", "firefighter"].attributes.gender == "person"
    assert of["noto", "grinning-face"].attributes.gender == "none"
    assert of["noto", "grinning-face"].category == "smileys emotion"
    assert of["noto", "red-heart"].category == "other"


def test_private_code_points_and_other_names(tmp_path: Path) -> None:
    for style in ("noto", "twemoji"):
        place = package(tmp_path, style, robot_arm={"body": "<g/>"}, man_red_hair_dark={"body": ""})
        chars = json.loads((place / "chars.json").read_text())
        chars |= {"e123" if style == "noto" else "f456": "robot-arm", "e9": "red-heart"}
        write(place / "chars.json", chars)
    found = pictures(found_in(tmp_path))
    keys = {icon.name: set[str]() for icon in found.icons}
    for icon, thing in zip(found.icons, found.things, strict=True):
        keys[icon.name].add(thing.key)
    assert keys["robot-arm"] == {"robot arm"}
    assert keys["red-heart"] == {"e9"}  # of two code points the shorter


def test_splits(source: Path) -> None:
    found = pictures(found_in(source))
    splits = found.splits(0.3, "twemoji", 0)
    assert splits == found.splits(0.3, "twemoji", 0)
    held = {thing.key for thing, split in zip(found.things, splits, strict=True)
            if split.startswith("test")}  # fmt: skip
    assert len(held) == round(0.3 * 11)
    for icon, thing, split in zip(found.icons, found.things, splits, strict=True):
        other = icon.style == "twemoji"
        expected = ("test_style" if other else "test") if thing.key in held else (
            "style" if other else "train")  # fmt: skip
        assert split == expected
    assert set(found.splits(0.0, None, 0)) == {"train", "test"}
    assert found.splits(0.3, None, 1) != found.splits(0.3, None, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "icons.json: is malformed"),
        ("[]", "must be a mapping; found list"),
        ('{"icons": 3}', "icons must be a mapping"),
        ('{"icons": {}}', "at least one icon"),
        ('{"icons": {"a": {}}}', "icon 'a': its body must be a string"),
        ('{"icons": {"a": {"body": "", "width": "x"}}}', "icon 'a': width must be a number"),
        ('{"icons": {"a": {"body": "", "width": 0}}}', "icon 'a': has a view of 0 x 16"),
        ('{"icons": {"a": {"body": ""}}, "aliases": {"b": {"parent": "b"}}}', "alias 'b'"),
        ('{"icons": {"a": {"body": ""}}, "aliases": {"b": {"parent": "c"}}}', "alias 'c'"),
    ],
)
def test_damaged_packages(tmp_path: Path, content: str, reason: str) -> None:
    (package(tmp_path, "noto") / "icons.json").write_text(content)
    with pytest.raises(errors.FileError, match=reason) as caught:
        found_in(tmp_path)
    assert "icons.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_packages(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="npm install @iconify-json/noto @iconify-json/tw"):
        found_in(tmp_path)
    with pytest.raises(errors.FileError, match="none: must be a folder of emoji packages"):
        found_in(tmp_path / "none")
    packages(tmp_path, "noto")
    with pytest.raises(errors.InputError, match="no package of openmoji: npm install @iconify-js"):
        found_in(tmp_path, ["noto", "openmoji"])
    with pytest.raises(errors.OptionError, match=r"style 'nota'.*did you mean 'noto'"):
        found_in(tmp_path, ["nota"])
    with pytest.raises(errors.OptionError, match="styles: must be distinct"):
        found_in(tmp_path, ["noto", "noto"])
