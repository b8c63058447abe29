"""The built documentation: formulas are shown, and nothing is loaded from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.test_browser import browser, page  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[2]
LOADING = {"link": "href", "object": "data", "use": "href", "base": "href", "form": "action"}
WITHOUT = "exclude_patterns=api.md,_generated/*.inc.md"
OUTSIDE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)  # also of no scheme: //host/path
HARMLESS = {"canonical", "next", "prev", "search", "index", "author", "license"}  # rel of <link>


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, without the slow one of docstrings, which has no formula."""
    copy = tmp_path_factory.mktemp("docs")
    shutil.copytree(
        ROOT / "docs", copy / "docs", ignore=shutil.ignore_patterns("_build", "_generated")
    )
    for name in ("examples", "src", "CHANGELOG.md", "README.md", "CONTRIBUTING.md"):
        (copy / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-D", WITHOUT, "docs", "html"],
        cwd=copy,
        check=True,
        stderr=subprocess.DEVNULL,  # warnings of links to the page left out; `make docs` has none
    )
    return copy / "html"


class Loads(HTMLParser):
    """Collects every address that a browser loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and set(given.get("rel", "").lower().split()) <= HARMLESS:
            return
        for name, value in given.items():
            if name in ("src", "poster", "background") or LOADING.get(tag) == name:
                self.found.append(value)
            elif name == "srcset":
                self.found += [each.split()[0] for each in value.split(",") if each.strip()]
            elif name == "style":
                self.found += urls(value)

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.found += urls(data)


def urls(style: str) -> list[str]:
    """The addresses in a style sheet."""
    return re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", style)


def outside(html: str) -> list[str]:
    loads = Loads()
    loads.feed(html)
    return [each for each in loads.found if OUTSIDE.match(each)]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="HTTP://cdn.example/x.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img srcset="a.png 1x, https://cdn.example/b.png 2x">',
        "<style>@import 'https://cdn.example/x.css';</style>",
        '<p style="background: url(https://cdn.example/x.png)">',
    ],
)
def test_what_is_loaded_is_noticed(html: str) -> None:
    assert outside(html)
    assert not outside(html.replace("https:", "").replace("HTTP:", "").replace("//", "/"))


def test_pages_name_no_other_host_to_load_from(pages: Path) -> None:
    html = list(pages.rglob("*.html"))
    assert len(html) > 20
    assert not {each.name: found for each in html if (found := outside(each.read_text("utf-8")))}
    styles = [found for each in pages.rglob("*.css") for found in urls(each.read_text("utf-8"))]
    assert not [each for each in styles if OUTSIDE.match(each)]


@pytest.mark.browser
def test_formulas_are_shown_without_a_network(pages: Path, browser: Any) -> None:  # noqa: F811
    sources = [each for each in pages.rglob("*.html") if 'class="math' in each.read_text("utf-8")]
    assert {"measures.html", "closers.html"} <= {each.name for each in sources}
    for source in sources:
        requests: list[str] = []
        opened = page(browser, offline=True)
        opened.on("request", lambda request, seen=requests: seen.append(request.url))
        opened.goto(source.as_uri())
        formulas = opened.locator(".math")
        assert opened.locator(".math math").count() == formulas.count() > 0
        assert not opened.locator(".katex-error, .math merror").count()
        for box in (each.bounding_box() for each in opened.locator(".math math").all()):
            assert box["width"] > 4
            assert box["height"] > 4
        assert not [each for each in requests if not each.startswith(("file:", "data:"))]
        opened.context.close()
