"""Sphinx: the pages are MyST markdown; the tables of measures are generated from their cards."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from cards import write_pages  # noqa: E402
from live import write_live  # noqa: E402

import modalgap  # noqa: E402

project = "modalgap"
author = "The modalgap maintainers"
copyright = "2026, the modalgap maintainers"
version = release = modalgap.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.katex"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated/*.inc.md"]
# KaTeX is in its package and writes MathML, which browsers show without its fonts and style sheet
katex_options = "output: 'mathml'"
katex_css_path = "katex-math.css"
html_theme = "furo"
html_title = "modalgap"
html_static_path: list[str] = []
html_extra_path = ["_generated/extra"]  # the live page of the explorer
autodoc_typehints = "description"
autodoc_member_order = "bysource"

write_pages(HERE / "_generated")
write_live(HERE / "_generated" / "extra")
