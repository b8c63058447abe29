"""The explorer: size of a page, time to open it, time of a step of the slider."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import modalgap as mg
from bench.clock import Row
from modalgap.data.media import Pixels

PAIRS, WIDTH = 2_000, 512
STEP = """async (place) => {
  const input = document.getElementById("strength"), before = document.body.dataset.step;
  const start = performance.now();
  input.value = place;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  while (document.body.dataset.step === before) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


def explorer() -> list[Row]:
    """A page of 2,000 pairs with photo-like thumbnails, opened in Chromium without a GPU."""
    random = np.random.default_rng(0)
    content = random.normal(size=(PAIRS, WIDTH))
    image, text = content + random.normal(size=(2, PAIRS, WIDTH))
    image[:, 0] += 20
    text[:, 1] += 20
    names = [f"photo {k}" for k in range(PAIRS)]
    small = random.integers(0, 255, (PAIRS, 6, 6, 3)).astype(np.uint8)
    pixels = small.repeat(16, 1).repeat(16, 2)
    pair = mg.Pair(mg.Embeddings(image, names=names), mg.Embeddings(text, "text", names=names))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        page = mg.explore(pair, Path(folder) / "explore.html", media=Pixels(pixels, names))
        made = time.perf_counter() - start
        size = page.stat().st_size / 1e6
        opened, step = _in_browser(page)
    return [
        Row(f"explorer, {PAIRS:,} pairs x {WIDTH} with thumbnails: size of the page",
            f"{size:.1f} MB", "< 6 MB", size < 6),
        Row("  time to make it", f"{made:.0f} s", "< 30 s", made < 30),
        Row("  until it is shown, software rendering", f"{opened:.1f} s", "< 2 s", opened < 2),
        Row("  a step of the slider", f"{step:.0f} ms", "< 250 ms", step < 250),
    ]  # fmt: skip


def _in_browser(page: Path) -> tuple[float, float]:
    """Seconds until the page is ready, and the median milliseconds of a step."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        opened: Any = browser.new_page()
        start = time.perf_counter()
        opened.goto(page.as_uri())
        opened.wait_for_selector("body.ready", state="attached")
        ready = time.perf_counter() - start
        opened.select_option("#closer", "shift")
        opened.wait_for_timeout(1000)
        times = [opened.evaluate(STEP, place) for place in (3, 2, 1, 2, 3, 4, 5)]
        browser.close()
    return ready, float(np.median(times))
