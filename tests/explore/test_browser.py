"""The explorer in Chromium: real keys and clicks, offline, silent, and harmless."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import browser as browser
from chromium import page as open_page
from explore.serving import serving
from numpy.typing import NDArray

import modalgap as mg
from modalgap.data.media import Pixels
from modalgap.explore import Explorer

pytestmark = pytest.mark.browser

EVIL = "</script><img src=x onerror=window.hacked=1>"
PIXEL = """([side, row]) => {
  const document = Bokeh.documents.find((each) => each.roots()[0].name === "map");
  const map = document.roots()[0], view = Bokeh.index.find_one(map);
  const source = map.select_one("points");
  const sides = JSON.parse(document_sides), start = sides.slice(0, side).reduce((a, b) => a + b, 0);
  const x = view.frame.x_scale.compute(source.data.x[start + row]);
  const y = view.frame.y_scale.compute(source.data.y[start + row]);
  const box = view.el.getBoundingClientRect();
  return [box.left + x, box.top + y];
}"""


def data(n: int = 40, *, names: bool = True) -> mg.Pair:
    random = np.random.default_rng(1)
    content = random.normal(size=(n, 8))
    image, text = content + 0.4 * random.normal(size=(2, n, 8)) + np.eye(8)[:2, None] * 3
    if not names:
        return mg.Pair(image, text)
    return mg.Pair(
        mg.Embeddings(
            image,
            names=[f"{EVIL} image {i}" for i in range(n)],
            factors={EVIL: [EVIL if i % 2 else "=1+1" for i in range(n)]},
        ),
        mg.Embeddings(text, "text", names=[f"=text {i} {EVIL}" for i in range(n)]),
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pair = data()
    assert pair.image.names is not None
    pixels = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)
    media = Pixels(pixels, list(pair.image.names))
    target = tmp_path_factory.mktemp("explore") / "explore.html"
    return mg.explore(pair, target, media=media, title=EVIL)


class Opened:
    """A page, what it wrote to the console, and what it loaded."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = open_page(browser, **options)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("body.ready", state="attached")

    def step(self, text: str) -> None:
        """Wait until the page shows a step."""
        self.page.wait_for_function("text => document.body.dataset.step === text", arg=text)

    def numbers(self) -> dict[str, float]:
        """Name to value of the key numbers that are shown."""
        found = self.page.eval_on_selector_all(
            "#numbers .number", "all => all.map(e => [e.dataset.name, Number(e.dataset.value)])"
        )
        return dict(found)

    def texts(self, selector: str) -> list[str]:
        """The texts of elements."""
        found: list[str] = self.page.locator(selector).all_inner_texts()
        return found

    def pixel(self, side: int, row: int, sizes: list[int]) -> tuple[float, float]:
        """Where a mark is drawn, in the window."""
        self.page.locator("#map-plot").scroll_into_view_if_needed()
        x, y = self.page.evaluate(PIXEL.replace("document_sides", f"'{sizes}'"), [side, row])
        return x, y

    def close(self) -> None:
        """Check that nothing went wrong meanwhile."""
        assert self.said == []
        assert self.page.evaluate("window.hacked") is None
        self.page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_it_opens_offline_at_every_width(browser: Any, file: Path, width: int, scheme: str) -> None:
    size = {"width": width, "height": 800}
    opened = Opened(browser, file.as_uri(), viewport=size, color_scheme=scheme, offline=True)
    assert opened.asked == [
        file.as_uri(),
        *[e for e in opened.asked[1:] if e[:5] in ("data:", "blob:")],
    ]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#numbers").is_visible()
    opened.close()


def test_the_slider_shows_the_numbers_of_the_closed_pair(browser: Any, file: Path) -> None:
    opened = Opened(browser, file.as_uri(), offline=True)
    pair = data()
    assert opened.numbers()["rmg"] == mg.measure(pair, only="rmg")["rmg"].value
    assert opened.page.evaluate("[-1e-9, -0.25, 0.25, -10].map((each) => fixed(each, 3))") == [
        "0.000", "-0.250", "0.250", "-10.000",
    ]  # fmt: skip
    opened.page.select_option("#closer", "shift")
    opened.step("shift 1")
    opened.page.focus("#strength")
    for alpha in (0.75, 0.5):
        opened.page.keyboard.press("ArrowLeft")
        opened.step(f"shift {alpha:g}")
        closed = mg.close(pair, "shift", alpha=alpha)
        values = {
            **mg.measure(closed),
            **mg.evaluate(closed, only="retrieval"),
            **mg.search(closed.image, closed, "mixed"),
        }
        shown = opened.numbers()
        assert len(shown) == 8
        assert {name: values[name].value for name in shown} == shown
    for _ in range(2):
        opened.page.keyboard.press("ArrowLeft")
    opened.step("none")
    assert opened.numbers()["rmg"] == mg.measure(pair, only="rmg")["rmg"].value
    opened.close()


