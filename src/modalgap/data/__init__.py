"""Data: read files and named data sets as a ``Source`` of images, texts and their matches.

``modalgap.data.read(path_or_name)`` finds and reads a source; ``DATASETS`` lists the named ones.
``read_items`` reads ``Items`` of any number of modalities.
"""

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.find import read
from modalgap.data.find_items import read_items
from modalgap.data.items import Items
from modalgap.data.media import Documents, Files, Media, Pixels
from modalgap.data.sets import DATASETS
from modalgap.data.source import Source

__all__ = [
    "DATASETS",
    "DataCard",
    "Dataset",
    "Documents",
    "Files",
    "Items",
    "Media",
    "Pixels",
    "Source",
    "read",
    "read_items",
]
