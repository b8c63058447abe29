"""The page as a file: one script policy, everything escaped, the same for the same data."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import modalgap as mg
from modalgap.data.media import Pixels
from modalgap.errors import OptionError, OutputError
from modalgap.explore import thumbnails

EVIL = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def pair(n: int = 24, **more: Any) -> mg.Pair:
    random = np.random.default_rng(0)
    image, text = random.normal(size=(2, n, 6)) + np.eye(6)[:2, None] * 3
    names = [f"{EVIL} {i}" for i in range(n)]
    factors = {f"kind {EVIL}": [EVIL if i % 2 else "plain" for i in range(n)]}
    return mg.Pair(
        mg.Embeddings(image, names=names, factors=factors, provenance={"model": EVIL}),
        mg.Embeddings(text, "text", names=names),
        **more,
    )


def block(page: str, name: str) -> Any:
    """The JSON of a scene or a frame."""
    text = re.search(rf'<script type="application/octet-stream" id="{name}">([^<]*)</script>', page)
    assert text is not None
    return json.loads(gzip.decompress(base64.b64decode(text[1])))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = mg.explore(pair(), tmp_path_factory.mktemp("page") / "explore.html", title=EVIL)
    return target.read_text("utf-8")


def test_nothing_from_data_is_markup(page: str) -> None:
    assert "window.hacked" not in page.replace(html.escape(EVIL), "")


def test_only_its_own_scripts_may_run_and_nothing_is_loaded(page: str) -> None:
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    policy = html.unescape(found[1])
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def test_the_page_is_the_same_for_the_same_data(page: str, tmp_path: Path) -> None:
    again = mg.explore(pair(), tmp_path / "explore.html", title=EVIL).read_text("utf-8")
    assert again == page


def test_blocks_hold_the_numbers_of_the_verbs(page: str) -> None:
    scene = block(page, "scene-0")
    for place, step in enumerate(scene["steps"]):
        found = block(page, f"frame-0-{place}")
        assert (found["closer"], found["strength"]) == (step["closer"], step["strength"])
    place = [each["closer"] for each in scene["steps"]].index("center")
    value = mg.measure(mg.close(pair(), "center"), only="rmg")["rmg"].value
    keys = {each["name"]: each["value"] for each in block(page, f"frame-0-{place}")["keys"]}
    assert keys["rmg"] == value


def test_thumbnails_are_matched_by_name(tmp_path: Path) -> None:
    data = pair()
    assert data.image.names is not None
    shade = np.arange(24, dtype=np.uint8) * 10
    pixels = np.broadcast_to(shade[::-1, None, None], (24, 8, 8)).copy()
    media = Pixels(pixels, list(data.image.names[::-1])[:20] + list("abcd"))
    text = mg.explore(data, tmp_path / "explore.html", media=media).read_text("utf-8")
    assert "4 of 24 image items are not in the source" in text
    sheet = block(text, "scene-0")["sides"][0]["sheet"]
    assert sheet["cells"].count(-1) == 4
    file = tmp_path / "sheet.webp"
    file.write_bytes(base64.b64decode(sheet["data"]))
    with Image.open(file) as picture:
        for row in range(4, 24):
            cell = sheet["cells"][row]
            x, y = cell % sheet["columns"] * sheet["size"], cell // sheet["columns"] * sheet["size"]
            middle = picture.convert("L").getpixel((x + sheet["size"] // 2, y + sheet["size"] // 2))
            assert middle == pytest.approx(float(shade[row]), abs=8)


def test_large_data_are_sampled_and_said_so(tmp_path: Path) -> None:
    text = mg.explore(pair(60), tmp_path / "explore.html", points=10).read_text("utf-8")
    assert "10 of 60 images and 10 of 60 texts" in text
    scene = block(text, "scene-0")
    assert not scene["complete"]
    assert scene["sides"][0]["rows"] == sorted(scene["sides"][0]["rows"])
    frame = block(text, "frame-0-0")
    assert all(max(side) == 23 for side in frame["density"]["gap"])


def test_one_and_many_modalities(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 20, 5)) + np.eye(5)[:3, None] * 2
    one = mg.explore(mg.Embeddings(rows[0]), tmp_path / "one.html").read_text("utf-8")
    assert [each["closer"] for each in block(one, "scene-0")["choices"]] == ["none"]
    many = mg.Modalities(dict(zip(("image", "text", "audio"), rows, strict=True)))
    text = mg.explore(many, tmp_path / "many.html").read_text("utf-8")
    names = [block(text, f"scene-{i}")["name"] for i in range(4)]
    assert names == ["all", "image and text", "image and audio", "text and audio"]
    keys = {each["name"]: each["value"] for each in block(text, "frame-0-0")["keys"]}
    assert keys["rmg.image.audio"] == mg.measure(many, only="rmg")["rmg.image.audio"].value


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.html"):
        mg.explore(pair(), tmp_path / "gap.txt")
    with pytest.raises(OptionError, match="points"):
        mg.explore(pair(), tmp_path / "explore.html", points=1)
    (tmp_path / "explore.html").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        mg.explore(pair(), tmp_path / "explore.html")
    assert (tmp_path / "explore.html").read_text() == "mine"


def test_equal_rows_have_a_page(tmp_path: Path) -> None:
    for data in (mg.Pair(np.ones((5, 4)), np.ones((5, 4))), mg.Embeddings(np.ones((5, 4)))):
        text = mg.explore(data, tmp_path / "explore.html", overwrite=True).read_text("utf-8")
        assert block(text, "scene-0")["choices"][0]["closer"] == "none"


def test_a_strength_that_maps_a_row_to_zero_is_left_out(tmp_path: Path) -> None:
    data = mg.Pair(np.ones((5, 4)), -np.ones((5, 4)))
    text = mg.explore(data, tmp_path / "explore.html").read_text("utf-8")
    assert "shift 1 is not offered" in text
    shift = {each["closer"]: each for each in block(text, "scene-0")["choices"]}["shift"]
    assert shift["strengths"] == [0, 0.25, 0.5, 0.75, 1.25]


@pytest.mark.parametrize(
    ("texts", "matches"),
    [(300, {"pairs": [[299, 299], [298, 298], [0, 1]]}), (3, {"text_to_image": [5, 299, 7]})],
)
def test_a_sample_has_images_with_a_text(
    texts: int, matches: dict[str, Any], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    data = mg.Pair(random.normal(size=(300, 5)), random.normal(size=(texts, 5)), **matches)
    text = mg.explore(data, tmp_path / "explore.html", points=10).read_text("utf-8")
    assert "3 of 300 images and 3" in text


def test_many_texts_of_two_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    owner = np.repeat([0, 1], 60)
    data = mg.Pair(random.normal(size=(2, 5)), random.normal(size=(120, 5)), text_to_image=owner)
    text = mg.explore(data, tmp_path / "explore.html", points=20).read_text("utf-8")
    assert "2 images and 120 texts" in text


def test_a_sheet_of_thumbnails_fits_into_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "WIDEST", 100)
    side = pair().image
    media = Pixels(np.zeros((24, 80, 80), np.uint8), list(side.names or ()))
    made, _ = thumbnails.sheet(side, np.arange(24), media)
    assert made is not None
    assert made.size * made.columns <= 100