def test_a_click_lists_the_neighbours(browser: Any, file: Path) -> None:
    opened = Opened(browser, file.as_uri(), viewport={"width": 1280, "height": 900}, offline=True)
    pair = data()
    x, y = (side.unit().numpy() for side in pair.sides)
    assert pair.text.names is not None
    lone = int(np.argmin((y @ y.T - np.eye(len(y))).max(1)))  # not under another mark
    opened.page.mouse.move(*opened.pixel(1, lone, [40, 40]))
    opened.page.wait_for_selector("#tip", state="visible")
    assert pair.text.names[lone] in opened.texts("#tip")[0]
    opened.page.mouse.click(*opened.pixel(1, lone, [40, 40]))
    opened.page.wait_for_selector("#card h2")
    assert opened.texts("#card h2") == [pair.text.names[lone]]
    nearest = [int(i) for i in np.argsort(-(y[lone] @ x.T))[:6]]
    shown = opened.texts("#card ol >> nth=1 >> .name")
    assert [int(text.split()[-1]) for text in shown] == nearest
    rank = 1 + int((y[lone] @ x.T > y[lone] @ x[lone]).sum())
    assert f"Rank {rank} of 40" in opened.texts("#card .rank")[0]
    assert opened.page.locator("#card .thumb").count() > 0
    opened.page.check("#mixed")
    both = np.concatenate([x, y]) @ y[lone]
    both[40 + lone] = -9
    images = int((np.argsort(-both)[:6] < 40).sum())
    assert f"Of the first 6: {images} images, {6 - images} texts" in opened.texts("#card .note")[-1]
    opened.close()


def test_items_are_found_and_saved_with_the_keyboard(
    browser: Any, file: Path, tmp_path: Path
) -> None:
    opened = Opened(browser, file.as_uri(), accept_downloads=True, offline=True)
    opened.page.focus("#search")
    opened.page.keyboard.type("image 17")
    opened.page.wait_for_selector("#found button")
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Enter")
    assert opened.texts("#card h2") == [f"{EVIL} image 17"]
    box = opened.page.locator("#map-plot").bounding_box()
    opened.page.evaluate(
        """() => {
          const map = Bokeh.documents.find((each) => each.roots()[0].name === "map").roots()[0];
          map.select_one("points").selected.indices = [0, 5, 45];
        }"""
    )
    opened.page.wait_for_selector("#picked", state="visible")
    assert "2 images, 1 texts" in opened.texts("#picked-note")[0]
    with opened.page.expect_download() as waiting:
        opened.page.click("#picked-csv")
    target = tmp_path / "items.csv"
    waiting.value.save_as(target)
    with target.open(newline="") as text:
        rows = list(csv.reader(text))
    assert rows[0] == ["modality", "row", "name"]
    assert [row[:2] for row in rows[1:]] == [["image", "0"], ["image", "5"], ["text", "5"]]
    assert rows[3][2] == f"'=text 5 {EVIL}"  # a spreadsheet does not compute it
    assert box is not None
    opened.close()


def test_every_colour_has_a_legend_in_words(browser: Any, file: Path) -> None:
    opened = Opened(browser, file.as_uri(), offline=True)
    values = opened.page.eval_on_selector_all("#colour option", "all => all.map(e => e.value)")
    assert values == ["modality", "rank", "cosine", "hub", "typical", f"factor {EVIL}"]
    for value in values:
        opened.page.select_option("#colour", value)
        words = opened.texts("#legend li")
        assert words[:2] == ["images (circle)", "texts (square)"]
        assert value == "modality" or len(words) > 2
    assert "=1+1" in opened.texts("#legend li")
    opened.close()


