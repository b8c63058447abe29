"""Emoji: drawings of the same things in several styles, with captions of chosen detail.

``build`` makes the data set from packages of the npm registry; ``load`` opens it. It is Parquet, so
``modalgap.data.read`` reads it like any data set of images and captions.
"""

from modalgap.data.emoji.names import Attributes, attributes
from modalgap.data.emoji.packages import STYLES, USUAL, npm, packages
from modalgap.data.emoji.report import report
from modalgap.data.emoji.sheet import contact_sheet
from modalgap.data.emoji.store import Emoji, build, load

__all__ = [
    "STYLES",
    "USUAL",
    "Attributes",
    "Emoji",
    "attributes",
    "build",
    "contact_sheet",
    "load",
    "npm",
    "packages",
    "report",
]
