"""Data: from files and named data sets to a ``Source`` of images, texts and who matches whom."""

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.media import Media
from modalgap.data.sets import DATASETS
from modalgap.data.source import Source

__all__ = ["DATASETS", "DataCard", "Dataset", "Media", "Source"]