@pytest.mark.parametrize("kind", ["coco", "one", "many"])
def test_without_names_pictures_or_a_second_modality(
    browser: Any, kind: str, coco: NDArray[np.float32], tmp_path: Path
) -> None:
    pair = data(names=False)
    if kind == "coco":
        found: Any = mg.Pair(coco[0][:60], coco[1][:60])
    elif kind == "one":
        found = pair.image
    else:
        found = mg.Modalities(
            [*pair.sides, mg.Embeddings(np.asarray(pair.text) + np.eye(8)[2], "audio")]
        )
    opened = Opened(browser, mg.explore(found, tmp_path / "explore.html").as_uri(), offline=True)
    opened.page.fill("#search", "image 7")
    opened.page.click("#found button")
    assert opened.texts("#card h2") == ["image 7"]
    if kind == "many":
        assert opened.page.locator("#numbers table").count() == 2
        opened.page.select_option("#scene", "2")
        opened.page.wait_for_selector("#numbers .tile >> nth=7")
        opened.page.select_option("#closer", "center")
        opened.step("center")
    if kind == "one":
        assert opened.page.locator("#closer-control").is_hidden()
    opened.close()


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a served page."""
    with serving(Explorer(data())) as found:
        yield found


def test_two_tabs_of_a_server_show_any_strength(browser: Any, served: str) -> None:
    first, second = Opened(browser, served), Opened(browser, served)
    for opened, keys, alpha in ((first, 3, 0.97), (second, 7, 0.93)):
        opened.page.select_option("#closer", "shift")
        opened.step("shift 1")
        opened.page.focus("#strength")
        for _ in range(keys):
            opened.page.keyboard.press("ArrowLeft")
        opened.step(f"shift {alpha:g}")
        value = mg.measure(mg.close(data(), "shift", alpha=alpha), only="l2m")["l2m"].value
        assert opened.numbers()["l2m"] == value
    assert all(each.startswith((served, "data:", "blob:")) for each in first.asked)
    first.close()
    second.page.select_option("#closer", "center")
    second.step("center")
    second.close()


def test_clicks_views_and_names_that_every_object_has(browser: Any, tmp_path: Path) -> None:
    pair = data(names=False)
    kinds = [str(i % 2) for i in range(40)]
    image = mg.Embeddings(np.asarray(pair.image), factors={"constructor": kinds})
    audio = mg.Embeddings(np.asarray(pair.text) + np.eye(8)[2], "audio")
    found = mg.Modalities([image, pair.text, audio])
    opened = Opened(browser, mg.explore(found, tmp_path / "explore.html").as_uri(), offline=True)
    opened.page.select_option("#colour", "factor constructor")
    assert "without this factor" in opened.texts("#legend li")
    x, y = opened.pixel(0, 7, [40, 40, 40])
    opened.page.mouse.click(x, y)
    opened.page.wait_for_selector("#card h2")
    first = opened.texts("#card h2")
    opened.page.locator("#card .item").last.click()
    assert opened.texts("#card h2") != first
    x, y = opened.pixel(0, 7, [40, 40, 40])
    opened.page.wait_for_timeout(1000)  # two clicks within .3 s are one double click
    opened.page.mouse.click(x, y)  # the same mark again
    opened.page.wait_for_function(
        "text => document.querySelector('#card h2').textContent === text", arg=first[0]
    )
    opened.page.fill("#search", "image 7")
    assert opened.texts("#found .name") == ["image 7"]
    opened.page.evaluate(
        """() => {
          const select = document.getElementById("scene");
          for (const value of ["1", "2", "0", "3"]) {
            select.value = value;
            select.dispatchEvent(new Event("change"));
          }
        }"""
    )
    opened.page.wait_for_selector("#numbers .tile >> nth=7")
    assert opened.texts("#found .name") == []  # texts and audio: no image
    assert "text to audio" in " ".join(opened.texts("#numbers .name"))
    opened.close()


def test_a_fast_slider_asks_for_few_strengths(browser: Any, served: str) -> None:
    opened = Opened(browser, served)
    opened.page.select_option("#closer", "shift")
    opened.step("shift 1")
    before = len(opened.asked)
    opened.page.evaluate(
        """() => {
          const slider = document.getElementById("strength");
          for (let step = 90; step > 30; step--) {
            slider.value = step / 100;
            slider.dispatchEvent(new Event("input"));
          }
        }"""
    )
    opened.step("shift 0.31")
    assert len(opened.asked) - before <= 2
    opened.close()
