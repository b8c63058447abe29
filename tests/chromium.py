"""Chromium for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from patience import LIMIT
from playwright.sync_api import sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium; without one a skip, or a failure where CI runs."""
    found = shutil.which("chromium")
    if found is None:
        reason = "needs chromium"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=found, args=QUIET, timeout=1000 * LIMIT)
        yield started
        started.close()


def page(browser: Any, **options: Any) -> Any:
    """A new page in a context of its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * LIMIT)
    return context.new_page()
