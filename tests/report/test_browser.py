"""The report in Chromium: silent, offline, harmless, and within the window at every width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import browser as browser
from chromium import page
from numpy.typing import NDArray

import modalgap as mg
from modalgap.report.page import render_page
from modalgap.report.sections import Numbers, Section
from modalgap.result import Table, Value

pytestmark = pytest.mark.browser

EVIL = "<script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def evil_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    captions = [f"{EVIL} a caption that is {'-'.join(['long'] * 40)}"] * 30
    image = mg.Embeddings(
        random.normal(size=(30, 8)) + 1, names=[f"photo/{i}.jpg" for i in range(30)]
    )
    text = mg.Embeddings(
        random.normal(size=(30, 8)) - 1, "text", names=captions, provenance={"model": EVIL}
    )
    target = tmp_path_factory.mktemp("evil") / "report.html"
    return mg.report(mg.Pair(image, text), target, title=f"{'Wide' * 30} {EVIL}")


@pytest.fixture(scope="module")
def coco_page(coco: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("coco") / "report.html"
    return mg.report(mg.Pair(coco[0], coco[1]), target)


@pytest.fixture(params=["evil_page", "coco_page"])
def page_file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_opens(browser: Any, page_file: Path, scheme: str, width: int) -> None:
    said: list[str] = []
    asked: list[str] = []
    opened = page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(page_file.as_uri())
    opened.locator("details summary").click()
    assert said == []
    assert asked == [page_file.as_uri()]
    assert opened.evaluate("window.hacked") is None
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """(width) => [...document.querySelectorAll('body *')].filter(each =>
        !each.closest('pre, svg, thead') && each.getBoundingClientRect().right > width + 1
        ).map(each => each.outerHTML.slice(0, 80))"""
    assert opened.evaluate(beyond, width) == []
    assert opened.locator("svg").count() == 6
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    label = opened.locator("svg text").first
    ink = label.evaluate("each => getComputedStyle(each).fill")
    assert ink not in (paper, "none", "rgb(0, 0, 0)")
    assert label.evaluate("each => each.getBoundingClientRect().height") > 8


def test_topics_are_on_one_line(browser: Any, coco_page: Path) -> None:
    opened = page(browser, viewport={"width": 1280, "height": 800})
    opened.goto(coco_page.as_uri())
    topics = opened.locator("dt")
    assert "Structure" in topics.all_inner_texts()
    lines = """each => { const range = document.createRange(); range.selectNodeContents(each);
        return range.getClientRects().length }"""
    assert {topic.evaluate(lines) for topic in topics.all()} == {1}


def test_a_table_of_numbers_fits_or_shows_that_it_scrolls(browser: Any) -> None:
    heads = {f"a{k}": f"digit accuracy, noise 0.{k}" for k in range(9)}
    values = {name: Value(0.8923, (0.8137, 0.9137)) for name in heads}
    rows = dict.fromkeys(("short captions", "full captions", "short, centred"), values)
    table = Table(name="n", source="s", settings={}, heads=heads, rows=rows, vary="model")
    block = Numbers(table=table)
    html = render_page([Section(head="The numbers", blocks=[block])], title="t", subtitle="s")
    opened = page(browser, viewport={"width": 1280, "height": 800})
    opened.set_content(html)
    size = "each => [each.scrollWidth, each.clientWidth, each.offsetHeight, each.clientHeight]"
    wide = opened.locator(".wide")
    whole, shown, *_ = wide.evaluate(size)
    assert whole <= shown
    opened.set_viewport_size({"width": 360, "height": 800})
    whole, shown, *_ = wide.evaluate(size)
    assert whole > shown
    behind = wide.evaluate("each => getComputedStyle(each).backgroundAttachment")
    assert behind == "local, local, scroll, scroll"  # shadows at the edges
    small = "each => [each.innerText, each.getBoundingClientRect().height]"
    text, height = opened.locator("td small").first.evaluate(small)
    assert text == "0.8137 …\u00a00.9137"
    assert height < 50  # at most two lines: no number is broken


def test_a_caption_with_a_script_is_text(browser: Any, evil_page: Path) -> None:
    opened = page(browser)
    opened.goto(evil_page.as_uri())
    assert EVIL in opened.locator("#matches ~ .matches").inner_text()
    assert EVIL in opened.locator("h1").inner_text()
    assert EVIL in opened.title()
    assert opened.locator("script").count() == 0
    opened.close()


def test_paper_is_white_and_cuts_no_picture(browser: Any, coco_page: Path) -> None:
    opened = page(browser, color_scheme="dark")
    opened.goto(coco_page.as_uri())
    opened.emulate_media(media="print")
    assert (
        opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    inside = "each => getComputedStyle(each).breakInside"
    for place in range(6):
        assert opened.locator("figure").nth(place).evaluate(inside) == "avoid"
    assert opened.pdf(format="A4").startswith(b"%PDF-")
